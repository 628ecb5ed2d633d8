"""What passes between the gateway and a fake upstream: a request as the journal keeps it, and an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from gateway.connector import JSON

READS: Final = frozenset({"GET"})


@dataclass(slots=True, eq=False)
class Request:
    """One entry of the journal: what arrived, and what became of it."""

    method: str
    path: str
    query_params: dict[str, str]
    headers: dict[str, str]
    """Names in lower case. This is where the credential is seen, and nowhere else."""
    body: JSON
    """The parsed JSON; None where there was no body, and the text where it was no JSON."""
    path_params: dict[str, str] = field(default_factory=dict)
    status: int | None = None
    """What was answered; None: the connection was cut, or the answer is still to come."""
    effect: bool = False
    """Whether this request changed something: a write whose route ran and was content."""

    @property
    def form(self) -> dict[str, str]:
        """The fields of a body that is a form."""
        return dict(parse_qsl(self.body, keep_blank_values=True)) if isinstance(self.body, str) else {}

    @property
    def writes(self) -> bool:
        """Whether it asks for a change."""
        return self.method not in READS


@dataclass(frozen=True, slots=True)
class Response:
    """An answer that is more than a body: what a route returns to say no, or to add a header such as `ETag`."""

    status: int = 200
    body: JSON | bytes = None
    """What becomes JSON; bytes are a file, and sent as they are."""
    headers: Mapping[str, str] = field(default_factory=dict)


def parsed(body: bytes) -> JSON:
    """A body's JSON, or its text where it is none; None where there is no body."""
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode("utf-8", "replace")
