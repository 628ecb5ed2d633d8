"""What a tool says to its caller before its answer: progress in both eras, and lines for the log of its own session."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from mcp import Client
from mcp_types import LoggingMessageNotification, LoggingMessageNotificationParams

from tests.acme import API_KEY
from tests.gate import Gate, gate
from tests.place import Place, policy
from tests.sdk import ERAS, sdk_client

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")]

Lines = list[LoggingMessageNotificationParams]


@pytest.fixture
def talking(place: Place) -> Iterator[Gate]:
    """A gateway that keeps sessions, with the connector that speaks."""
    place.load("acme_talk", "talk", listen={"port": place.port, "sessions": True})
    place.write_policy(policy({"talk_count": "allow", "talk_babble": "allow"}))
    with gate(place) as started:
        yield started


@asynccontextmanager
async def connected(gateway: Gate, era: str, lines: Lines | None = None, *, as_: str = "bot") -> AsyncIterator[Client]:
    """A client of an era; what it hears for its log goes to `lines`."""

    async def hear(message: object) -> None:
        if isinstance(message, LoggingMessageNotification) and lines is not None:
            lines.append(message.params)

    async with sdk_client(gateway.url, gateway.place.keys[as_], era, message_handler=hear) as client:
        yield client


@pytest.mark.parametrize("era", ERAS)
async def test_progress_reaches_a_client_that_asked_before_its_answer(talking: Gate, era: str) -> None:
    """Both eras: each step, in order, with total and words."""
    seen: list[tuple[float, float | None, str | None]] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total, message))

    async with connected(talking, era) as client:
        result = await client.call_tool("talk_count", {"to": 3}, progress_callback=heard)
    assert result.structured_content["status"] == "done"
    assert seen == [(1, 3, "Row 1."), (2, 3, "Row 2."), (3, 3, "Row 3.")]


def test_a_client_that_did_not_ask_gets_its_answer_and_nothing_else(talking: Gate) -> None:
    """Without a progress token the answer is one JSON object, and no stream."""
    assert talking.call("talk_count", {"to": 3})["status"] == "done"


async def test_a_tool_that_says_too_much_is_not_heard_out(talking: Gate) -> None:
    """T-4: a burst passes, the rest is dropped, and the call goes on."""
    seen: list[float] = []
    lines: Lines = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    async with connected(talking, "legacy", lines) as client:
        result = await client.call_tool("talk_count", {"to": 1_000}, progress_callback=heard)
    assert result.structured_content["status"] == "done"
    assert 10 <= len(seen) <= 100
    assert 20 <= len(seen) + len(lines) <= 100


async def test_lines_go_to_the_callers_own_session_and_to_no_other(talking: Gate) -> None:
    """A-8: neither another session of the same principal nor another principal hears of a call."""
    own: Lines = []
    others: Lines = []
    async with (
        connected(talking, "legacy", own) as caller,
        connected(talking, "legacy", others) as same,
        connected(talking, "legacy", others, as_="clerk") as clerk,
    ):
        for listener in (same, clerk):
            await listener.set_logging_level("debug")
        await caller.call_tool("talk_count", {"to": 2})
        for listener in (same, clerk):
            await listener.call_tool("list_my_actions", {})
    assert [(line.level, line.logger, line.data) for line in own] == [
        ("info", "talk_count", "Row 1."),
        ("info", "talk_count", "Row 2."),
    ]
    assert others == []


async def test_a_session_hears_what_matters_to_it(talking: Gate) -> None:
    """From `info` on, until the client has set another level; then from there on."""
    lines: Lines = []
    async with connected(talking, "legacy", lines) as client:
        await client.call_tool("talk_babble", {})
        assert [line.level for line in lines] == ["warning", "error"]
        await client.set_logging_level("debug")
        await client.call_tool("talk_babble", {})
        assert [line.level for line in lines[2:]] == ["debug", "warning", "error"]
        await client.set_logging_level("critical")
        await client.call_tool("talk_babble", {})
    assert len(lines) == 5


@pytest.mark.parametrize("era", ERAS)
async def test_what_a_tool_says_is_cleaned_as_its_answer_is(talking: Gate, era: str) -> None:
    """C-6, T-2: no credential, nothing invisible, and no more than a line of it; and no log in the era without one."""
    lines: Lines = []
    said: list[str | None] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        said.append(message)

    async with connected(talking, era, lines) as client:
        await client.call_tool("talk_babble", {}, progress_callback=heard)
    told = [str(line.data) for line in lines]
    assert API_KEY not in "".join([*told, *map(str, said)])
    assert len(said) == 1
    assert str(said[0]).startswith("Signed with [redacted].")
    assert len(str(said[0])) == 200
    if era == "legacy":
        assert told == ["The key is [redacted], and here is a trick.", "y" * 2_000]
    else:
        assert told == []
