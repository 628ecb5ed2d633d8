"""The command line as tests call it: in this process through Typer's runner, and as the program that users start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from gateway.cli.root import app
from gateway.testing.driver import PATIENCE

PROGRAM = (sys.executable, "-c", "from gateway.cli import main; main()")
_OURS = ("HOLDGATE_CONFIG", "HOLDGATE_KEY", "HOLDGATE_APPROVER_KEY", "HOLDGATE_TASK", "HOLDGATE_VAULT_PASSPHRASE")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """All of stdout as one JSON value."""
        return json.loads(self.out)

    @property
    def jsons(self) -> list[Any]:
        """Each line of stdout as a JSON value."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Holdgate:
    """`holdgate --config FILE`."""

    config: Path

    def __call__(self, *words: str, stdin: str | None = None, **env: str) -> Ended:
        """Run a verb in this process. Whatever is no error of ours is raised."""
        clean = dict.fromkeys(_OURS)
        result = CliRunner().invoke(
            app, ["--config", str(self.config), *words], input=stdin, env={**clean, **env}, catch_exceptions=False
        )
        return Ended(result.exit_code, result.stdout, result.stderr)

    def program(self, *words: str, stdin: str = "", **env: str) -> Ended:
        """Run a verb as a program of its own."""
        clean = {name: value for name, value in os.environ.items() if name not in _OURS}
        done = subprocess.run(
            [*PROGRAM, "--config", str(self.config), *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env={**clean, **env},
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def serving(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """`holdgate serve`, until the end of the block."""
        process = subprocess.Popen(
            [*PROGRAM, "--config", str(self.config), "serve", "--json", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            announced = process.stdout.readline()
            assert announced, process.stderr.read()
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)


def one_sentence(ended: Ended, code: int) -> str:
    """The single line a failed command leaves on stderr; there is nothing else anywhere."""
    assert (ended.code, ended.out) == (code, ""), ended
    lines = ended.err.splitlines()
    assert len(lines) == 1, ended.err
    assert lines[0].startswith("holdgate: ")
    assert "Traceback" not in ended.err
    return lines[0]
