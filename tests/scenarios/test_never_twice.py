"""Roads of a later call to a second effect, one by one: each ends with one effect, or with an honest `unknown`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acme import Acme
from tests.house import house
from tests.place import REFUND, ROOT, Place
from tests.scenarios.losing import TASK, effects, lost

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("fault", ["drop_after", None])
async def test_a_new_connection_finds_what_the_old_one_lost(place: Place, acme: Acme, fault: str | None) -> None:
    """I-15, F-8: on a pipe a lost answer comes with a new process and a new session, and is found all the same."""
    if fault:
        acme.fault(fault, method="POST")
    async with house(place) as gateway:
        first = await gateway.call("plain_refund", REFUND, delivered=False, session="ssn_" + "1" * 32)
    async with house(place) as gateway:
        again = await gateway.call("plain_refund", REFUND, session="ssn_" + "2" * 32)
        assert again["action_id"] == first["action_id"]
        assert again["status"] == ("unknown" if fault else "replayed")
        third = await gateway.call("plain_refund", REFUND, session="ssn_" + "2" * 32)
        assert third["action_id"] == first["action_id"]
    assert effects(acme) == 1


@pytest.mark.parametrize("task", [None, TASK])
@pytest.mark.parametrize("fault", ["drop_after", None])
async def test_a_new_release_of_a_tool_does_not_forget_what_was_lost(
    place: Place, acme: Acme, task: str | None, fault: str | None
) -> None:
    """I-15, F-8: an upgrade that rewords a tool changes its schema, and not whether its last call was answered."""
    if fault:
        acme.fault(fault, method="POST")
    async with house(place) as gateway:
        first = await gateway.call("plain_refund", REFUND, delivered=False, header_task=task)
    _reword(place)
    async with house(place) as gateway:
        again = await gateway.call("plain_refund", REFUND, header_task=task)
        assert again["action_id"] == first["action_id"]
        assert again["status"] == ("unknown" if fault else "replayed")
    assert effects(acme) == 1


async def test_a_new_key_is_no_way_around_a_doubt(place: Place, acme: Acme) -> None:
    """I-12: while nobody knows whether it happened, the same call is refused under any key and in any task."""
    async with house(place) as gateway:
        first = await lost(gateway, acme)
        before = len(acme.mutating())
        for again in (
            await gateway.call("keyed_pay_back", REFUND),
            await gateway.call("keyed_pay_back", {**REFUND, "idempotency_key": "another-key-of-the-model"}),
            await gateway.call("keyed_pay_back", REFUND, header_task="another-task-of-the-host"),
        ):
            assert (again["code"], again["action_id"]) == ("outcome_unknown", first["action_id"])
        assert len(acme.mutating()) == before
        refused = await gateway.ledger(event="REFUSED")
        assert [line["original"] for line in refused] == [first["action_id"]] * 3
    assert effects(acme) == 1


@pytest.mark.parametrize("hours", [1, 80])
async def test_an_answer_that_no_longer_stands_is_no_way_around_a_doubt(place: Place, acme: Acme, hours: int) -> None:
    """I-12: done long ago, then once more on purpose, which nobody knows of: the same call by itself is not a third."""
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


def _reword(place: Place) -> None:
    source = (ROOT / "tests" / "acme_tools.py").read_text()
    assert "Refund an upstream that neither" in source
    reworded = Path(place.folder / "reworded_tools.py")
    reworded.write_text(
        source.replace("Refund an upstream that neither", "Refund a customer, where the upstream neither")
    )
    place.connector_files = [str(ROOT / "connectors"), str(reworded)]
    place.write_settings()
