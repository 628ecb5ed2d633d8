"""Refunds whose answer is lost."""

from __future__ import annotations

from tests.acme import Acme
from tests.gate import Answer
from tests.house import House
from tests.place import REFUND

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
