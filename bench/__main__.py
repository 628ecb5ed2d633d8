"""Run a benchmark: servers on a core of their own, rounds that take turns, every answer checked."""

from __future__ import annotations

import argparse

from bench import calls, growth


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    options.add_argument("what", nargs="?", choices=["calls", "growth"], default="calls")
    options.add_argument("--count", type=int, default=2000, help="calls in a round")
    options.add_argument("--starts", type=int, default=3, help="calls: how often every server is started")
    options.add_argument("--rounds", type=int, default=3, help="calls: rounds of a start, after one that warms up")
    options.add_argument("--widths", type=int, nargs="+", default=[1, 32], help="calls: connections at once")
    options.add_argument("--past", type=int, nargs="+", default=list(growth.PAST), help="growth: actions done before")
    chosen = options.parse_args()
    if chosen.what == "growth":
        growth.measure(chosen.past)
    else:
        calls.measure(chosen.count, chosen.starts, chosen.rounds, chosen.widths)


if __name__ == "__main__":
    main()
