"""One gateway for the whole module: Acme's tools and a thousand more behind it, and an agent for each client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from gateway.model import Kind, Principal
from gateway.setup import admit, keep_key, open_store
from tests.acme import Acme, shared_acme
from tests.clients import large_tools, many_tools
from tests.clients.players import CLIENTS
from tests.clients.story import SHORT, Played, steps
from tests.gate import Gate, gate
from tests.place import EVERYTHING, TENANT, Place

__all__ = ["shared_acme"]

AGENTS = {"crowd": "readers", "single": "one-tool", **dict.fromkeys(CLIENTS, "support")}
"""Each agent, and the group that says what it is offered."""


def write_policies(place: Place) -> None:
    """Acme's tools for support, with an approval and a limit; a thousand tools for readers; one for who has one."""
    refund = {"max": {"cents": 50_000}, "approve_over": {"cents": 2_500}}
    shelves = [f"shelf_look_{number:03}" for number in range(many_tools.COUNT)]
    groups = {
        "support": {**EVERYTHING, "billing_refund": refund, "gallery_show": "allow"},
        "readers": dict.fromkeys(shelves, "allow"),
        "one-tool": {"crm_get_customer": "allow"},
    }
    for group, tools in groups.items():
        approval = {"approval": {"from": ["finance"]}} if group == "support" else {}
        document = {"policy": group, "applies_to": {"groups": [group]}, **approval, "tools": tools}
        (place.folder / f"{group}.yaml").write_text(json.dumps(document))
    place.write_settings(
        policies=[f"{group}.yaml" for group in groups],
        connectors=[*place.connector_files, many_tools.__file__, large_tools.__file__],
    )


@dataclass(frozen=True)
class Serving:
    """A running gateway, and the agents' keys."""

    gate: Gate
    keys: dict[str, str]


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, shared_acme: Acme) -> Iterator[Serving]:
    """The gateway that every client of the module meets."""
    shared_acme.start_over()
    place = Place(tmp_path_factory.mktemp("clients") / "place", shared_acme.url)
    write_policies(place)
    home = place.home
    store = open_store(home)
    for name, group in AGENTS.items():
        who = Principal(TENANT, name, Kind.AGENT, frozenset({group}), owner="olga")
        keep_key(home, name, admit(store, who, by="test"))
    store.close()
    with gate(place) as started:
        yield Serving(started, {name: (home.keys / f"{name}.key").read_text().strip() for name in AGENTS})


CENTS = {client: 101 + number for number, client in enumerate(CLIENTS)}
"""The small write of each client: another amount for each tells their effects apart in the journal."""


@pytest.fixture(scope="module", params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    """The name of a client."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def played(serving: Serving, client: str) -> Played:
    """What that client made of the story, played once."""
    story = [step for step in steps(CENTS[client]) if client != "inspector" or step["name"] in SHORT]
    return CLIENTS[client](serving.gate.url, serving.keys[client], story)
