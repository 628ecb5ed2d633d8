"""`backup`: a copy of the data folder that is whole, made while the gateway runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.invocation import AsJson, Invocation, keyring_of
from gateway.errors import StartupError

if TYPE_CHECKING:
    from gateway.settings import Home

_OF_THE_MOMENT = ("*.lock", "instances", ".*")
"""What belongs to processes that run, and to files that are being written."""


def backup(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where; it must not exist yet.")],
    json_output: AsJson = False,
) -> None:
    """Copy the data folder whole, while the gateway runs or not: keys, vault, checkpoints and database."""
    from gateway.cli.output import emit, say

    home = Invocation.of(ctx).home()
    lines = _copy(home, folder)
    if json_output:
        emit({"folder": str(folder.absolute()), "lines": lines})
    else:
        say(f"Copied {home.data} to {folder}: {lines} ledger lines, and the keys that open them. Keep it as a secret.")


def _copy(home: Home, folder: Path) -> int:
    """Copy it beside its place first, so that a folder of that name is a whole one. The lines that it has."""
    from gateway.store.opening import copy

    if folder.exists():
        raise StartupError(
            "There is something already, and a back-up overwrites nothing.",
            file=str(folder),
            remedy="Name a folder that does not exist yet.",
        )
    scratch = folder.with_name(f".{folder.name}.unfinished")
    keyring_of(home)  # or the copy could never be opened
    database = home.database
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        # The database comes last: a checkpoint that is copied speaks of lines that are copied, too.
        ignored = shutil.ignore_patterns(f"{database.name}*", *_OF_THE_MOMENT)
        # Closed before anything is in it: a file that is being copied has its own permissions only once it is whole.
        scratch.mkdir(mode=0o700, parents=True)
        shutil.copytree(home.data, scratch, ignore=ignored, dirs_exist_ok=True)
        scratch.chmod(0o700)
        lines = copy(database, scratch / database.name)
        scratch.rename(folder)
    except StartupError:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    except OSError as broken:
        shutil.rmtree(scratch, ignore_errors=True)
        raise StartupError(
            f"The back-up cannot be written: {broken.strerror or broken}.",
            file=str(folder),
            remedy="See that its disk has room and that you may write there.",
        ) from broken
    return lines
