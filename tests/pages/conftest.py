"""The demo after the calls of the quickstart: what several pages go on from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.demo.running import Demo, environment, running_demo
from tests.pages.console import Console
from tests.pages.page import Page


@dataclass(frozen=True)
class Played:
    """A demo, and the shell of the reader who played the quickstart in it."""

    demo: Demo
    console: Console


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Played]:
    """A running demo, and a reader who has done nothing yet."""
    with _reader(tmp_path) as played:
        yield played


@pytest.fixture(scope="session")
def after_quickstart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """A running demo in which every command of docs/quickstart.md did what the page shows."""
    with _reader(tmp_path_factory.mktemp("quickstart")) as played:
        played.console.play(*Page("docs/quickstart.md").blocks("console"))
        yield played


@contextmanager
def _reader(folder: Path) -> Iterator[Played]:
    (folder / "reader").mkdir()
    with running_demo(folder / "holdgate-demo") as demo:
        variables = {**environment(folder), "HOLDGATE_CONFIG": str(demo.world.home.file)}
        with Console(folder / "reader", variables) as console:
            yield Played(demo, console)
