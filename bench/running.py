"""Servers as processes on a core of their own, and what they cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import uvloop

from bench.load import Case, Figures, drive

_TICK = os.sysconf("SC_CLK_TCK")


class Round(NamedTuple):
    """One round of one server."""

    figures: Figures
    cpu: float
    """Seconds of a call, of user and of system."""


@dataclass
class System:
    """A server under measurement."""

    name: str
    port: int
    token: str | None
    pid: int
    rounds: dict[tuple[str, int], list[Round]] = field(default_factory=dict)

    def cpu_seconds(self) -> float:
        """User and system time of the process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def measure(self, case: Case, numbers: Iterator[int], count: int, width: int, *, counts: bool) -> None:
        """One round of `count` calls over `width` connections; one that does not count warms up."""
        before = self.cpu_seconds()
        figures = uvloop.run(drive(self.port, self.token, case, numbers, count, width))
        spent = (self.cpu_seconds() - before) / count
        if counts:
            self.rounds.setdefault((case.name, width), []).append(Round(figures, spent))

    def resident_mib(self) -> float:
        """Resident memory now."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def tell(progress: str) -> None:
    """Say how far the benchmark has come, beside its tables."""
    print(progress, file=sys.stderr, flush=True)


@contextmanager
def process(core: int | None, *words: str) -> Iterator[tuple[int, dict[str, object]]]:
    """A module of ours as a process on one core. It ends when its standard input closes.

    Its first line of JSON says that it is up; the lines before tell how far it has come, and are passed on.
    """
    with tempfile.TemporaryFile("w+") as complaints:
        child = subprocess.Popen(  # noqa: S603 - our own modules, and words of our own
            [sys.executable, "-m", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
        )
        assert child.stdin
        assert child.stdout
        for said in child.stdout:
            if said.startswith("{"):
                break
            tell(said.rstrip())
        else:
            complaints.seek(0)
            raise SystemExit(f"{words[0]} did not start:\n{complaints.read()}")
        try:
            yield child.pid, json.loads(said)
        finally:
            child.stdin.close()
            child.wait(timeout=30)


def cores() -> tuple[int | None, int | None]:
    """The server's core, and the one for everything else, this process included; None on a machine of one core."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        return None, None
    os.sched_setaffinity(0, {available[-1]})
    return available[0], available[-1]
