"""Connections to a server that runs for one test: what is said there, and all that comes back until it closes."""

from __future__ import annotations

import socket
import time

from starlette.types import Receive, Scope, Send

from gateway.bounded_http import BoundedHttp

HEAD = b"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\n"
WHOLE = HEAD + b"content-length: 2\r\n\r\nhi"


class Narrow(BoundedHttp):
    """The same room, sooner full, and all the patience there is."""

    head_seconds = 3_600.0
    head_bytes = 2_000


async def repeating(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with what was asked, each header on a line of its own before the body."""
    if scope["type"] == "http":
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        lines = [b"%b: %b" % field for field in scope["headers"]]
        whole = b"\n".join((scope["method"].encode() + b" " + scope["path"].encode(), *lines, b"", body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(whole))]})
        await send({"type": "http.response.body", "body": whole})


async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers before it reads, as the front answers who has no key."""
    if scope["type"] == "http":
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": b"no"})


def answer(client: socket.socket) -> tuple[bytes, bytes]:
    """One answer: its head, and its body of the length that is said there."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += (more := client.recv(65_536))
        assert more, "the connection was closed before the answer was whole"
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += client.recv(65_536)
    assert len(body) == length, "more than one answer came"
    return head, body


def until_closed(client: socket.socket, drip: bytes = b"") -> bytes:
    """Everything that comes until the server closes, while `drip` is sent again and again."""
    received, give_up = b"", time.monotonic() + 10
    client.settimeout(0.02)
    while time.monotonic() < give_up:
        try:
            if drip:
                client.sendall(drip)
            more = client.recv(65_536)
        except TimeoutError:
            continue
        except OSError:
            return received
        if not more:
            return received
        received += more
    raise AssertionError("the server did not close the connection")
