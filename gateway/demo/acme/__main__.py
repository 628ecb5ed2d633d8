"""Run Acme: `python -m gateway.demo.acme --port 0 --data FOLDER --api-key-file FILE`.

Prints one line of JSON, `{"port": …, "url": …}`, once it answers. Logs go to stderr. Exit codes: 0 stopped by
Ctrl-C or a closed stdin, 1 cannot start, 2 wrong arguments; SIGTERM ends it in order and by that signal.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import sys
import threading
from pathlib import Path

import uvicorn

from gateway.demo.acme.app import CuttableProtocol, acme
from gateway.demo.acme.state import open_database

HOST = "127.0.0.1"


class AnnouncedServer(uvicorn.Server):
    """Says on stdout where it listens, once it does; stops when `stdin` closes, if it is told to watch it."""

    watch_stdin = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        assert sockets
        port = sockets[0].getsockname()[1]
        print(json.dumps({"port": port, "url": f"http://{HOST}:{port}"}), flush=True)
        if self.watch_stdin:
            threading.Thread(target=self._stop_when_stdin_closes, daemon=True).start()

    def _stop_when_stdin_closes(self) -> None:
        # A parent's death closes the pipe, kill -9 included. os.read, because a buffered reader would hold a lock
        # that the interpreter wants at exit.
        while os.read(0, 4096):
            pass
        self.should_exit = True


def main() -> int:
    """Serve until SIGINT or SIGTERM, or until stdin closes."""
    options = _options().parse_args()
    try:
        api_keys = frozenset(options.api_key_file.read_text().split())
        database = open_database(options.data)
        listener = _listen(options.port) if options.listener is None else _inherited(options.listener)
    except OSError as error:
        print(f"Acme cannot start: {error}. Choose another file, folder or port.", file=sys.stderr)
        return 1
    if not api_keys:
        print(f"Acme cannot start: {options.api_key_file} holds no key. Put one on each line.", file=sys.stderr)
        return 1
    config = uvicorn.Config(
        acme(database, api_keys, with_control=options.control),
        http=CuttableProtocol,
        ws="none",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    server = AnnouncedServer(config)
    server.watch_stdin = options.parent_watch
    with contextlib.closing(database), contextlib.suppress(KeyboardInterrupt), listener:
        asyncio.run(server.serve([listener]))
    return 0


def _listen(port: int) -> socket.socket:
    """A listening socket. With the protocol left at 0 asyncio does not set TCP_NODELAY, and answers wait for an ACK."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    listener.listen()
    return listener


def _inherited(descriptor: int) -> socket.socket:
    """What the parent listens at already; its protocol is named because not every system tells it."""
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, descriptor)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gateway.demo.acme", description="The Acme sandbox company.")
    door = parser.add_mutually_exclusive_group(required=True)
    door.add_argument("--port", type=int, help="port on 127.0.0.1; 0 takes a free one")
    door.add_argument("--listener", type=int, metavar="FD", help="a socket of 127.0.0.1 that the parent listens at")
    parser.add_argument("--data", type=Path, required=True, help="folder of its records; made if missing")
    parser.add_argument("--api-key-file", type=Path, required=True, help="accepted API keys, one a line")
    parser.add_argument("--control", action="store_true", help="offer /_control: the journal and the faults")
    parser.add_argument("--parent-watch", action="store_true", help="stop when stdin closes")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
