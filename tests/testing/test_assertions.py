"""The assertions of `gateway.testing` hold for an honest connector, and catch each way in which one is not."""

from __future__ import annotations

import pytest

from gateway.testing import (
    FakeUpstream,
    Harness,
    Request,
    assert_no_credential_seen,
    assert_preview_is_pure,
    assert_single_effect,
)
from tests.testing.library import LOAN, Library, hasty, keyed, looked, partly, plain

pytestmark = pytest.mark.anyio


async def test_an_honest_preview_is_pure() -> None:
    """V-8: nothing was written, and what was shown is what the call then does."""
    library = Library()
    async with Harness(plain, upstream=library) as gate:
        outcome = await assert_preview_is_pure(gate, "plain_lend", LOAN, record=library.record)
        assert (outcome.status, library.record()["loans"]) == ("done", 1)


@pytest.mark.parametrize(
    ("tool", "complaint"),
    [
        ("hasty_peek", r"the preview of hasty_peek is failed \(egress_blocked: POST is refused"),
        ("hasty_boast", "promises days as 15, and it became 14"),
        ("hasty_hide", r"changed \['loans'\], which its preview does not show"),
        ("hasty_twice", "the preview of hasty_twice is refused"),
    ],
)
async def test_a_preview_that_is_not_pure_is_caught(tool: str, complaint: str) -> None:
    """One that writes, promises too much, hides something, or is not there: each is named."""
    library = Library()
    async with Harness(hasty, upstream=library) as gate:
        with pytest.raises(AssertionError, match=complaint):
            await assert_preview_is_pure(gate, tool, LOAN, record=library.record)


async def test_a_preview_that_changes_the_record_is_caught() -> None:
    """An upstream whose record moves when it is looked at, e.g. because it counts its readers."""
    library = Library()

    def show(request: Request) -> object:
        library.record()["loans"] += 1
        return library.record()

    async with Harness(plain, upstream=FakeUpstream({"GET /books/{book}": show})) as gate:
        with pytest.raises(AssertionError, match="the preview of plain_lend changed the record"):
            await assert_preview_is_pure(gate, "plain_lend", LOAN, record=library.record)


async def test_a_preview_that_wavers_is_caught() -> None:
    """Two previews of one state that differ are no promise."""
    library = Library()
    loans = iter(range(100))
    counting = FakeUpstream({"GET /books/{book}": lambda request: {**library.record(), "loans": next(loans)}})
    async with Harness(plain, upstream=counting) as gate:
        with pytest.raises(AssertionError, match="two previews of plain_lend differ"):
            await assert_preview_is_pure(gate, "plain_lend", LOAN, record=library.record)


@pytest.mark.parametrize("connector", [plain, keyed, looked], ids=lambda connector: connector.name)
async def test_an_equal_call_has_one_effect(connector) -> None:
    """I-12: at once and again, whatever the upstream promises."""
    async with Harness(connector, upstream=Library()) as gate:
        outcome = await assert_single_effect(gate, f"{connector.name}_lend", LOAN)
        assert (outcome.status, outcome.original_status) == ("replayed", "done")


@pytest.mark.parametrize(
    ("connector", "ending"),
    [(plain, "unknown"), (keyed, "replayed"), (looked, "replayed")],
    ids=["plain", "keyed", "looked"],
)
async def test_a_lost_answer_has_one_effect(connector, ending: str) -> None:
    """I-8, I-11: who deduplicates is asked again, who can be asked is looked up, and else nobody guesses."""
    async with Harness(connector, upstream=Library()) as gate:
        outcome = await assert_single_effect(gate, f"{connector.name}_lend", LOAN, answer_lost=True)
        assert outcome.status == ending
        assert outcome.data == (None if ending == "unknown" else {"loan": "l1"})


async def test_a_second_effect_is_caught() -> None:
    """A connector that writes twice in one call is not once."""
    async with Harness(hasty, upstream=Library()) as gate:
        with pytest.raises(AssertionError, match="6 equal calls of hasty_twice had 2 effects"):
            await assert_single_effect(gate, "hasty_twice", LOAN)


async def test_a_call_that_does_nothing_is_not_once_either() -> None:
    """A refused call has no effect, so the test that was meant to see one fails, and says why."""
    async with Harness(plain, upstream=Library()) as gate:
        with pytest.raises(AssertionError, match=r"had 0 effects; the last is failed .*superstitious"):
            await assert_single_effect(gate, "plain_lend", {**LOAN, "days": 13})


async def test_no_credential_is_seen_even_when_the_upstream_repeats_it() -> None:
    """V-6, C-6: an echo is taken out of the answer and of everything the gateway keeps."""
    library = Library()
    async with Harness(plain, upstream=library) as gate:
        library.books["b1"]["id"] = f"Bearer {gate.secret}"
        assert (await gate.call("plain_book", {"book": "b1"})).data["id"] == "Bearer [redacted]"
        await assert_no_credential_seen(gate)


@pytest.mark.parametrize("place", ["answers", "log", "file stray.txt", "ledger"])
async def test_a_credential_that_is_seen_is_caught(place: str) -> None:
    """The search finds it in each of the places that it looks through."""
    async with Harness(plain, upstream=Library()) as gate:
        hidden = gate.secret.encode().hex()
        if place == "answers":
            gate.answers.append({"data": hidden})
        elif place == "log":
            gate.logs.append(hidden)
        elif place == "ledger":
            await gate.app.store.write(lambda tx: tx.ledger.append("CONFIG", tenant="default", policy=hidden))
        else:
            (gate.folder / "stray.txt").write_text(hidden)
        with pytest.raises(AssertionError, match=f"the credential is in the {'file' if place == 'ledger' else place}"):
            await assert_no_credential_seen(gate)


@pytest.mark.parametrize(
    ("secret", "half"), [("sk_live_51Kx7vQ2:X", "sk_live_51Kx7vQ2"), ("desk:51Kx7vQ2", "51Kx7vQ2")]
)
async def test_the_secret_half_of_a_login_is_looked_for(secret: str, half: str) -> None:
    """C-6: as the door looks for it, and not for a password of one letter, which would be everywhere."""
    async with Harness(plain, upstream=Library(), secret=secret) as gate:
        gate.logs.append("X marks the desk")
        await assert_no_credential_seen(gate)
        gate.logs.append(half)
        with pytest.raises(AssertionError, match="the credential is in the log"):
            await assert_no_credential_seen(gate)


async def test_a_write_that_the_upstream_does_not_deduplicate_is_sent_once() -> None:
    """I-8: its connector's header is for other paths, so it does not go out with it, and nobody trusts in it."""
    async with Harness(partly, upstream=Library()) as gate:
        assert (await assert_single_effect(gate, "partly_lend", LOAN, answer_lost=True)).status == "unknown"
        (sent,) = gate.upstream.writes
        assert "request-id" not in sent.headers
