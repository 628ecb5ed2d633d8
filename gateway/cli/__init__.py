"""The command line: one module per group of verbs. `docs/cli.md` lists them all.

The modules import little at their top and the house inside of each verb, so that `holdgate --help` answers at once.
"""

from gateway.cli.root import main

__all__ = ["main"]
