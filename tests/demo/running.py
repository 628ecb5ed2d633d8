"""The demo as a user starts it: the real command, in a folder of the test's own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.demo.world import World, found
from gateway.testing.driver import PATIENCE
from tests.services import eventually, free_port

HOLDGATE = [sys.executable, "-P", "-m", "gateway.cli"]


@dataclass
class Demo:
    """A running `holdgate demo`, and what it printed until it was up."""

    process: subprocess.Popen[str]
    world: World
    printed: str

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """Send it a signal and give its exit code."""
        self.process.send_signal(how)
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode


def holdgate(cwd: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [*HOLDGATE, *arguments],
        cwd=cwd,
        env=environment(cwd) | (env or {}),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=90,
        check=False,
    )


def environment(cwd: Path) -> dict[str, str]:
    """This process's, with scratch folders kept inside of `cwd`, and without anybody's key."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "HOLDGATE_"))}
    return own | {"TMPDIR": str(cwd)}


@contextmanager
def running_demo(folder: Path, command: Sequence[str] = HOLDGATE) -> Iterator[Demo]:
    """`holdgate demo` on a free port, until the end of the block."""
    process = subprocess.Popen(
        [*command, "demo", "--data", str(folder), "--port", str(free_port())],
        cwd=folder.parent,
        env=environment(folder.parent),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    try:
        printed = ""
        while not re.search(r"^Ctrl-C", printed, re.MULTILINE):
            line = process.stdout.readline()
            assert line, f"the demo ended: {printed}"
            printed += line
        world = found(folder)
        assert world
        yield Demo(process, world, printed)
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)


def nothing_runs_in(folder: Path) -> bool:
    """Wait until no process of this machine names the folder."""

    def gone() -> bool:
        listed = subprocess.run(["ps", "-A", "-ww", "-o", "args="], capture_output=True, text=True, check=True).stdout
        return str(folder) not in listed

    return bool(eventually(gone, "the end of every process of the demo"))
