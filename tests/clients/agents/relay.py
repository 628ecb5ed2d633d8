"""A relay between an agent and the gateway: loopback, and able to lose one answer after the gateway has given it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Relay:
    """Carries bytes both ways.

    Attributes:
        port: where agents come in.
        lost: set once an answer was lost.
    """

    def __init__(self, to: int) -> None:
        self._to = to
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._loses: bytes | None = None
        self.lost = threading.Event()

    def lose(self, request: bytes) -> None:
        """Let the next request that holds these bytes through, and cut its connection once the answer is there."""
        self._loses = request

    def serve(self) -> None:
        """Take connections until it is closed."""
        while True:
            try:
                agent, _ = self._listening.accept()
            except OSError:
                return
            gateway = socket.create_connection(("127.0.0.1", self._to))
            doomed = threading.Event()
            for carry in (self._there, self._back):
                threading.Thread(target=carry, args=(agent, gateway, doomed), daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _there(self, agent: socket.socket, gateway: socket.socket, doomed: threading.Event) -> None:
        seen = b""
        with contextlib.suppress(OSError):
            while sent := agent.recv(65_536):
                seen = (seen + sent)[-65_536:]
                if self._loses is not None and self._loses in seen:
                    self._loses = None
                    doomed.set()
                gateway.sendall(sent)
            gateway.shutdown(socket.SHUT_WR)

    def _back(self, agent: socket.socket, gateway: socket.socket, doomed: threading.Event) -> None:
        withheld = b""
        with contextlib.suppress(OSError), agent, gateway:
            while answered := gateway.recv(65_536):
                if not doomed.is_set():
                    agent.sendall(answered)
                    continue
                withheld += answered
                if b"action_id" in withheld:
                    self.lost.set()
                    # A close alone would wait for the thread that still reads from it.
                    agent.shutdown(socket.SHUT_RDWR)
                    return


@contextmanager
def relay(to: int) -> Iterator[Relay]:
    """A relay to a port of loopback, until the end of the block."""
    built = Relay(to)
    thread = threading.Thread(target=built.serve)
    thread.start()
    try:
        yield built
    finally:
        built.close()
        thread.join()
