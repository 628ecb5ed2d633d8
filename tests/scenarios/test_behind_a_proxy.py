"""Whose failures are counted when a proxy stands in front (semantics.md R-3)."""

from __future__ import annotations

import httpx
import pytest

from tests.acme import Acme
from tests.gate import Gate, gate
from tests.place import Place

LIMIT = 20


def refusals(running: Gate, *, clients: int) -> list[int]:
    """What more wrong keys than one client may show are answered, when a proxy says that so many clients sent them."""
    with httpx.Client(trust_env=False) as proxy:
        return [
            proxy.post(
                running.url,
                headers={"authorization": "Bearer wrong", "x-forwarded-for": f"203.0.113.{number % clients}"},
                content=b"{}",
            ).status_code
            for number in range(LIMIT + 4)
        ]


def test_a_proxy_on_this_machine_is_believed_who_its_clients_are(place: Place, acme: Acme) -> None:
    """R-3: failures of two clients behind it do not add up; those of one do."""
    with gate(place) as running:
        assert set(refusals(running, clients=2)) == {401}
        assert refusals(running, clients=1)[-1] == 429


@pytest.mark.parametrize("believed", ["192.0.2.1", ""])
def test_a_proxy_that_is_not_named_is_not_believed(place: Place, acme: Acme, believed: str) -> None:
    """R-3: what a stranger says of whom it speaks for does not free it of the limit."""
    with gate(place, FORWARDED_ALLOW_IPS=believed) as running:
        assert refusals(running, clients=LIMIT)[-1] == 429
