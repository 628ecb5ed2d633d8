"""The proving ground: a whole gateway over a real Acme, as a process of its own; `tests.house` has one in the loop.

Nothing in it is a stand-in: the store, the vault, the ledger and the wire are the product's. What a test may turn is
the store's clock, Acme's faults, and the life of a process.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import httpx
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
from gateway.testing.driver import PATIENCE, cast
from tests.acme import API_KEY
from tests.services import eventually, free_port
from vault.local import LocalVault
from vault.reference import Reference

T = TypeVar("T")
Answer = dict[str, Any]

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


# -- a gateway as a process


class Gate:
    """A gateway process over a place: it can be killed and started again."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.log = place.folder / "gate.log"
        self.url = ""
        self.process: subprocess.Popen[str] | None = None
        self._http = httpx.Client(trust_env=False, timeout=PATIENCE, limits=httpx.Limits(max_connections=200))

    def start(self, **environment: str) -> Gate:
        """Start it, and return once it answers."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*self.place.holdgate, "serve", "--json"],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env={**os.environ, **environment},
            )
        assert self.process.stdout is not None
        ready = self.process.stdout.readline()
        if not ready:
            self._reap()
        assert ready, f"the gateway did not start:\n{self.log.read_text()[-2000:]}"
        self.url = json.loads(ready)["url"]
        return self

    def kill9(self) -> None:
        """End it as a power failure would."""
        assert self.process is not None
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        """End it in order."""
        assert self.process is not None
        self.process.terminate()
        return self._reap()

    def restart(self) -> Gate:
        """Kill it, and start it again on the same folder and port."""
        self.kill9()
        return self.start()

    def call(self, tool: str, args: Mapping[str, Any], *, as_: str = "bot", **control: Any) -> Answer:
        """One call over the modern wire; `control` as for `request`. Protocol errors come as `{"error": ...}`."""
        headers, body = request(tool, args, key=self.place.keys[as_], **control)
        return envelope(self._http.post(self.url, headers=headers, content=body))

    def ask(self, method: str, params: Mapping[str, Any], *, name: str | None = None, as_: str = "bot") -> Answer:
        """One request of any method over the modern wire, and the message that answers it; `name` as in `message`."""
        return self.post(*message(method, params, name=name, key=self.place.keys[as_]))

    def post(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """One message over the wire, and the message that answers it."""
        answer: Answer = self._http.post(self.url, headers=dict(headers), content=body).json()
        return answer

    def settled(self, action_id: str, as_: str = "bot") -> Answer:
        """The action's answer, once it is neither held nor running nor unknown."""

        def ended() -> Answer | None:
            answer = self.call("get_action", {"action_id": action_id, "wait_seconds": 2}, as_=as_)
            return answer if answer["status"] not in ("held", "running", "unknown") else None

        answer = eventually(ended, f"{action_id} to end")
        assert answer is not None
        return answer

    def close(self) -> None:
        """End it, however it is doing."""
        self._http.close()
        if self.process is not None and self.process.poll() is None:
            self.kill9()

    def _reap(self) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        code = self.process.wait(PATIENCE)
        self.process.stdout.close()
        return code


def request(
    tool: str,
    args: Mapping[str, Any],
    *,
    key: str,
    meta: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[dict[str, str], bytes]:
    """Headers and body of one call in the modern era."""
    params = {"name": tool, "arguments": dict(args)}
    return message("tools/call", params, name=tool, key=key, meta=meta, headers=headers)


def message(
    method: str,
    params: Mapping[str, Any],
    *,
    name: str | None,
    key: str,
    meta: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[dict[str, str], bytes]:
    """Headers and body of one request in the modern era; `name` is the tool, prompt or URI that it is about."""
    sent = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "proving-ground", "version": "1"},
        **(meta or {}),
    }
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": sent}}).encode()
    return {
        "authorization": f"Bearer {key}",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": method,
        **({"mcp-name": name} if name is not None else {}),
        **(headers or {}),
    }, body


def envelope(response: httpx.Response) -> Answer:
    """The envelope in an HTTP answer, or the protocol's error."""
    message: dict[str, Any] = response.json()
    if "result" not in message:
        return {"error": message["error"], "http": response.status_code}
    answer: Answer = message["result"]["structuredContent"]
    return answer


@contextmanager
def gate(place: Place, **environment: str) -> Iterator[Gate]:
    """A gateway process over `place` until the end of the block."""
    running = Gate(place)
    try:
        yield running.start(**environment)
    finally:
        running.close()
