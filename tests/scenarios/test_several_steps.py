"""Connectors of several requests: what is said of all of them is true of each, and none leaves after the end."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import pytest

from gateway.connector import Connector, Found, Preview, Risk, Upstream
from gateway.testing import Fault, Harness
from tests.testing.library import CREDENTIAL, LOAN, Book, Lent, Library, Loan, Which


@pytest.mark.anyio
async def test_a_failure_that_is_older_than_a_write_is_not_the_end_of_it() -> None:
    """I-7: where a `finally` of the connector writes, what it raises was said before: something was done since."""
    tidy = Connector("tidy", base_url="https://library.example", credential=CREDENTIAL)

    @tidy.write(risk=Risk.LOW)
    async def lend(args: Loan, upstream: Upstream) -> Lent:
        """Look for the reader, and lend the book whatever was found."""
        try:
            await upstream.get("/readers")
        finally:
            await upstream.post(f"/books/{args.book}/loans", {"days": args.days})
        return Lent(loan="l1")

    async with Harness(tidy, upstream=Library()) as gate:
        first = await gate.call("tidy_lend", LOAN)
        assert (first.status, first.code) == ("unknown", "outcome_unknown")
        again = await gate.call("tidy_lend", LOAN)
        assert (again.code, again.action_id) == ("outcome_unknown", first.action_id)
        assert len(gate.upstream.effects) == 1


@pytest.mark.anyio
async def test_what_a_connector_left_behind_does_not_go_out_on_an_action_that_has_ended() -> None:
    """I-6, I-7: `gather` gives up with the first failure and leaves the rest running: no write leaves after the end."""
    hurried = Connector("hurried", base_url="https://library.example", credential=CREDENTIAL, max_concurrent=1)

    @hurried.write(risk=Risk.LOW)
    async def lend(args: Loan, upstream: Upstream) -> Lent:
        """Look for the reader and the book, and lend it meanwhile."""
        book = f"/books/{args.book}"
        lending = upstream.post(f"{book}/loans", {"days": args.days})
        await asyncio.gather(upstream.get("/readers"), upstream.get(book), lending)
        return Lent(loan="l1")

    @hurried.read()
    async def book(args: Which, upstream: Upstream) -> Book:
        """Show a book, after all that waits for its turn."""
        return Book.model_validate(await upstream.get(f"/books/{args.book}"))

    async with Harness(hurried, upstream=Library()) as gate:
        assert (await gate.call("hurried_lend", LOAN)).code == "upstream_rejected"
        assert (await gate.call("hurried_book", {"book": "b1"})).status == "done"
        assert not gate.upstream.writes


@pytest.mark.anyio
async def test_a_write_that_happened_does_not_speak_for_another_that_may_have() -> None:
    """I-7: of two writes at once the first one's answer is no JSON, and the second one's has not come: nobody knows."""
    doubled = Connector("doubled", base_url="https://library.example", credential=CREDENTIAL)

    @doubled.write(risk=Risk.LOW)
    async def lend(args: Loan, upstream: Upstream) -> Lent:
        """Lend two copies."""
        loans = f"/books/{args.book}/loans"
        await asyncio.gather(upstream.post(loans, {"days": 1}), upstream.post(loans, {"days": 2}))
        return Lent(loan="l1")

    async with Harness(doubled, upstream=Library()) as gate:
        gate.upstream.inject(Fault.stall(), on="POST")
        gate.upstream.inject(Fault.malformed(), on="POST")
        told = await gate.call("doubled_lend", LOAN)
        assert (told.status, told.code) == ("unknown", "outcome_unknown")
        assert "cannot be read" in str(told.message)
        gate.upstream.release()


@pytest.mark.anyio
async def test_a_first_write_that_happened_ends_an_action_of_two_as_done() -> None:
    """I-7: its answer cannot be read, so the second never left; refused, the second one leaves the whole in doubt."""
    stepwise = Connector("stepwise", base_url="https://library.example", credential=CREDENTIAL)

    @stepwise.write(risk=Risk.LOW)
    async def lend(args: Loan, upstream: Upstream) -> Lent:
        """Lend a book, and then for days that the library refuses."""
        await upstream.post(f"/books/{args.book}/loans", {"days": args.days})
        return Lent.model_validate(await upstream.post(f"/books/{args.book}/loans", {"days": 13}))

    async with Harness(stepwise, upstream=Library()) as gate:
        gate.upstream.inject(Fault.malformed(), on="POST")
        told = await gate.call("stepwise_lend", LOAN)
        assert (told.status, told.code, len(gate.upstream.writes)) == ("done", "upstream_bad_answer", 1)
        told = await gate.call("stepwise_lend", {**LOAN, "days": 1})
        assert (told.status, told.code, len(gate.upstream.writes)) == ("unknown", "outcome_unknown", 3)


def forgiving(*, looks: bool) -> Connector:
    """A connector that catches what it is told of its write, and either reads the book then or does not."""
    connector = Connector("forgiving", base_url="https://library.example", credential=CREDENTIAL)

    @connector.write(risk=Risk.LOW)
    async def lend(args: Loan, upstream: Upstream) -> Book:
        """Lend a book, and show it."""
        book = f"/books/{args.book}"
        before = await upstream.get(book)
        with suppress(Exception):
            await upstream.post(f"{book}/loans", {"days": args.days})
        return Book.model_validate(await upstream.get(book) if looks else {**before, "days": args.days})

    return connector


@pytest.mark.anyio
async def test_a_connector_that_catches_a_doubt_does_not_settle_it() -> None:
    """I-7: nobody knows whether it happened, whatever the connector says; a read before it tells nothing."""
    async with Harness(forgiving(looks=False), upstream=Library()) as gate:
        gate.upstream.lose_next_answer()
        told = await gate.call("forgiving_lend", LOAN)
        assert (told.status, told.code, told.data) == ("unknown", "outcome_unknown", None)
        (line,) = [json.loads(line) for line in gate.logs if "connector_guessed" in line]
        assert (line["tool"], line["action"]) == ("forgiving_lend", told.action_id)
        again = await gate.call("forgiving_lend", LOAN)
        assert (again.code, again.action_id) == ("outcome_unknown", told.action_id)
        assert len(gate.upstream.effects) == 1
        other = await gate.call("forgiving_lend", {**LOAN, "days": 1})
        assert other.status == "done", "a write that was answered leaves no doubt"


@pytest.mark.anyio
async def test_a_connector_that_catches_a_doubt_and_looks_is_believed() -> None:
    """I-7: what it read after the answer was lost can have told it; a read that failed cannot."""
    async with Harness(forgiving(looks=True), upstream=Library()) as gate:
        gate.upstream.lose_next_answer()
        told = await gate.call("forgiving_lend", LOAN)
        assert (told.status, told.data) == ("done", {"id": "b1", "days": 14, "loans": 1})
        assert len(gate.upstream.effects) == 1


@pytest.mark.anyio
async def test_a_read_that_began_before_the_doubt_does_not_settle_it() -> None:
    """I-7: what was asked while the write was under way may have been answered from before it."""
    at_once, lost = Connector("at1", base_url="https://library.example", credential=CREDENTIAL), asyncio.Event()

    @at_once.write(risk=Risk.LOW)
    async def lend(args: Loan, upstream: Upstream) -> Lent:
        """Lend a book, and look at it meanwhile."""
        reading = asyncio.create_task(upstream.get(f"/books/{args.book}"))
        with suppress(Exception):
            await upstream.post(f"/books/{args.book}/loans", {"days": args.days})
        lost.set()
        await reading
        return Lent(loan="l1")

    async with Harness(at_once, upstream=Library()) as gate:
        gate.upstream.inject(Fault.stall(), on="GET")
        gate.upstream.lose_next_answer()
        call = asyncio.create_task(gate.call("at1_lend", LOAN))
        await gate.upstream.stalled()
        await lost.wait()
        gate.upstream.release()
        assert (await call).status == "unknown"


@pytest.mark.anyio
async def test_what_a_look_left_behind_does_not_go_out_either() -> None:
    """D-3, I-11: a preview, and a lookup, that have ended read no more on their permits."""
    curious = Connector("curious", base_url="https://library.example", credential=CREDENTIAL, max_concurrent=1)

    async def look(upstream: Upstream) -> None:
        """Look for what is not there, and meanwhile for more, one after the other."""
        await asyncio.gather(upstream.get("/readers"), upstream.get("/books/b1"), upstream.get("/loans"))

    @curious.write(risk=Risk.LOW)
    async def lend(args: Loan, upstream: Upstream) -> Lent:
        """Lend a book."""
        return Lent.model_validate(await upstream.post(f"/books/{args.book}/loans", {"days": args.days}))

    @lend.preview
    async def preview_lend(args: Loan, upstream: Upstream) -> Preview:
        """What cannot be told."""
        await look(upstream)
        return Preview.diff({}, {})

    @lend.lookup
    async def find_loan(args: Loan, upstream: Upstream) -> Found:
        """What cannot be found."""
        await look(upstream)
        return Found.not_done()

    async with Harness(curious, upstream=Library()) as gate:
        assert (await gate.call("curious_lend", LOAN, dry_run=True)).code == "upstream_rejected"
        gate.upstream.lose_next_answer()
        assert (await gate.call("curious_lend", LOAN)).status == "unknown"
        gate.clock.turn(3)
        await gate.sweep()
        await gate.upstream.arrived(5)
        assert (await gate.call("curious_lend", {**LOAN, "days": 1})).status == "done"
        seen = [request.path for request in gate.upstream.journal if not request.writes]
        assert seen == ["/readers", "/books/b1"] * 2
