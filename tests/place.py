"""A place to play in: a prepared data folder over a real Acme, for `tests.gate` or `tests.house` to run a gateway on.

Nothing in it is a stand-in: the store, the vault, the ledger and the wire are the product's. What a test may turn is
the store's clock, Acme's faults, and the life of a process. Its fixtures are for a `conftest` to import.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest
import yaml

from gateway import holds
from gateway.keyring import Keyring
from gateway.ledger.verify import Report, verify
from gateway.model import Kind, Principal, Role
from gateway.settings import Home
from gateway.setup import admit, keep_key, open_store, prepare
from gateway.store.actions import ActionRow
from gateway.store.holds import HoldRow
from gateway.store.transaction import Transaction
from gateway.testing.driver import cast
from tests.acme import API_KEY, Acme
from tests.services import free_port
from vault.local import LocalVault
from vault.reference import Reference

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent
TENANT = "default"
_APPROVER = frozenset({Role.APPROVER})
PEOPLE = (
    Principal(TENANT, "bot", Kind.AGENT, frozenset({"support"}), owner="olga"),
    Principal(TENANT, "clerk", Kind.AGENT, frozenset({"support"}), owner="olga"),
    Principal(TENANT, "olga", Kind.HUMAN, frozenset({"finance"}), _APPROVER),
    Principal(TENANT, "fay", Kind.HUMAN, frozenset({"finance"}), _APPROVER),
    Principal(TENANT, "finn", Kind.HUMAN, frozenset({"finance"}), _APPROVER),
    Principal(TENANT, "vic", Kind.HUMAN, frozenset({"visitors"}), _APPROVER),
)
"""Two agents of olga, two people of finance who may decide about them, and one who may not."""

EVERYTHING = {
    **dict.fromkeys(("billing_lookup_order", "billing_lookup_invoice", "billing_refund"), "allow"),
    **dict.fromkeys(("crm_find_customer", "crm_get_customer", "crm_update_customer"), "allow"),
    **dict.fromkeys(("tickets_get_ticket", "tickets_reply"), "allow"),
    **dict.fromkeys(("plain_invoice", "plain_refund", "plain_overreach"), "allow"),
    **dict.fromkeys(("keyed_pay_back", "looked_pay_out"), "allow"),
}

REFUND = {"invoice": "inv_1001", "cents": 500}
"""What each of the tests' own tools takes that give money back."""


def policy(tools: Mapping[str, Any] | None = None, **more: Any) -> str:
    """A policy for the agents: everything is allowed, but for what `tools` says of some; `more` are further keys."""
    document = {
        "policy": "proving-ground",
        "applies_to": {"groups": ["support"]},
        "tools": {**EVERYTHING, **(tools or {})},
        **more,
    }
    return json.dumps(document, indent=1)  # which is YAML, and has no anchors


def held(tool: str = "plain_refund", *, count: int = 1, **approval: Any) -> str:
    """A policy under which `tool` waits for `count` people of finance."""
    return policy({tool: "hold"}, approval={"from": ["finance"], "count": count, **approval})


