"""What every verb is given: which settings file is meant, and the house that follows from it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.errors import StartupError

if TYPE_CHECKING:
    from gateway.keyring import Keyring
    from gateway.settings import Home
    from gateway.store.sqlite import SqliteStore
    from gateway.tools.catalogue import Catalogue

CONFIG_VARIABLE = "HOLDGATE_CONFIG"
CONFIG_FILE = "holdgate.yaml"
DEMO_FOLDER = Path("holdgate-demo")
DEMO_CONFIG = DEMO_FOLDER / CONFIG_FILE

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON with stable keys, and nothing else, on stdout.")]
AsName = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help="Act as this principal, with the key kept for it.")
]
Because = Annotated[str, typer.Option("--because", metavar="TEXT", help="Why, for the ledger: one sentence.")]


class ExitCode(IntEnum):
    """What the shell learns: `USAGE` from Typer. `ledger verify` has its own, 0 to 4 (semantics.md L-7)."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    STARTUP = 3


@dataclass(frozen=True, slots=True)
class Invocation:
    """One run of the command line."""

    config: Path
    debug: bool = False

    @classmethod
    def of(cls, ctx: typer.Context) -> Invocation:
        """The invocation that a verb belongs to."""
        found = ctx.find_object(cls)
        assert found is not None
        return found

    @classmethod
    def from_options(cls, config: Path | None, *, debug: bool) -> Invocation:
        """What the options before the verb say; without --config the variable, then `./holdgate.yaml`."""
        return cls(config or Path(os.environ.get(CONFIG_VARIABLE) or CONFIG_FILE), debug)

    def home(self) -> Home:
        """The settings.

        Raises:
            StartupError: they are missing or wrong.
        """
        from gateway.settings import Home

        if self.config == Path(CONFIG_FILE) and not self.config.exists() and DEMO_CONFIG.exists():
            raise StartupError(
                f"There is no settings file here, but a demo's, {DEMO_CONFIG}.",
                file=CONFIG_FILE,
                remedy=f'Run `export HOLDGATE_CONFIG="$PWD/{DEMO_CONFIG}"`; or `holdgate init`, for one of your own.',
            )
        return Home(self.config)


@contextmanager
def opened_store(home: Home) -> Iterator[SqliteStore]:
    """The store, for one command; the server may have it open too.

    Raises:
        StartupError: the data folder was never made ready, or cannot be used.
    """
    from gateway.setup import open_store

    store = open_store(home)
    try:
        yield store
    finally:
        store.close()


def keyring_of(home: Home) -> Keyring:
    """The gateway's own keys.

    Raises:
        StartupError: missing, damaged, or readable by others.
    """
    from gateway.keyring import Keyring

    return Keyring.load(home.gateway_key)


def catalogue_of(home: Home) -> Catalogue:
    """The tools on offer.

    Raises:
        StartupError: a connector is missing or broken.
    """
    from gateway.equipment import load_catalogue

    return load_catalogue(home)
