"""What a connector holds while it acts: a few verbs, and no way to a credential, a connection or the door."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Final, TypeAlias

from gateway.connector import JSON, Fetched
from gateway.frozen import statically_frozen
from gateway.tool import Fields

_UNDER_WAY: Final = math.inf


class Wanted(Enum):
    """What of an answer is wanted."""

    JSON = "its JSON"
    FETCHED = "its JSON, and what its headers say of it"
    FILE = "its bytes as they are"


@statically_frozen
class FormBody:
    """A body that is a form, and not JSON."""

    fields: Fields


@statically_frozen
class Asked:
    """One request, as a connector asks for it."""

    method: str
    path: str
    query: Fields | None = None
    body: JSON | FormBody = None
    """Plain JSON, or a form; None for no body."""
    if_match: str | None = None
    wanted: Wanted = Wanted.JSON


Ask: TypeAlias = Callable[[Asked], Awaitable[JSON]]
"""Sends one request of an action through the door. Raises `UpstreamError` on every failure."""


def through(door: Ask) -> Ask:
    """`door` without a way back to whose it is: a bound method would show the connector all that stands behind it."""

    def ask(asked: Asked) -> Awaitable[JSON]:
        return door(asked)

    return ask


class Writes:
    """What became of the writes of one action, each under its number.

    Args:
        again: whether an earlier dispatch of the action left it unknown which of them happened; its first one, at
            least, may have. Then only a success tells anything about a write (semantics.md I-8).

    Attributes:
        credential_version: of the credential that was lent last.
        doubts: how many have arisen so far.
        over: whether the action has ended, and with it its right to send anything.
    """

    __slots__ = ("_again", "_asked", "_done", "_doubtful", "_looked", "credential_version", "doubts", "over")

    def __init__(self, *, again: bool = False) -> None:
        self._again = again
        self._asked = 0
        self.doubts = 1 if again else 0
        # Which of the doubts stands about a write; a write that is under way is in doubt whatever is read meanwhile.
        self._doubtful: dict[int, float] = {1: self.doubts} if again else {}
        self._done: set[int] = set()
        self._looked = 0
        self.credential_version: str | None = None
        self.over = False

    @property
    def wrote(self) -> bool:
        """Whether one has happened, may have, or is under way."""
        return bool(self._doubtful or self._done)

    @property
    def acknowledged(self) -> bool:
        """Whether every one that went out was answered with success."""
        return not self._doubtful

    @property
    def accounted_for(self) -> bool:
        """Whether of every one its own answer, or a look since, can have told what became of it."""
        return not self._doubtful or max(self._doubtful.values()) <= self._looked

    def number(self) -> int:
        """The number of the next write, from 1."""
        self._asked += 1
        return self._asked

    def doubtful(self, number: int) -> bool:
        """Whether it may have happened already, by an earlier attempt."""
        return self._again or number in self._doubtful

    def sending(self, number: int) -> None:
        """It leaves now."""
        self._doubtful[number] = _UNDER_WAY

    def happened(self, number: int) -> None:
        """It was answered with success."""
        self._doubtful.pop(number, None)
        self._done.add(number)

    def came_to_nothing(self, number: int) -> None:
        """It certainly did not happen, by any attempt."""
        self._doubtful.pop(number, None)

    def ended(self, number: int) -> None:
        """Nothing more will be heard of it: what is not known of it by now is a doubt from here on."""
        if number in self._doubtful:
            self.doubts += 1
            self._doubtful[number] = self.doubts

    def looked(self, doubts: int) -> None:
        """A read was answered with success that was begun when `doubts` had arisen."""
        self._looked = max(self._looked, doubts)


class GatedUpstream:
    """The `gateway.connector.Upstream` of one action. Holds nothing but a function that asks the door."""

    __slots__ = ("_ask", "_reference", "_writes")

    def __init__(self, ask: Ask, reference: str, writes: Writes) -> None:
        self._ask = ask
        self._reference = reference
        self._writes = writes

    @property
    def reference(self) -> str:
        """This action's own reference: the same on every retry (semantics.md I-10)."""
        return self._reference

    @property
    def wrote(self) -> bool:
        """Whether a write of this action has happened, may have, or is under way."""
        return self._writes.wrote

    @property
    def acknowledged(self) -> bool:
        """Whether every write that went out was answered with success."""
        return self._writes.acknowledged

    @property
    def accounted_for(self) -> bool:
        """Whether of every write its own answer, or a read that began since, can have told what became of it."""
        return self._writes.accounted_for

    @property
    def credential_version(self) -> str | None:
        """Of the credential that was lent last (semantics.md C-3); None before, or where there is none."""
        return self._writes.credential_version

    def close(self) -> None:
        """The action has ended: what the connector has left running sends nothing any more."""
        self._writes.over = True

    async def get(self, path: str, query: Fields | None = None) -> JSON:
        """Read; the query's names and values are encoded here."""
        return await self._ask(Asked("GET", path, query))

    async def fetch(self, path: str, query: Fields | None = None) -> Fetched:
        """Read, and show what the answer's headers say."""
        fetched: Fetched = await self._ask(Asked("GET", path, query, wanted=Wanted.FETCHED))
        return fetched

    async def download(self, path: str, query: Fields | None = None) -> bytes:
        """Read a file as it is."""
        body: bytes = await self._ask(Asked("GET", path, query, wanted=Wanted.FILE))
        return body

    async def post(self, path: str, body: JSON = None, *, form: Fields | None = None) -> JSON:
        """Send a JSON body, a form, or none."""
        return await self._ask(Asked("POST", path, body=_content(body, form)))

    async def put(
        self, path: str, body: JSON = None, *, form: Fields | None = None, if_match: str | None = None
    ) -> JSON:
        """Replace, if asked only when the record's etag still is `if_match`."""
        return await self._ask(Asked("PUT", path, body=_content(body, form), if_match=if_match))

    async def patch(
        self, path: str, body: JSON = None, *, form: Fields | None = None, if_match: str | None = None
    ) -> JSON:
        """Change, if asked only when the record's etag still is `if_match`."""
        return await self._ask(Asked("PATCH", path, body=_content(body, form), if_match=if_match))

    async def delete(self, path: str, *, if_match: str | None = None) -> JSON:
        """Remove, if asked only when the record's etag still is `if_match`."""
        return await self._ask(Asked("DELETE", path, if_match=if_match))


def _content(body: JSON, form: Fields | None) -> JSON | FormBody:
    if form is None:
        return body
    if body is not None:
        raise TypeError("a request has a JSON body or a form, and not both")
    return FormBody(form)
