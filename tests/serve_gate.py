"""A gateway process for tests: `python -m tests.serve_gate http|stdio FILE`. Prints its URL once it answers."""

import asyncio
import sys
from pathlib import Path

from gateway.serve import serve_http, serve_over_stdio
from gateway.settings import Home
from gateway.telemetry import configure_logging

if __name__ == "__main__":
    home = Home(Path(sys.argv[2]))
    configure_logging(home.settings.log_level)
    if sys.argv[1] == "stdio":
        asyncio.run(serve_over_stdio(home))
    else:
        asyncio.run(serve_http(home, ready=lambda url: print(url, flush=True)))
