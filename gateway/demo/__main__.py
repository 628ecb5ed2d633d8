"""Serve a demo that ends with its parent: `python -m gateway.demo FOLDER PORT`, stopped by closing its stdin."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from gateway.demo.run import run_demo
from gateway.errors import StartupError


def main() -> int:
    """Serve until stdin closes, which a parent's death does too."""
    threading.Thread(target=_stop_when_stdin_closes, daemon=True).start()
    try:
        return run_demo(Path(sys.argv[1]), int(sys.argv[2]))
    except StartupError as problem:
        print(problem, file=sys.stderr)
        return 1


def _stop_when_stdin_closes() -> None:
    # os.read, because a buffered reader would hold a lock that the interpreter wants at exit.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    raise SystemExit(main())
