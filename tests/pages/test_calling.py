"""docs/calling.md: the envelope, the statuses, what a call may carry, and an agent that runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable

from gateway.demo.stage import effects
from gateway.outcome import Status
from gateway.tools import own_tools, published
from gateway.tools.envelope import output_schema
from gateway.wire import carried
from tests.pages.conftest import Played
from tests.pages.page import Page
from tests.services import eventually

PAGE = Page("docs/calling.md")


def column(title: str, number: int, *, header: str) -> list[str]:
    """What stands in code in one column of a section's table."""
    table = PAGE.section(title).split(f"| {header} |", 1)[1].split("\n\n")[0]
    cells = [line.split("|")[number + 1] for line in table.splitlines()[2:]]
    return [word for cell in cells for word in re.findall(r"`([\w./-]+)`", cell)]


def same(told: Iterable[str], known: Iterable[str]) -> bool:
    return sorted(told) == sorted(known)


def test_every_member_of_an_answer_is_told() -> None:
    """And no other."""
    assert same(column("The answer", 0, header="Member"), output_schema()["properties"])


def test_every_status_is_told() -> None:
    """And no other."""
    assert same(column("The answer", 0, header="Status"), map(str, Status))


def test_whatever_a_call_may_carry_is_told() -> None:
    """Control arguments, keys of `_meta` and headers."""
    title = "What a call may say"
    assert same(column(title, 0, header="Argument"), published.CONTROLS)
    assert same(column(title, 1, header="Argument"), (carried.META_KEY, carried.META_DRY_RUN, carried.META_TASK))
    headers = (carried.HEADER_KEY, carried.HEADER_DRY_RUN, carried.HEADER_TASK)
    assert same(map(str.lower, column(title, 2, header="Argument")), headers)


def test_the_gateways_own_tools_are_told_with_their_arguments() -> None:
    """And no other."""
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \|", PAGE.section("The gateway's own tools"), re.MULTILINE)
    told = {name: set(re.findall(r"`(\w+)`", arguments)) for name, arguments in rows}
    assert told == {name: set(model.model_fields) for name, model in own_tools.INPUTS.items()}
    assert f"up to {own_tools.MAX_WAIT} s" in PAGE.text


def test_the_agent_of_the_page_asks_waits_and_repeats(reader: Played) -> None:
    """Its refund is held, approved, done and then replayed; one arrives."""
    world = reader.demo.world
    (program,) = PAGE.blocks("python")
    agent = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "HOLDGATE_KEY": world.key("support-bot"), "HOLDGATE_URL": world.home.url},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert agent.stdout
    held = agent.stdout.readline().split()
    assert held[0] == "held"
    code, said = reader.console.run(f"holdgate approvals approve {held[1]} --yes --as fiona")
    assert code == 0, said
    said, _ = agent.communicate(timeout=60)
    *_, done, again = said.splitlines()
    assert done.startswith("done")
    assert again == f"replayed {held[1]}"
    assert eventually(lambda: len(effects(world, "/invoices/inv_1001/refunds")) == 1, "the refund")
