"""What a call costs when there are more tools, and when more has been done before: it should cost the same.

`python -m bench growth`. Each row is a gateway of its own, measured in turn with the others.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.load import LIST, READ, WRITE, Case
from bench.running import System, cores, process, tell

TOOLS = (10, 100, 1_000)
PAST = (1_000, 100_000, 1_000_000)
ROUNDS = 5
COUNT = 1_000


def measure(past: Sequence[int] = PAST) -> None:
    """Measure, and print."""
    server, rest = cores()
    with TemporaryDirectory(prefix="holdgate-bench-") as folder, ExitStack() as stack:
        _, upstream = stack.enter_context(process(rest, "bench.upstream"))
        url = f"http://127.0.0.1:{upstream['port']}"

        def gateway(name: str, tools: int, before: int) -> System:
            home = Path(folder, name.replace(" ", "-"))
            home.mkdir()
            tell(f"{name}: starting")
            pid, said = stack.enter_context(process(server, "bench.governed", str(home), url, str(tools), str(before)))
            return System(name, int(str(said["port"])), str(said["token"]), pid)

        _table("tools", [gateway(f"{count:,} tools", count, 0) for count in TOOLS], (READ, WRITE, LIST))
        _table("past actions", [gateway(f"{count:,} before", 3, count) for count in past], (READ, WRITE))


def _table(title: str, systems: list[System], cases: tuple[Case, ...]) -> None:
    numbers = itertools.count(1)
    for turn in range(ROUNDS + 1):
        tell(f"{title}: round {turn} of {ROUNDS}" if turn else f"{title}: warming up")
        for system, case in itertools.product(systems, cases):
            system.measure(case, numbers, COUNT if case is not LIST else COUNT // 10, 1, counts=turn > 0)
    print(f"\nBy {title}, c=1, median of {ROUNDS} rounds")
    print(f"  {'':<18}" + "".join(f"{case.name + ' ms':>12}{'CPU us':>9}" for case in cases) + f"{'MiB':>7}")
    for system in systems:
        row = "".join(
            f"{statistics.median(figures.percentile(0.5) for figures, _ in measured):>12.2f}"
            f"{statistics.median(spent for _, spent in measured) * 1e6:>9.0f}"
            for measured in (system.rounds[(case.name, 1)] for case in cases)
        )
        print(f"  {system.name:<18}{row}{system.resident_mib():>7.0f}")
