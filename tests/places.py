"""Places to play in: one is furnished per session, and every test gets a copy. Fixtures, for a `conftest` to import."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acme import Acme, acme, shared_acme
from tests.living import Place

__all__ = ["acme", "furnished", "place", "shared_acme"]


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """People, keys and a vault, made once."""
    return Place(tmp_path_factory.mktemp("furnished") / "place", "http://127.0.0.1:9").folder


@pytest.fixture
def place(furnished: Path, tmp_path: Path, acme: Acme) -> Place:
    """A prepared place over Acme on its first day."""
    return Place(tmp_path / "place", acme.url, ready=furnished)
