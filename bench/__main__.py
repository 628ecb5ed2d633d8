"""Run the benchmark: interleaved rounds, one server core, ratios, CPU per call and tails."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from bench.load import READ, WRITE, Case, Figures, drive

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class System:
    """A server under measurement."""

    name: str
    port: int
    token: str | None
    pid: int
    rounds: dict[tuple[str, int], list[tuple[Figures, float]]] = field(default_factory=dict)

    def cpu_seconds(self) -> float:
        """User and system time of the process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def resident_mib(self) -> float:
        """Resident memory now."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def process(core: int | None, *words: str) -> Iterator[tuple[int, dict[str, object]]]:
    """A module of ours as a process on one core; its first line is JSON. It ends when its standard input closes."""
    child = subprocess.Popen(  # noqa: S603 - our own modules, and words of our own
        [sys.executable, "-m", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
    )
    assert child.stdin
    assert child.stdout
    try:
        yield child.pid, json.loads(child.stdout.readline())
    finally:
        child.stdin.close()
        child.wait(timeout=30)


def measure(systems: list[System], case: Case, width: int, count: int, rounds: int) -> None:
    """Rounds of every system in turn, so that a machine that drifts drifts for all."""
    numbers = itertools.count(1)
    for turn in range(rounds + 1):
        for system in systems:
            before = system.cpu_seconds()
            figures = uvloop.run(drive(system.port, system.token, case, numbers, count, width))
            spent = (system.cpu_seconds() - before) / count
            if turn:  # the first round warms up
                system.rounds.setdefault((case.name, width), []).append((figures, spent))


def report(systems: list[System], case: Case, width: int) -> None:
    """One table: medians over the rounds, and ratios to the first system."""
    print(f"\n{case.name}, c={width}")
    print(f"  {'':<10}{'calls/s':>9}{'x floor':>9}{'CPU us':>9}{'p50 ms':>9}{'p99 ms':>9}")
    base = 0.0
    for system in systems:
        measured = system.rounds[(case.name, width)]
        rate = statistics.median(figures.per_second for figures, _ in measured)
        base = base or rate
        cpu = statistics.median(spent for _, spent in measured) * 1e6
        tails = [statistics.median(figures.percentile(part) for figures, _ in measured) for part in (0.5, 0.99)]
        print(f"  {system.name:<10}{rate:>9.0f}{rate / base:>9.2f}{cpu:>9.0f}{tails[0]:>9.2f}{tails[1]:>9.2f}")


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    options.add_argument("--count", type=int, default=2000, help="calls in a round")
    options.add_argument("--rounds", type=int, default=5, help="rounds that count, after one that warms up")
    options.add_argument("--widths", type=int, nargs="+", default=[1, 32], help="connections at once")
    options.add_argument("--tools", type=int, default=3, help="tools in the gateway's catalogue, about")
    chosen = options.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    server, rest = (cores[0], cores[-1]) if len(cores) > 1 else (None, None)
    if rest is not None:
        os.sched_setaffinity(0, {rest})
    with tempfile.TemporaryDirectory(prefix="holdgate-bench-") as folder, ExitStack() as stack:
        _, upstream = stack.enter_context(process(rest, "bench.upstream"))
        url = f"http://127.0.0.1:{upstream['port']}"
        systems = []
        for name, words in (
            ("floor", ("bench.ungoverned", "floor", url)),
            ("sdk", ("bench.ungoverned", "sdk", url)),
            ("holdgate", ("bench.governed", folder, url, str(chosen.tools))),
        ):
            pid, said = stack.enter_context(process(server, *words))
            token = said.get("token")
            systems.append(System(name, int(str(said["port"])), str(token) if token else None, pid))
        print(f"holdgate at rest: {systems[-1].resident_mib():.0f} MiB resident, about {chosen.tools} tools")
        for case in (READ, WRITE):
            for width in chosen.widths:
                measure(systems, case, width, chosen.count if width > 1 else chosen.count // 4, chosen.rounds)
                report(systems, case, width)


if __name__ == "__main__":
    main()
