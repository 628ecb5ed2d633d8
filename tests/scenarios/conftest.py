"""Places to play the scenarios in: one is furnished per session, and every test gets a copy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acme import Acme, acme, shared_acme
from tests.living import Gate, Place, gate

__all__ = ["acme", "shared_acme"]


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """People, keys and a vault, made once."""
    folder = tmp_path_factory.mktemp("furnished") / "place"
    return Place(folder, "http://127.0.0.1:9").folder


@pytest.fixture
def place(furnished: Path, tmp_path: Path, acme: Acme) -> Place:
    """A prepared place over Acme on its first day."""
    return Place(tmp_path / "place", acme.url, ready=furnished)


@pytest.fixture
def running(place: Place) -> Iterator[Gate]:
    """A gateway process over the place, under the policy that allows everything."""
    with gate(place) as started:
        yield started
