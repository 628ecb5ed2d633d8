"""Places to play the scenarios in, and a gateway over one."""

from collections.abc import Iterator

import pytest

from tests.acme import acme, shared_acme
from tests.gate import Gate, gate
from tests.place import Place, furnished, place
from tests.scenarios.asking import granting

__all__ = ["acme", "furnished", "place", "shared_acme"]


@pytest.fixture
def running(place: Place) -> Iterator[Gate]:
    """A gateway process over the place, under the policy that allows everything."""
    with gate(place) as started:
        yield started


@pytest.fixture
def asking(place: Place) -> Place:
    """The place, with the connector that asks, and sessions."""
    place.load("acme_ask", "ask", listen={"port": place.port, "sessions": True})
    place.write_policy(granting())
    return place
