"""A shop to call, and a server before it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serving import served
from tests.shop import Shop


@pytest.fixture
def gateway() -> Shop:
    """The gateway behind the wire, as it remembers what reached it."""
    return Shop()


@pytest.fixture
def port(gateway: Shop) -> Iterator[int]:
    """It is served here, over HTTP."""
    with served(gateway) as port:
        yield port
