"""Answers that the front gives itself: always JSON, always shaped so that an MCP client can show them."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Final

from pydantic_core import to_json
from starlette.types import Send

from gateway.frozen import statically_frozen
from gateway.wire.json_rpc import of_http

_JSON: Final = (b"content-type", b"application/json")
_NOT_KEPT: Final = (b"cache-control", b"no-store")


@statically_frozen
class Answer:
    """A whole HTTP response."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]

    async def send(self, send: Send) -> None:
        """Write it out."""
        await send({"type": "http.response.start", "status": self.status, "headers": list(self.headers)})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


def failure(
    status: int,
    message: str,
    *,
    code: int | None = None,
    request_id: str | int | None = None,
    retry_after: float | None = None,
    headers: Mapping[str, str] | None = None,
    data: Mapping[str, object] | None = None,
) -> Answer:
    """A JSON-RPC error.

    Args:
        status: HTTP status.
        message: one sentence for whoever reads the client's log.
        code: see `json_rpc`; by default the one of the status.
        request_id: of the request that failed, when it could be read.
        retry_after: seconds.
        headers: more of them.
        data: what a program may read of it.
    """
    error: dict[str, object] = {"code": of_http(status) if code is None else code, "message": message}
    if data is not None:
        error["data"] = data
    extra = dict(headers or {}) | ({"retry-after": str(ceil(retry_after))} if retry_after is not None else {})
    return json_answer(status, {"jsonrpc": "2.0", "id": request_id, "error": error}, extra)


def json_answer(status: int, value: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Answer:
    """Any JSON."""
    return raw_answer(status, to_json(value), headers)


def raw_answer(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    """JSON that is spelled already."""
    more = tuple((name.encode(), text.encode()) for name, text in headers.items()) if headers else ()
    return Answer(status, body, (_JSON, (b"content-length", b"%d" % len(body)), _NOT_KEPT, *more))
