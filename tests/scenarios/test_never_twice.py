"""Roads to a second effect, tried one by one: each ends with one effect, or with an honest `unknown`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.connector import Connector, Found, Preview, Risk, Upstream
from gateway.model import State
from gateway.store.actions import ActionRow
from gateway.store.transaction import Transaction
from gateway.testing import Fault, Harness
from tests.acme import Acme
from tests.house import Clock, House, house, run
from tests.living import REFUND, ROOT, TENANT, Answer, Place, held
from tests.testing.library import CREDENTIAL, LOAN, Book, Lent, Library, Loan, Which

TASK = "a-task-of-the-hosts"
TRIES = 3
"""How often the door sends one dispatch to an upstream that deduplicates."""


def effects(acme: Acme) -> int:
    """How many refunds were made."""
    return sum(bool(arrival["committed"]) for arrival in acme.mutating())


async def lost(gateway: House, acme: Acme) -> Answer:
    """A refund that the upstream made, and of which no attempt was answered."""
    acme.fault("drop_after", method="POST", times=TRIES)
    answer = await gateway.call("keyed_pay_back", REFUND)
    assert (answer["status"], effects(acme)) == ("unknown", 1)
    return answer


@pytest.mark.parametrize(("status", "times"), [(429, TRIES), (409, 1), (401, 1), (503, TRIES)])
def test_a_sending_again_that_is_refused_says_nothing_of_the_first(
    place: Place, acme: Acme, status: int, times: int
) -> None:
    """I-8: whatever the second sending is told, the first may have happened: the outcome stays unknown."""

    async def scenario() -> None:
        async with house(place) as gateway:
            first = await lost(gateway, acme)
            acme.fault("fail_before", status, method="POST", times=times)
            gateway.clock.turn(3)
            await gateway.sweep()
            assert await gateway.state(first["action_id"]) is State.UNKNOWN
            assert (await gateway.call("keyed_pay_back", REFUND))["code"] == "outcome_unknown"
            gateway.clock.turn(60)
            await gateway.sweep()
            assert (await gateway.ended(first["action_id"]))["status"] == "done", "and it is asked once more"
        assert effects(acme) == 1

    run(scenario)


def test_a_sending_again_that_reaches_nobody_says_nothing_of_the_first(place: Place, acme: Acme) -> None:
    """I-7, I-8: a refused connection proves that this attempt was not sent, and not that the first was not."""

    async def scenario() -> None:
        async with house(place) as gateway:
            first = await lost(gateway, acme)
        place.write_settings(connector={"keyed": {"base_url": "http://127.0.0.1:9", "internal": True}})
        async with house(place, gateway.clock) as gateway:
            gateway.clock.turn(3)
            await gateway.sweep()
            tried = await gateway.until(lambda tx: _unknown(tx, first["action_id"]), "the second sending to end")
            assert tried is not None
            assert tried.tries > 0
        assert effects(acme) == 1

    run(scenario)


def test_an_upstream_is_not_trusted_to_remember_a_key_for_days(place: Place, acme: Acme) -> None:
    """I-8: an unknown write of yesterday is not sent again, for the upstream may have forgotten its key by now."""

    async def scenario() -> None:
        async with house(place) as gateway:
            first = await lost(gateway, acme)
            before = len(acme.mutating())
            gateway.clock.turn(2 * 86_400)
            await gateway.sweep()
            assert await gateway.state(first["action_id"]) is State.UNKNOWN
            assert len(acme.mutating()) == before
            assert not await gateway.app.store.read(lambda tx: tx.actions.due()), "it is left to an operator"

    run(scenario)


def test_a_stop_holds_for_a_sending_again(place: Place, acme: Acme) -> None:
    """T-10, I-8: an unknown write of a tool that is stopped is not sent again until the stop is lifted."""

    async def scenario() -> None:
        async with house(place) as gateway:
            first = await lost(gateway, acme)
            before = len(acme.mutating())
            place.transact(lambda tx: tx.switches.stop(TENANT, "tool", "keyed_pay_back", by="olga", because="a drill"))
            gateway.clock.turn(3)
            await gateway.sweep()
            assert await gateway.state(first["action_id"]) is State.UNKNOWN
            assert len(acme.mutating()) == before
            place.transact(lambda tx: tx.switches.resume(TENANT, "tool", "keyed_pay_back"))
            gateway.clock.turn(60)
            await gateway.sweep()
            assert (await gateway.ended(first["action_id"]))["status"] == "done"
        assert effects(acme) == 1

    run(scenario)


def test_an_approved_write_is_not_looked_for_too_early(place: Place, acme: Acme) -> None:
    """I-11: the consistency delay runs from the sending, and not from the call that waited an hour for its approval."""
    place.write_policy(held("looked_pay_out", expires="4h"))
    acme.fault("drop_before", method="POST")

    async def scenario() -> None:
        async with house(place) as gateway:
            asked = await gateway.call("looked_pay_out", REFUND)
            gateway.clock.turn(3_600)
            assert (await gateway.vote(asked["action_id"], "fay")).accepted
            await gateway.sweep()
            assert await gateway.state(asked["action_id"]) is State.UNKNOWN
            gateway.clock.turn(2.5)
            await gateway.sweep()
            assert await gateway.state(asked["action_id"]) is State.UNKNOWN, "the record may not have settled yet"
            for _ in range(3):
                gateway.clock.turn(60)
                await gateway.sweep()
            assert (await gateway.ended(asked["action_id"]))["status"] == "failed"

    run(scenario)


def test_a_clock_that_leaps_does_not_end_what_is_under_way(place: Place, acme: Acme) -> None:
    """I-8, I-11: after a leap of the clock a write on its way is no lost one, for this process and for another."""
    acme.fault("wait_for_release", "before", method="POST")

    async def scenario() -> None:
        clock = Clock()
        async with house(place, clock) as gateway, house(place, clock) as other:
            pending = asyncio.create_task(gateway.call("looked_pay_out", REFUND))
            await asyncio.to_thread(acme.wait_for_parked)
            clock.turn(86_400)
            for watcher in (gateway, other, other, gateway):
                await watcher.app.reconciler.sweep()
                clock.turn(600)
            acme.release()
            assert (await pending)["status"] == "done"
            assert (await other.call("looked_pay_out", REFUND))["status"] == "replayed"
        assert effects(acme) == 1

    run(scenario)


@pytest.mark.parametrize("fault", ["drop_after", None])
def test_a_new_connection_finds_what_the_old_one_lost(place: Place, acme: Acme, fault: str | None) -> None:
    """I-15, F-8: on a pipe a lost answer comes with a new process and a new session, and is found all the same."""
    if fault:
        acme.fault(fault, method="POST")

    async def scenario() -> None:
        async with house(place) as gateway:
            first = await gateway.call("plain_refund", REFUND, delivered=False, session="ssn_" + "1" * 32)
        async with house(place) as gateway:
            again = await gateway.call("plain_refund", REFUND, session="ssn_" + "2" * 32)
            assert again["action_id"] == first["action_id"]
            assert again["status"] == ("unknown" if fault else "replayed")
            third = await gateway.call("plain_refund", REFUND, session="ssn_" + "2" * 32)
            assert third["action_id"] == first["action_id"]
        assert effects(acme) == 1

    run(scenario)


@pytest.mark.parametrize("task", [None, TASK])
@pytest.mark.parametrize("fault", ["drop_after", None])
def test_a_new_release_of_a_tool_does_not_forget_what_was_lost(
    place: Place, acme: Acme, task: str | None, fault: str | None
) -> None:
    """I-15, F-8: an upgrade that rewords a tool changes its schema, and not whether its last call was answered."""
    if fault:
        acme.fault(fault, method="POST")

    async def scenario() -> None:
        async with house(place) as gateway:
            first = await gateway.call("plain_refund", REFUND, delivered=False, header_task=task)
        _reword(place)
        async with house(place) as gateway:
            again = await gateway.call("plain_refund", REFUND, header_task=task)
            assert again["action_id"] == first["action_id"]
            assert again["status"] == ("unknown" if fault else "replayed")
        assert effects(acme) == 1

    run(scenario)


def test_a_new_key_is_no_way_around_a_doubt(place: Place, acme: Acme) -> None:
    """I-12: while nobody knows whether it happened, the same call is refused under any key and in any task."""

    async def scenario() -> None:
        async with house(place) as gateway:
            first = await lost(gateway, acme)
            before = len(acme.mutating())
            for again in (
                await gateway.call("keyed_pay_back", {**REFUND, "idempotency_key": "another-key-of-the-model"}),
                await gateway.call("keyed_pay_back", REFUND, header_task="another-task-of-the-host"),
            ):
                assert (again["code"], again["action_id"]) == ("outcome_unknown", first["action_id"])
            assert len(acme.mutating()) == before
        assert effects(acme) == 1

    run(scenario)


@pytest.mark.parametrize("hours", [1, 80])
def test_an_answer_that_no_longer_stands_is_no_way_around_a_doubt(place: Place, acme: Acme, hours: int) -> None:
    """I-12: done long ago, then once more on purpose, which nobody knows of: the same call by itself is not a third."""

    async def scenario() -> None:
        async with house(place) as gateway:
            assert (await gateway.call("plain_refund", REFUND, header_task=TASK))["status"] == "done"
            gateway.clock.turn(hours * 3_600)
            await gateway.sweep()
            acme.fault("drop_after", method="POST")
            once_more = {**REFUND, "idempotency_key": "once-more-on-purpose"}
            doubted = await gateway.call("plain_refund", once_more, header_task=TASK)
            assert doubted["status"] == "unknown"
            again = await gateway.call("plain_refund", REFUND, header_task=TASK)
            assert (again["code"], again["action_id"]) == ("outcome_unknown", doubted["action_id"])
        assert effects(acme) == 2

    run(scenario)


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


def _unknown(tx: Transaction, action_id: str) -> ActionRow | None:
    """The action, once nobody sends it any more and its outcome is unknown; what is settled never becomes that."""
    return next((row for row in tx.actions.unsettled() if row.id == action_id), None)


def _reword(place: Place) -> None:
    source = (ROOT / "tests" / "acme_tools.py").read_text()
    assert "Refund an upstream that neither" in source
    reworded = Path(place.folder / "reworded_tools.py")
    reworded.write_text(
        source.replace("Refund an upstream that neither", "Refund a customer, where the upstream neither")
    )
    place.connector_files = [str(ROOT / "connectors"), str(reworded)]
    place.write_settings()
