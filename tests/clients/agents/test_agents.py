"""The real command-line agents, each with a scripted model, against a running gateway: what their models are shown.

Large to install, so `make test-clients` runs it and plain pytest does not.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gateway.tools.own_tools import PUBLISHED
from tests.acme import Acme, acme, shared_acme
from tests.clients import many_tools
from tests.clients.agents.agents import AGENTS_BY_NAME, Desk, printed
from tests.clients.agents.model import Model
from tests.clients.agents.relay import Relay, relay
from tests.clients.many_tools import COUNT
from tests.clients.story import STATUSES, Step, steps
from tests.gate import Gate, gate
from tests.node import node, program
from tests.place import Place, furnished, policy

__all__ = ["acme", "furnished", "shared_acme"]

pytestmark = pytest.mark.skipif(
    os.environ.get("HOLDGATE_TEST_AGENTS") != "1", reason="the agents are large; run `make test-clients`"
)

SMALL = 101
LOST = 707
TASK = "refund-42"


@pytest.fixture
def place(furnished: Path, tmp_path: Path, acme: Acme) -> Place:
    """A place where refunds wait for finance from 25.00 on, and are refused above 500.00."""
    made = Place(tmp_path / "place", acme.url, ready=furnished)
    refund = {"max": {"cents": 50_000}, "approve_over": {"cents": 2_500}}
    made.write_policy(policy({"billing_refund": refund}, approval={"from": ["finance"]}))
    return made


@pytest.fixture
def way(place: Place) -> Iterator[Relay]:
    """What every agent reaches the gateway through."""
    with relay(place.port) as built:
        place.write_settings(listen={"port": place.port, "public_url": f"http://127.0.0.1:{built.port}"})
        yield built


@pytest.fixture
def running(place: Place, way: Relay) -> Iterator[Gate]:
    """The gateway behind it."""
    with gate(place) as started:
        yield started


@pytest.fixture(params=AGENTS_BY_NAME)
def desk(request: pytest.FixtureRequest, tmp_path: Path, place: Place, running: Gate) -> Desk:
    """An agent that was connected by the printed lines."""
    return Desk(AGENTS_BY_NAME[request.param], tmp_path / "desk", place)


def refunds(acme: Acme, cents: int) -> int:
    """How many refunds of this amount have arrived."""
    return sum(entry["body"]["cents"] == cents for entry in acme.mutating())


def test_a_model_is_shown_every_envelope_whole(desk: Desk, place: Place, acme: Acme) -> None:
    """I-14, H-9: through each agent a model can read, preview, write, be held, follow up, and learn why it may not."""

    def approve(shown: Mapping[str, str]) -> None:
        place.vote(dialect.envelope(shown["held"])["action_id"], "fay")

    dialect = desk.agent.dialect()
    follow_up: Step = {"name": "decided", "tool": "get_action", "arguments": {"action_id": "$held", "wait_seconds": 20}}
    model = Model(dialect, [*steps(SMALL), follow_up], {"decided": approve})
    said = desk.work(model, HOLDGATE_TASK=TASK)

    assert {"billing_refund", *PUBLISHED} <= set(model.offered), said
    mine = {
        step: status for step, status in STATUSES.items() if not (step == "malformed" and desk.agent.client == "gemini")
    }
    for step, status in {**mine, "decided": "done"}.items():
        envelope = dialect.envelope(model.shown[step])
        assert envelope["status"] == status, step
        assert envelope["action_id"].startswith("act_")
        assert status in ("done", "previewed", "replayed") or envelope["next"], step
    assert dialect.envelope(model.shown["preview"])["diff"]
    assert dialect.envelope(model.shown["denied"])["code"] == "not_permitted"
    assert "billing_wire_transfer" in model.shown["absent"]
    assert refunds(acme, SMALL) == 1
    assert refunds(acme, 2_600 + SMALL) == 1
    assert len(acme.mutating()) == 3  # with the refund that Acme refused


def test_the_printed_lines_name_the_task_and_leave_no_key_behind(desk: Desk, place: Place) -> None:
    """I-16: by header or by thread a task is known, and no file of the agent holds the key."""
    model = Model(desk.agent.dialect(), steps(SMALL)[:1])
    desk.work(model, HOLDGATE_TASK=TASK)
    (action,) = [row for row in place.actions() if row.tool == "billing_lookup_invoice"]
    assert action.task_source == ("client_thread" if desk.agent.client == "codex" else "header")
    assert desk.key not in desk.lines
    files = [path for path in desk.home.rglob("*") if path.is_file() and not path.is_symlink()]
    assert files
    assert [path for path in files if desk.key.encode() in path.read_bytes()] == []


def test_a_lost_answer_is_asked_for_again_and_happens_once(desk: Desk, way: Relay, acme: Acme) -> None:
    """F-8, I-15: the connection is cut after the gateway has done it; the model calls again, and gets that answer."""
    dialect = desk.agent.dialect()
    arguments = {"invoice": "inv_1001", "cents": LOST, "cause": "duplicate"}
    story: list[Step] = [{"name": name, "tool": "billing_refund", "arguments": arguments} for name in ("lost", "again")]
    way.lose(f'"cents":{LOST}'.encode())
    model = Model(dialect, story)
    desk.work(model)
    assert way.lost.is_set()
    assert refunds(acme, LOST) == 1
    if "again" not in model.shown:
        # The agent ended its turn without a word, so a person starts it again.
        model = Model(dialect, story[1:])
        desk.work(model)
    answer = dialect.envelope(model.shown["again"])
    assert answer["status"] == "replayed"
    assert answer["data"]["cents"] == LOST
    assert refunds(acme, LOST) == 1


@pytest.mark.parametrize("name", AGENTS_BY_NAME)
def test_a_thousand_tools_reach_a_model_as_far_as_its_agent_reads(
    name: str, place: Place, way: Relay, tmp_path: Path
) -> None:
    """Rule 13: a list of several pages is read whole, but by Gemini, which reads the first."""
    shelves = {f"shelf_look_{number:03}": "allow" for number in range(COUNT)}
    place.write_policy(json.dumps({"policy": "shelves", "applies_to": {"groups": ["support"]}, "tools": shelves}))
    listen = {"port": place.port, "public_url": f"http://127.0.0.1:{way.port}"}
    place.write_settings(connectors=[*place.connector_files, many_tools.__file__], listen=listen)
    with gate(place):
        model = Model(AGENTS_BY_NAME[name].dialect(), [])
        Desk(AGENTS_BY_NAME[name], tmp_path / "desk", place).work(model)
    whole = COUNT + len(PUBLISHED)
    assert len(model.offered) == whole if name != "gemini" else 300 < len(model.offered) < whole


def test_the_inspector_starts_as_it_is_printed(place: Place, running: Gate, tmp_path: Path) -> None:
    """The line for a shell, with the key from its variable."""
    inspector = " ".join(program("inspector"))
    (tmp_path / "npx").write_text(f'#!/bin/sh\nshift\nexec {inspector} "$@"\n')
    (tmp_path / "npx").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{node().parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
    lines = printed(place, "inspector", "bot")
    ran = subprocess.run(["sh", "-ec", lines], env=environment, capture_output=True, text=True, check=True)
    assert {tool["name"] for tool in json.loads(ran.stdout)["tools"]} >= set(PUBLISHED)
