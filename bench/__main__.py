"""Run the benchmark: interleaved rounds, one server core, ratios, CPU per call and tails."""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
from contextlib import ExitStack

from bench import growth
from bench.load import READ, WRITE, Case
from bench.running import System, cores, process


def report(systems: list[System], case: Case, width: int) -> None:
    """One table: medians over the rounds, and of each round's ratios to the systems before.

    Ratios are taken within a round: a machine that is slow for a while is slow for both.
    """
    rates = {
        system.name: [figures.per_second for figures, _ in system.rounds[(case.name, width)]] for system in systems
    }
    spent = {system.name: [cpu * 1e6 for _, cpu in system.rounds[(case.name, width)]] for system in systems}
    print(f"\n{case.name}, c={width}")
    print(f"  {'':<10}{'calls/s':>9}{'x floor':>9}{'x sdk':>9}{'CPU us':>9}{'x sdk':>9}{'p50 ms':>9}{'p99 ms':>9}")
    for system in systems:
        measured = system.rounds[(case.name, width)]
        columns = [
            f"{statistics.median(rates[system.name]):>9.0f}",
            *(f"{_ratio(rates[system.name], rates[other]):>9.2f}" for other in ("floor", "sdk")),
            f"{statistics.median(spent[system.name]):>9.0f}",
            f"{_ratio(spent[system.name], spent['sdk']):>9.2f}",
            *(
                f"{statistics.median(figures.percentile(part) for figures, _ in measured):>9.2f}"
                for part in (0.5, 0.99)
            ),
        ]
        print(f"  {system.name:<10}{''.join(columns)}")


def _ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(our / their for our, their in zip(ours, theirs, strict=True))


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    options.add_argument("what", nargs="?", choices=["calls", "growth"], default="calls")
    options.add_argument("--count", type=int, default=2000, help="calls in a round")
    options.add_argument("--rounds", type=int, default=5, help="rounds that count, after one that warms up")
    options.add_argument("--widths", type=int, nargs="+", default=[1, 32], help="connections at once")
    options.add_argument("--past", type=int, nargs="+", default=list(growth.PAST), help="growth: actions done before")
    chosen = options.parse_args()
    if chosen.what == "growth":
        growth.measure(chosen.past)
    else:
        calls(chosen.count, chosen.rounds, chosen.widths)


def calls(count: int, rounds: int, widths: list[int]) -> None:
    """A read and a write, beside the same call ungoverned; rounds of every system in turn, so that a machine that
    drifts drifts for all."""
    server, rest = cores()
    with tempfile.TemporaryDirectory(prefix="holdgate-bench-") as folder, ExitStack() as stack:
        _, upstream = stack.enter_context(process(rest, "bench.upstream"))
        url = f"http://127.0.0.1:{upstream['port']}"
        systems = []
        for name, words in (
            ("floor", ("bench.ungoverned", "floor", url)),
            ("sdk", ("bench.ungoverned", "sdk", url)),
            ("holdgate", ("bench.governed", folder, url)),
        ):
            pid, said = stack.enter_context(process(server, *words))
            token = said.get("token")
            systems.append(System(name, int(str(said["port"])), str(token) if token else None, pid))
            if name == "holdgate":
                print(f"holdgate: first answer after {said['seconds']} s, {systems[-1].resident_mib():.0f} MiB at rest")
        numbers = itertools.count(1)
        for case in (READ, WRITE):
            for width in widths:
                for turn in range(rounds + 1):
                    for system in systems:
                        system.measure(case, numbers, count if width > 1 else count // 4, width, counts=turn > 0)
                report(systems, case, width)


if __name__ == "__main__":
    main()
