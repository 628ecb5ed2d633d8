"""HTTP over a bare socket: requests of exact bytes, and one answer."""

from __future__ import annotations

import json
import socket
from typing import Any

BOT = "Bearer token-of-the-bot"
MODERN = "2026-07-28"


def call_body(invoice: str = "done", *, era: str = MODERN, name: str = "shop_refund") -> bytes:
    """One call, as JSON-RPC."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
    }
    params = {"name": name, "arguments": {"invoice": invoice}} | ({"_meta": meta} if era == MODERN else {})
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()


def request(
    body: bytes = b"",
    *,
    method: str = "POST",
    path: str = "/mcp",
    era: str = MODERN,
    name: str = "shop_refund",
    **headers: str,
) -> bytes:
    """One HTTP request; of the headers `_` is `-`, and one without a value is left out."""
    sent = {
        "host": "127.0.0.1:1",
        "authorization": BOT,
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": era,
        "mcp-method": "tools/call",
        "mcp-name": name,
        "content-length": str(len(body)),
    } | {key.replace("_", "-"): value for key, value in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{key}: {value}" for key, value in sent.items() if value)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def exchange(port: int, raw: bytes) -> tuple[int, dict[str, str], Any]:
    """Send `raw`, read one whole response: status, headers, and the body as JSON where it is that."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(raw)
        data = b""
        while b"\r\n\r\n" not in data:
            data += _more(connection)
        head, _, body = data.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        while len(body) < int(headers.get("content-length", "0")):
            body += _more(connection)
    value = json.loads(body) if headers.get("content-type") == "application/json" else body.decode() or None
    return int(status.split()[1]), headers, value


def _more(connection: socket.socket) -> bytes:
    chunk = connection.recv(65_536)
    assert chunk, "the connection was closed before the answer was whole"
    return chunk
