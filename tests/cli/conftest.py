"""Homes to run commands on: one freshly initialised, and one with a running gateway over a real Acme."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.settings import Home
from tests.acme import acme, shared_acme
from tests.cli.command import Holdgate
from tests.place import Place, furnished, place
from tests.services import free_port

__all__ = ["acme", "furnished", "place", "shared_acme"]


@pytest.fixture(scope="session")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that `holdgate init` made; copied by `home`, because stretching a passphrase takes long."""
    folder = tmp_path_factory.mktemp("initialised") / "home"
    made = Holdgate(Path("unused"))("init", str(folder))
    assert made.code == 0, made.err
    return folder


@pytest.fixture
def home(initialised: Path, tmp_path: Path) -> Path:
    """The folder of a home of one's own, on a port that is free here."""
    shutil.copytree(initialised, tmp_path / "home")
    settings = tmp_path / "home" / "holdgate.yaml"
    settings.write_text(settings.read_text().replace("port: 8420", f"port: {free_port()}"))
    return tmp_path / "home"


@pytest.fixture
def url(home: Path) -> str:
    """Where its gateway would be found."""
    return Home(home / "holdgate.yaml").url


@pytest.fixture
def holdgate(home: Path) -> Holdgate:
    """The command line on that home."""
    return Holdgate(home / "holdgate.yaml")


@pytest.fixture
def before_acme(place: Place) -> Holdgate:
    """The command line on that place."""
    return Holdgate(place.folder / "holdgate.yaml")


@pytest.fixture
def gateway(before_acme: Holdgate) -> Iterator[Holdgate]:
    """The same, with `holdgate serve` running."""
    with before_acme.serving():
        yield before_acme
