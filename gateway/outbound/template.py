"""An outbound request as a connector asks for it: checked, and not signed yet."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from gateway.connector import JSON
from gateway.frozen import statically_frozen
from gateway.outbound.egress import EgressRefused, checked_header, checked_path, encoded
from gateway.outbound.upstream import Asked, FormBody, Wanted

_COMMON_HEADERS: Final = (("Accept-Encoding", "identity"), ("User-Agent", "holdgate"))
_LONGEST_PATH: Final = 8_000
_ENCODER: Final = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"))
"""Not Pydantic's, which also spells what is no JSON: bytes, sets, and dates."""


@statically_frozen
class Template:
    """A checked request without its credential: safe to show, and the same on every attempt."""

    method: str
    path: str
    """Under the connector's base URL, with its query."""
    headers: tuple[tuple[str, str], ...]
    body: bytes
    wanted: Wanted = Wanted.JSON

    @property
    def mutates(self) -> bool:
        """Whether it may change something upstream: every verb but GET."""
        return self.method != "GET"


def template_of(asked: Asked, *, key: tuple[str, str] | None, more: Iterable[tuple[str, str]]) -> Template:
    """The request that is asked for, under a connector's base URL.

    Args:
        key: the upstream's idempotency header and its value.
        more: the connector's own headers, checked.

    Raises:
        EgressRefused: a path, query, header or body that must not leave.
    """
    path, body = checked_path(asked.path), asked.body
    if asked.query:
        path += "?" + encoded(asked.query)
    if len(path) > _LONGEST_PATH:
        raise EgressRefused(f"A path and its query have at most {_LONGEST_PATH} characters.")
    headers = [("Accept", "*/*" if asked.wanted is Wanted.FILE else "application/json"), *_COMMON_HEADERS, *more]
    content = b""
    if isinstance(body, FormBody):
        content = encoded(body.fields).encode("ascii")
        headers.append(("Content-Type", "application/x-www-form-urlencoded"))
    elif body is not None:
        content = _as_json(body)
        headers.append(("Content-Type", "application/json"))
    if asked.if_match is not None:
        headers.append(("If-Match", checked_header(asked.if_match)))
    if key is not None:
        headers.append((key[0], checked_header(key[1])))
    return Template(asked.method, path, tuple(headers), content, asked.wanted)


def _as_json(body: JSON) -> bytes:
    try:
        return _ENCODER.encode(body).encode("utf-8")
    except (TypeError, ValueError, RecursionError):
        raise EgressRefused("The body is not plain JSON.") from None
