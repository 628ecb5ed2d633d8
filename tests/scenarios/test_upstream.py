"""What an upstream's bad day means for the agent, through the whole gateway (semantics.md I-7, C-6, C-8)."""

from __future__ import annotations

import socket

import pytest

from gateway.app import App
from gateway.errors import StartupError
from gateway.ledger_line import Event
from gateway.outcome import State
from tests.acme import API_KEY, Acme
from tests.gate import Gate, gate
from tests.house import house
from tests.misbehaving import wire
from tests.place import REFUND, Place
from tests.services import eventually

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("fault", "arg", "committed"),
    [("fail_after", 503, True), ("fail_before", 500, False), ("fail_after", 408, True), ("drop_after", None, True)],
)
async def test_a_write_without_a_clear_answer_is_unknown(
    place: Place, acme: Acme, fault: str, arg: int | None, committed: bool
) -> None:
    """S11, I-7: after 5xx, 408 or a cut connection nobody knows: `unknown`, not sent again, and a repeat is refused."""
    acme.fault(fault, arg, method="POST")
    async with house(place) as gateway:
        answer = await gateway.call("plain_refund", REFUND)
        assert (answer["status"], answer["code"], answer["retry"]) == ("unknown", "outcome_unknown", "no")
        again = await gateway.call("plain_refund", REFUND)
        assert (again["code"], again["action_id"]) == ("outcome_unknown", answer["action_id"])
        await gateway.sweep()
        assert await gateway.state(answer["action_id"]) is State.UNKNOWN
    assert [arrival["committed"] for arrival in acme.mutating()] == [committed]


async def test_what_the_upstream_refused_did_not_happen(place: Place, acme: Acme) -> None:
    """I-7: another 4xx is `failed` with the upstream's own words, and the corrected call runs."""
    async with house(place) as gateway:
        refused = await gateway.call("plain_refund", {**REFUND, "cents": 100_000})
        assert (refused["status"], refused["code"], refused["retry"]) == ("failed", "upstream_rejected", "changed")
        assert "6400 cents left" in refused["message"]
        assert (await gateway.call("plain_refund", REFUND))["status"] == "done"


async def test_an_unreachable_upstream_may_be_asked_again(place: Place, acme: Acme) -> None:
    """S12, I-7: a refused connection sent nothing: `upstream_unreachable`, the claim is free, and the repeat runs."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        nobody = f"http://127.0.0.1:{probe.getsockname()[1]}"
    place.write_settings(connector={"plain": {"base_url": nobody, "internal": True}})

    async with house(place) as gateway:
        answer = await gateway.call("plain_refund", REFUND)
        assert (answer["status"], answer["code"], answer["retry"]) == ("failed", "upstream_unreachable", "yes")
    place.write_settings()

    async with house(place) as gateway:
        assert (await gateway.call("plain_refund", REFUND))["status"] == "done"
    assert len(acme.mutating()) == 1


async def test_a_connection_cut_on_reuse_is_unknown(place: Place, acme: Acme) -> None:
    """S12: a write on a kept-alive connection that breaks may have arrived: `unknown`, never sent again by itself."""
    async with house(place) as gateway:
        await gateway.call("plain_invoice", {"invoice": "inv_1001"})
        acme.fault("drop_before", method="POST")
        assert (await gateway.call("plain_refund", REFUND))["status"] == "unknown"
    assert len(acme.mutating()) == 1


async def test_a_redirect_is_not_followed(place: Place, acme: Acme) -> None:
    """S29: a redirect to another host is not followed, by write or read; nobody ever connects to it."""
    async with wire() as elsewhere, house(place) as gateway:
        acme.fault("redirect", f"http://localhost:{elsewhere.port}/take", times=2)
        assert (await gateway.call("plain_refund", REFUND))["status"] == "unknown"
        assert (await gateway.call("plain_invoice", {"invoice": "inv_1001"}))["status"] == "failed"
        assert elsewhere.connections == 0
    assert len(acme.journal()) == 2


@pytest.mark.parametrize(
    ("url", "internal"),
    [
        ("https://127.0.0.1:{port}", False),
        ("https://[::ffff:127.0.0.1]:{port}", False),
        ("https://[::1]:{port}", False),
        ("https://[64:ff9b::7f00:1]:{port}", False),
        ("https://169.254.169.254", False),
        ("http://169.254.169.254", True),
        ("http://[::ffff:169.254.169.254]", True),
        ("http://[fd00:ec2::254]", True),
    ],
)
def test_a_gateway_does_not_start_with_an_address_inside(place: Place, acme: Acme, url: str, internal: bool) -> None:
    """S30, C-8: loopback and mapped addresses are refused at the start; metadata ones for internal hosts too."""
    base_url = url.format(port=acme.url.rsplit(":", 1)[1])
    place.write_settings(connector={"plain": {"base_url": base_url, "internal": internal}})
    with pytest.raises(StartupError, match="connector plain"):
        App(place.home)


async def test_a_name_that_leads_inside_is_not_connected_to(place: Place, acme: Acme) -> None:
    """S30, C-8: a host that resolves to loopback is blocked at the call: nothing arrives, and the claim is free."""
    base_url = f"https://localhost:{acme.url.rsplit(':', 1)[1]}"
    place.write_settings(connector={"plain": {"base_url": base_url}})
    async with house(place) as gateway:
        answer = await gateway.call("plain_refund", REFUND)
        assert (answer["status"], answer["code"]) == ("failed", "egress_blocked")
    assert acme.journal() == []


@pytest.mark.parametrize("fault", [("echo", "id"), ("echo_error", 422)])
def test_an_echoed_credential_stays_inside(running: Gate, acme: Acme, fault: tuple[str, str | int]) -> None:
    """S31, C-6: an upstream that sends its credential back: taken out of the answer, and an alert in the log."""
    acme.fault(*fault, method="GET")
    answer = running.call("plain_invoice", {"invoice": "inv_1001"})
    assert API_KEY not in str(answer)
    kept = running.call("get_action", {"action_id": answer["action_id"]})
    assert API_KEY not in str(kept)
    assert eventually(lambda: "upstream_echoed_credential" in running.log.read_text(), "the alert")
    assert API_KEY not in running.log.read_text()


def test_a_vault_that_is_damaged_fails_closed(place: Place, acme: Acme) -> None:
    """S32: the vault's file is destroyed mid-run: `credential_unavailable`, nothing goes out; restored, calls run."""
    vault = place.folder / "data" / "vault.enc"
    with gate(place) as gateway:
        whole = vault.read_bytes()
        vault.write_bytes(whole[:-10])
        answer = gateway.call("plain_refund", REFUND)
        assert (answer["status"], answer["code"], answer["retry"]) == ("failed", "credential_unavailable", "later")
        assert acme.journal() == []
        vault.write_bytes(whole)
        assert gateway.call("plain_refund", REFUND)["status"] == "done"
    (failed, done) = place.lines(event=Event.OUTCOME)
    assert (failed["state"], done["state"]) == ("failed", "succeeded")
    assert "credential_version" not in failed
    assert done["credential_version"] == "1"  # C-3: which version, never the value