class Place:
    """A prepared data folder: people with keys, a vault with Acme's key, and settings that a test may rewrite.

    Args:
        folder: empty; made.
        ready: another place's folder to copy keys, vault and database from, because making them takes long.
    """

    def __init__(self, folder: Path, acme_url: str, *, ready: Path | None = None) -> None:
        self.folder = folder
        self.acme_url = acme_url
        self.port = free_port()
        if ready is not None:
            shutil.copytree(ready, folder)
        folder.mkdir(exist_ok=True)
        self.connector_files = [str(ROOT / "connectors"), str(ROOT / "tests" / "acme_tools.py")]
        self.connectors_of_acme = ["billing", "crm", "tickets", "plain", "keyed", "looked"]
        self.write_policy(policy())
        self.write_settings()
        if ready is None:
            self._furnish()
        self.keys = {who.id: (self.home.keys / f"{who.id}.key").read_text().strip() for who in PEOPLE}

    @property
    def home(self) -> Home:
        """The settings as they are written now."""
        return Home(self.folder / "holdgate.yaml")

    @property
    def holdgate(self) -> list[str]:
        """The product's command line over this place; add a command."""
        return [sys.executable, "-m", "gateway.cli", "--config", str(self.folder / "holdgate.yaml")]

    def write_policy(self, text: str) -> None:
        """Put a policy in force, hot if a gateway is running."""
        scratch = self.folder / "policy.new"
        scratch.write_text(text)
        scratch.replace(self.folder / "policy.yaml")

    def write_settings(self, **more: Any) -> None:
        """Settings over Acme; `more` replaces or adds top-level keys. Takes effect at the next start."""
        settings = {
            "data": "data",
            "policies": ["policy.yaml"],
            "connectors": self.connector_files,
            "connector": {name: {"base_url": self.acme_url, "internal": True} for name in self.connectors_of_acme},
            "listen": {"port": self.port},
            "vault": {"kind": "local", "passphrase_file": "passphrase"},
            "stdio_principal": "bot",
            **more,
        }
        (self.folder / "holdgate.yaml").write_text(yaml.safe_dump(settings))

    def load(self, module: str, name: str, **settings: Any) -> None:
        """One more connector over Acme, out of a module of the tests; and further settings."""
        self.connector_files.append(str(ROOT / "tests" / f"{module}.py"))
        self.connectors_of_acme.append(name)
        self.write_settings(**settings)

    def transact(self, work: Callable[[Transaction], T]) -> T:
        """One transaction on the database from outside of any gateway, as the command line makes them."""
        store = open_store(self.home)
        try:
            return store.transact(work)
        finally:
            store.close()

    def actions(self) -> list[ActionRow]:
        """Every action of the agents, newest first."""
        return self.transact(lambda tx: [row for who in PEOPLE for row in tx.actions.of(TENANT, who.id, limit=10_000)])

    def action(self, action_id: str) -> ActionRow:
        """One action, which there must be."""
        row = self.transact(lambda tx: tx.actions.get(action_id))
        assert row is not None
        return row

    def hold(self, action_id: str) -> HoldRow:
        """One hold, which there must be."""
        hold = self.transact(lambda tx: tx.holds.get(action_id))
        assert hold is not None
        return hold

    def vote(
        self, action_id: str, who: str, verdict: Literal["approve", "deny"] = "approve", **given: str
    ) -> holds.Vote:
        """A human's word on a hold; `shown` in `given` is another digest than the stored one."""
        return self.transact(lambda tx: cast(tx, action_id, self.keys[who], verdict, **given))

    def lines(self, *, event: str | None = None, action: str | None = None) -> list[dict[str, Any]]:
        """The ledger's lines, oldest first; all, or those of one event or action."""
        return self.transact(lambda tx: [json.loads(line.text) for line in tx.ledger.lines(event=event, action=action)])

    def verify(self, published: Path | None = None) -> Report:
        """What `ledger verify` finds."""
        home = self.home
        ring = Keyring.load(home.gateway_key)
        notes = published or home.checkpoints
        return self.transact(lambda tx: verify(tx, ring.head_mac, ring.checkpoint_key.public_key(), notes))

    def _furnish(self) -> None:
        home = self.home
        prepare(home)
        vault = LocalVault(home.data / "vault.enc", (self.folder / "passphrase").read_text().strip())
        for system in ("billing", "crm", "tickets"):
            vault.set(Reference.parse(f"kv/acme/{system}#api_key"), API_KEY)
        store = open_store(home)
        for who in PEOPLE:
            keep_key(home, who.id, admit(store, who, by="test"))
        store.close()


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """People, keys and a vault, made once per session; every test gets a copy."""
    return Place(tmp_path_factory.mktemp("furnished") / "place", "http://127.0.0.1:9").folder


@pytest.fixture
def place(furnished: Path, tmp_path: Path, acme: Acme) -> Place:
    """A prepared place over Acme on its first day."""
    return Place(tmp_path / "place", acme.url, ready=furnished)
