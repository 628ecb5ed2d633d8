"""A gateway whose credentials are in a real OpenBao, from its settings to the upstream (semantics.md C-1, C-3, S32)."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acme import API_KEY, Acme
from tests.gate import gate
from tests.place import Place
from tests.services import OpenBao

LOOK = ("billing_lookup_invoice", {"invoice": "inv_1001"})


@pytest.fixture
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """With Acme's key where the connector says it is, and nothing else that the gateway may read."""
    server = OpenBao(tmp_path_factory.mktemp("openbao"))
    server.store("acme/billing", api_key=API_KEY)
    server.admin.sys.create_or_update_policy("reader", 'path "kv/data/acme/billing" { capabilities = ["read"] }')
    yield server
    server.kill()


@pytest.mark.parametrize("how", ["token", "approle", "wrapped"])
def test_a_credential_is_lent_from_openbao(place: Place, acme: Acme, openbao: OpenBao, how: str) -> None:
    """C-1: by token, AppRole or a wrapped secret_id, all from the environment; sealed, it lends no more (S32)."""
    vault = {"kind": "hashicorp", "address": openbao.address, "auth": "token" if how == "token" else "approle"}
    if how == "token":
        environment = {"VAULT_TOKEN": openbao.token()[0]}
    else:
        secret_id = openbao.wrapped_secret_id if how == "wrapped" else openbao.secret_id
        environment = {"VAULT_ROLE_ID": openbao.role("gateway"), "VAULT_SECRET_ID": secret_id("gateway")}
    place.write_settings(vault={**vault, "secret_id_wrapped": how == "wrapped"})
    with gate(place, **environment) as gateway:
        assert gateway.call(*LOOK)["status"] == "done"
        other = gateway.call("crm_get_customer", {"customer": "cus_ada"})
        assert (other["status"], other["code"]) == ("failed", "credential_unavailable"), (
            "its policy does not reach there"
        )
        assert API_KEY not in gateway.log.read_text() + Path(place.home.file).read_text()
    openbao.seal()
    with gate(place, **environment) as gateway:
        shut = gateway.call("billing_lookup_invoice", {"invoice": "inv_1002"})
        assert (shut["status"], shut["code"]) == ("failed", "credential_unavailable")
    assert [entry["path"] for entry in acme.journal() if entry["path"].startswith("/invoices")] == [
        "/invoices/inv_1001"
    ]


def test_doctor_sends_nobody_to_the_command_for_the_other_vault(place: Place, openbao: OpenBao) -> None:
    """What OpenBao denies is put right in OpenBao: `holdgate secret set` would only say that it is not there."""
    place.write_settings(vault={"kind": "hashicorp", "address": openbao.address, "auth": "token"})
    asked = subprocess.run(
        [*place.holdgate, "doctor", "--json"],
        env={**os.environ, "VAULT_TOKEN": openbao.token()[0]},
        stdout=subprocess.PIPE,
        text=True,
    )
    found = [finding for finding in json.loads(asked.stdout) if finding["check"] == "credential"]
    assert [finding["verdict"] for finding in found] == ["ok", "fail", "fail"]
    denied = found[1]["message"]
    assert denied.endswith("it denies permission. Let the policy of the gateway's role read that path.")
    assert {finding["remedy"] for finding in found} == {None}
