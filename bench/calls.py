"""What a governed call costs, beside the same call ungoverned.

The rounds of all servers take turns, so that a machine that drifts drifts for all. Every server is started several
times: the same program started twice differs by as much as a twelfth, for as long as it lives.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory

from bench.load import READ, WRITE, Case
from bench.running import Round, System, cores, process, tell


def measure(count: int, starts: int, rounds: int, widths: Sequence[int]) -> None:
    """Measure, and print."""
    server, rest = cores()
    numbers = itertools.count(1)
    tables = list(itertools.product((READ, WRITE), widths))
    lives: list[list[System]] = []
    with process(rest, "bench.upstream") as (_, upstream):
        for start in range(1, starts + 1):
            with _started(server, f"http://127.0.0.1:{upstream['port']}") as systems:
                lives.append(systems)
                for case, width in tables:
                    tell(f"start {start} of {starts}: {case.name}, c={width}")
                    for turn in range(rounds + 1):
                        for system in systems:
                            system.measure(case, numbers, count if width > 1 else count // 4, width, counts=turn > 0)
    for case, width in tables:
        _table(case, width, lives)


@contextmanager
def _started(server: int | None, url: str) -> Iterator[list[System]]:
    with TemporaryDirectory(prefix="holdgate-bench-") as folder, ExitStack() as stack:
        systems = []
        for name, words in (
            ("floor", ("bench.ungoverned", "floor", url)),
            ("sdk", ("bench.ungoverned", "sdk", url)),
            ("holdgate", ("bench.governed", folder, url)),
        ):
            pid, said = stack.enter_context(process(server, *words))
            token = said.get("token")
            systems.append(System(name, int(str(said["port"])), str(token) if token else None, pid))
        print(f"holdgate: first answer after {said['seconds']} s, {systems[-1].resident_mib():.0f} MiB at rest")
        yield systems


def _table(case: Case, width: int, lives: Sequence[Sequence[System]]) -> None:
    """Medians over all rounds, and over the ratios within each: a machine that is slow for a while is slow for all.

    Args:
        lives: of each start its systems, in the same order.
    """
    by_system = [[system.rounds[(case.name, width)] for system in started] for started in zip(*lives, strict=True)]
    floor, sdk = by_system[0], by_system[1]
    print(f"\n{case.name}, c={width}")
    print(
        f"  {'':<10}{'calls/s':>9}{'x floor':>9}{'x sdk':>9}{'CPU us':>9}{'x sdk':>9}{'p50 ms':>9}{'p99 ms':>9}"
        "   x sdk, start by start"
    )
    for system, own in zip(lives[0], by_system, strict=True):
        rounds = list(itertools.chain(*own))
        columns = (
            f"{statistics.median(one.figures.per_second for one in rounds):>9.0f}",
            f"{_rate(rounds, itertools.chain(*floor)):>9.2f}",
            f"{_rate(rounds, itertools.chain(*sdk)):>9.2f}",
            f"{statistics.median(one.cpu for one in rounds) * 1e6:>9.0f}",
            f"{_cpu(rounds, itertools.chain(*sdk)):>9.2f}",
            *(f"{statistics.median(one.figures.percentile(part) for one in rounds):>9.2f}" for part in (0.5, 0.99)),
        )
        by_start = " ".join(f"{_rate(ours, theirs):.2f}" for ours, theirs in zip(own, sdk, strict=True))
        print(f"  {system.name:<10}{''.join(columns)}   {by_start}")


def _rate(ours: Iterable[Round], theirs: Iterable[Round]) -> float:
    pairs = zip(ours, theirs, strict=True)
    return statistics.median(our.figures.per_second / their.figures.per_second for our, their in pairs)


def _cpu(ours: Iterable[Round], theirs: Iterable[Round]) -> float:
    return statistics.median(our.cpu / their.cpu for our, their in zip(ours, theirs, strict=True))
