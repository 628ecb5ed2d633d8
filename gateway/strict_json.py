"""JSON from outside, read strictly: what two parsers could understand differently is refused (semantics.md I-5, T-4).

A fingerprint, a policy decision and an upstream body must all rest on the same value, so nothing that a second
parser might read otherwise gets in: no repeated member, no NaN, no number too large, no half of a surrogate pair.

Reading exactly costs a call into Python for every object and every number. Most texts are plainly fine: they are read
by a parser in C, and what came out shows that no rule was broken. Any other text is read exactly, which names the rule.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

from pydantic_core import from_json

MAX_BYTES: Final = 1 << 20
"""Of one document: 1 MiB."""
MAX_DEPTH: Final = 32
"""Arrays and objects inside each other; a scalar has depth 0."""
MAX_NODES: Final = 10_000
"""Values in one document, arrays and objects included."""
MAX_INTEGER: Final = 1 << 63
"""Largest magnitude of an integer, inclusive."""
MAX_DIGITS: Final = 300
"""Of an integer where larger ones are let in, its sign included; all of them lie in the range of a double."""

_SMALL: Final = 1 << 16
"""Bytes of a text that may be read twice: larger ones are rare, and those that are made to cost much are among them."""
_INTEGER_DIGITS: Final = 20
_CONTAINERS: Final = (dict, list)
_NUMBERS: Final = (int, float)
_NAMES_END: Final = (b'":', b" :", b"\t:", b"\n:", b"\r:")
_CROWD: Final = re.compile(rb'(?:(?:[^"\[{]++|"(?:[^"\\]++|\\.)*+"?)*+[\[{]){%d}' % (MAX_NODES + 1), re.DOTALL)
"""One array or object more than there may be values, whatever brackets stand in strings."""

Written = TypeVar("Written")


class BadJson(ValueError):
    """The text is not JSON as we accept it. `str()` says which rule it broke, and holds none of its values."""


class LargeInteger(BadJson):
    """An integer lies beyond `MAX_INTEGER`. No rule was broken before it; what follows it was not looked at."""


def loads(body: bytes) -> Any:
    """The value that `body` spells, as UTF-8 JSON within the limits of this module.

    Raises:
        BadJson: naming the first rule that was broken.
    """
    if len(body) > MAX_BYTES:
        raise BadJson(f"The body is larger than {MAX_BYTES} bytes.")
    if len(body) > _SMALL:
        if crowded(body):
            raise BadJson(_TOO_MANY)
        return _exactly(body)
    try:
        # Its cache of strings would keep what came from outside for as long as the process lives.
        value = from_json(body, allow_inf_nan=False, cache_strings="none")
    except ValueError:
        return _exactly(body)
    return value if _plainly_fine(value, body) else _exactly(body)


def loads_with_large_integers(body: bytes) -> Any:
    """The value of what `loads` refused as a `LargeInteger`, for who bounds it by itself; every other rule holds.

    Where a double is wanted, such an integer becomes the nearest one, as any other does.

    Raises:
        BadJson: naming the first rule that was broken.
    """
    return _exactly(body, _large_integer)


def crowded(body: bytes) -> bool:
    """Whether `body` holds so many arrays and objects that it is refused for them alone: to make them takes long."""
    return body.count(b"[") + body.count(b"{") > MAX_NODES and _CROWD.match(body) is not None


def _plainly_fine(value: Any, body: bytes) -> bool:
    """Whether `value`, read from `body`, shows that no rule was broken; False is no proof that one was."""
    members, parts, level = 0, 1, [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for part in level:
            kind = type(part)
            if kind is str:
                continue  # as most of them are
            if kind is dict:
                members += len(part)
                inner += part.values()
            elif kind is list:
                inner += part
            elif kind in _NUMBERS and not -MAX_INTEGER <= part <= MAX_INTEGER:
                return False
        parts += len(inner)
        if parts > MAX_NODES:
            return False
        if not inner:
            return _each_named_once(members, body)
        level = inner
    return False


def _each_named_once(members: int, body: bytes) -> bool:
    """Whether the `members` that were read are all that `body` names, so that none took the place of another.

    A member has a colon of its own, behind the quote that ends its name or behind a blank. Strings may hold some, too,
    so that the colons are as many as the members that were written, or more.
    """
    return body.count(b":") == members or sum(map(body.count, _NAMES_END)) == members


def _exactly(body: bytes, integer: Callable[[str], int] | None = None) -> Any:
    """The value, or the first rule that was broken."""
    try:
        value = _decoder(integer or _integer).decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadJson(f"The body is not UTF-8: byte {error.start} is invalid.") from None
    except json.JSONDecodeError as error:
        raise BadJson(f"The body is not JSON: {error.msg} at character {error.pos}.") from None
    except RecursionError:
        raise BadJson(_TOO_DEEP) from None
    # An escape is the only way for a surrogate to survive UTF-8, so most bodies need no look at their strings.
    _measure(value, look_at_text=b"\\ud" in body or b"\\uD" in body)
    return value


_TOO_DEEP: Final = f"The value is nested more than {MAX_DEPTH} levels deep."
_TOO_MANY: Final = f"The value has more than {MAX_NODES} parts."
_SURROGATE: Final = "A string holds half of a surrogate pair."
_LARGE_INTEGER: Final = "An integer lies beyond the range of 64 bits."
_NOT_FINITE: Final = "A number is not finite."


def _measure(root: Any, *, look_at_text: bool) -> None:
    """Level by level, so that depth and count are known before the next level is touched."""
    level, depth, nodes = [root], 0, 0
    while level:
        nodes += len(level)
        if nodes > MAX_NODES:
            raise BadJson(_TOO_MANY)
        if look_at_text:
            for value in level:
                _look_at(value)
        containers = [value for value in level if isinstance(value, _CONTAINERS)]
        depth += 1
        if containers and depth > MAX_DEPTH:
            raise BadJson(_TOO_DEEP)
        level = []
        for container in containers:
            level.extend(container.values() if isinstance(container, dict) else container)


def _look_at(value: Any) -> None:
    if isinstance(value, str):
        _refuse_surrogates(value)
    elif isinstance(value, dict):
        for name in value:
            _refuse_surrogates(name)


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadJson(_SURROGATE) from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BadJson("An object has two members of the same name.")
    return members


def _constant(name: str) -> Any:
    raise BadJson(f"{name} is not a JSON number.")


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise BadJson(_NOT_FINITE)
    return number


def _integer(text: str) -> int:
    # Counting digits first keeps a million of them from being converted.
    if len(text) > _INTEGER_DIGITS or not -MAX_INTEGER <= (number := int(text)) <= MAX_INTEGER:
        raise LargeInteger(_LARGE_INTEGER)
    return number


def _large_integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise LargeInteger(_LARGE_INTEGER)
    return int(text)


def _decoder(integer: Callable[[str], int]) -> json.JSONDecoder:
    """For one text. It gives up as soon as what it is called for, each object and number, is more than all may be."""
    left = iter(range(MAX_NODES))

    def counted(read: Callable[[Written], Any]) -> Callable[[Written], Any]:
        def one(written: Written) -> Any:
            if next(left, None) is None:
                raise BadJson(_TOO_MANY)
            return read(written)

        return one

    return json.JSONDecoder(
        object_pairs_hook=counted(_members),
        parse_constant=_constant,
        parse_float=counted(_float),
        parse_int=counted(integer),
    )
