"""Finds credentials by their value, in whatever an upstream or a log record says, and takes them out.

semantics.md C-6, S31. A value is looked for as it is and in the encodings that come up by accident or on purpose:
base64 of both alphabets at every alignment, so also inside of a larger base64 text; hex; percent codes, JSON escapes
and HTML entities, of any of its characters; with `+` for blanks; and with line breaks or invisible characters put in
between. What can be located is replaced by `[redacted]`. What is known to be there and cannot be located, because
encodings are piled up, takes the whole text with it.

Short values: below 8 characters only the value itself is looked for, as a whole word, because a short value's
encodings match by chance; below 4 characters nothing is, and `learn` says so.
"""

from __future__ import annotations

import html
import logging
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from operator import attrgetter
from typing import Final, Protocol

from gateway.invisible import CONTROLS, FORMATTING, SURROGATES

MARK: Final = "[redacted]"
_FULL_SEARCH: Final = 8
"""Characters from which a value is looked for in every encoding."""
_ANY_SEARCH: Final = 4
_CAPACITY: Final = 1_024
"""Values that are remembered, the newest; an old version of a credential may still be echoed for a while."""
_LAYERS: Final = 3
"""Encodings on top of each other that are looked through."""

_JSON_ESCAPE: Final = re.compile(r'\\u[0-9a-fA-F]{4}|\\["\\/bfnrt]')
_PERCENT_CODES: Final = re.compile(r"%[0-9a-fA-F]{2}(?:%[0-9a-fA-F]{2})*")
_ENTITY: Final = re.compile(r"&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]{1,31});?")
INVISIBLE: Final = re.compile(f"[{CONTROLS}{FORMATTING}{SURROGATES}]+")
"""Runs of what does not show, bytes that are no UTF-8 included: put between its characters, they hide a value."""
_PLAIN: Final = bytes(range(0x20, 0x7F))
_UNPLAIN: Final = bytes(octet for octet in range(256) if octet not in _PLAIN)
_SPACED: Final = bytes(octet if octet in _PLAIN else 0x20 for octet in range(256))
_BASE64_CHARACTER: Final = "[A-Za-z0-9+/_-]"


class Exposing(Protocol):
    """A secret, as the vault hands it out."""

    def expose(self) -> str:
        """The value."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class _Spellings:
    """What is looked for."""

    plain: tuple[str, ...] = ()
    """Letter by letter."""
    hexadecimal: tuple[str, ...] = ()
    """In lower case; looked for in either."""
    words: tuple[re.Pattern[str], ...] = ()
    """Short values, each as a whole word."""

    @property
    def printable(self) -> bool:
        """Whether they are printable ASCII, as whatever is sent in a header is."""
        return all(one.isascii() and one.isprintable() for one in (*self.plain, *(word.pattern for word in self.words)))

    def within(self, view: str) -> bool:
        """Whether one of them stands in `view`."""
        return (
            any(map(view.__contains__, self.plain))
            or any(map(view.lower().__contains__, self.hexadecimal))
            or any(word.search(view) for word in self.words)
        )


@dataclass(frozen=True, slots=True, repr=False)
class _Value:
    """One credential."""

    length: int
    """In characters."""
    spellings: _Spellings
    located: Callable[[], re.Pattern[str]]
    """All that can be located: each character of the value in every escape. Slow, and so only made on a hit."""


class Redactor:
    """Knows the credentials in use, and takes them out of text. Safe to use from several threads."""

    def __init__(self) -> None:
        # Under a digest, so that whoever prints this object's fields prints no credential.
        self._known: dict[bytes, _Value] = {}
        self._values: tuple[_Value, ...] = ()
        self._all = _Spellings()

    def learn(self, secret: Exposing) -> bool:
        """Look for this value from now on.

        Returns:
            False when it is shorter than 4 characters: then it would be found everywhere, and is not looked for.
        """
        value = secret.expose()
        if len(value) < _ANY_SEARCH:
            return False
        digest = sha256(value.encode("utf-8", "surrogatepass")).digest()
        if digest in self._known:
            return True
        known = {**self._known, digest: _value(value)}
        if len(known) > _CAPACITY:
            del known[next(iter(known))]
        # The longest first: a value that stands inside of another must not leave the rest of it behind.
        self._values = tuple(sorted(known.values(), key=attrgetter("length"), reverse=True))
        self._all, self._known = _together(self._values), known
        return True

    def scrub(self, text: str) -> str:
        """`text` with every known value replaced by `[redacted]`; the same object when there is none."""
        if not self._values or not text:
            return text
        views = _views(text)
        if not any(map(self._all.within, views)):
            return text
        clean = text
        for known in self._values:
            if not any(map(known.spellings.within, views)):
                continue
            clean = known.located().sub(MARK, clean)
            if any(map(known.spellings.within, _views(clean))):
                return MARK
        return clean

    def scrub_bytes(self, body: bytes) -> tuple[bytes, bool]:
        """`body`, read as UTF-8, without any known value, and whether there was one."""
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError:
            if not self._suspects(body):
                return body, False
            text = body.decode("utf-8", "surrogateescape")
        clean = self.scrub(text)
        if clean is text:
            return body, False
        return clean.encode("utf-8", "surrogateescape"), True

    def _suspects(self, body: bytes) -> bool:
        """Whether a known value may be in a file that is no text.

        Looked for in what of it is printable, with the rest left out: that sees what a full search would find, and is
        quick where that takes a second for a megabyte. A short value is one word, so for it the rest becomes blanks.
        """
        if not self._all.printable:
            return True
        if _stand(self._all, body.translate(None, _UNPLAIN)):
            return True
        words = self._all.words
        return bool(words) and _stand(_Spellings(words=words), body.translate(_SPACED))


def _stand(spellings: _Spellings, printable: bytes) -> bool:
    return any(map(spellings.within, _views(printable.decode("ascii"))))


def _together(values: Iterable[_Value]) -> _Spellings:
    """Those of all values, to tell at once of a text that none of them stands in it."""
    each = [value.spellings for value in values]
    return _Spellings(
        tuple(plain for one in each for plain in one.plain),
        tuple(hexadecimal for one in each for hexadecimal in one.hexadecimal),
        tuple(word for one in each for word in one.words),
    )


def _views(text: str) -> list[str]:
    """The text as it is, and as it reads with one encoding after the other taken off."""
    views = [text]
    while len(views) <= _LAYERS and (plainer := _unwrapped(views[-1])) != views[-1]:
        views.append(plainer)
    return views


def _unwrapped(text: str) -> str:
    if "\\" in text:
        text = _JSON_ESCAPE.sub(_unescaped, text)
    if "%" in text:
        text = _PERCENT_CODES.sub(_uncoded, text)
    if "&" in text:
        text = _ENTITY.sub(_named, text)
    # Variation selectors and fillers count as printable.
    if not (text.isascii() and text.isprintable()):
        text = INVISIBLE.sub("", text)
    return text


def _uncoded(codes: re.Match[str]) -> str:
    return bytes.fromhex(codes[0].replace("%", "")).decode("utf-8", "surrogateescape")


def _named(entity: re.Match[str]) -> str:
    return html.unescape(entity[0])


def _unescaped(escape: re.Match[str]) -> str:
    spelled = escape[0]
    if len(spelled) == 6:
        return chr(int(spelled[2:], 16))
    # A line break or a tab does not show, whichever it is, and is taken out with the others.
    return "\n" if spelled[1] in "bfnrt" else spelled[1]


def _value(value: str) -> _Value:
    if len(value) < _FULL_SEARCH:
        word = re.compile(rf"(?<!\w){re.escape(value)}(?!\w)")
        return _Value(len(value), _Spellings(words=(word,)), lambda: word)
    octets = value.encode("utf-8", "surrogateescape")
    base64 = _base64_cores(octets)

    def located() -> re.Pattern[str]:
        spelled = "".join(map(_any_escape, value))
        # One character more on either side, because it holds the value's outermost bits.
        encoded = "|".join(f"{_BASE64_CHARACTER}?{re.escape(core)}{_BASE64_CHARACTER}?" for core in base64)
        return re.compile(f"{spelled}|{encoded}|(?i:{octets.hex()})")

    plain = dict.fromkeys((value, value.replace(" ", "+"), *base64))
    return _Value(len(value), _Spellings(tuple(plain), (octets.hex(),)), located)


def _base64_cores(octets: bytes) -> tuple[str, ...]:
    """What of the value's base64 is the same whatever stands before and after it: one per alignment and alphabet."""
    cores: list[str] = []
    for before in range(3):
        first = -(-before * 8 // 6)
        whole = (before + len(octets)) * 8 // 6
        for encode in (b64encode, urlsafe_b64encode):
            cores.append(encode(bytes(before) + octets).decode()[first:whole])
    return tuple(dict.fromkeys(cores))


def _any_escape(character: str) -> str:
    """A pattern for one character in any of its escapes."""
    percent = "".join(f"%{octet:02x}" for octet in character.encode("utf-8", "surrogateescape"))
    units = character.encode("utf-16-be", "surrogatepass").hex()
    unicode = "".join(rf"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))
    code = ord(character)
    named = "|".join(sorted({re.escape(html.escape(character))} - {re.escape(character)}))
    entities = f"&#0*{code};|&#x0*{code:x};" + (f"|{named}" if named else "")
    simple = rf"|\\{re.escape(character)}" if character in '"\\/' else r"|\+" if character == " " else ""
    return f"(?:{re.escape(character)}|(?i:{percent}|{unicode}|{entities}){simple})"


class RedactingFilter(logging.Filter):
    """Takes known credentials out of a log record: message, arguments, traceback, stack and every added field.

    Put it on handlers, not on loggers: a logger's filter does not see what its children log.
    """

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True: the record is kept, and cleaned."""
        scrub = self._redactor.scrub
        record.msg, record.args = scrub(_message(record)), None
        if record.exc_info and not record.exc_text:
            record.exc_text = _FORMATTER.formatException(record.exc_info)
        if record.exc_text:
            # The exception itself goes, so that no formatter can write it out a second time.
            record.exc_text, record.exc_info = scrub(record.exc_text), None
        for name, value in record.__dict__.items():
            if name in _OWN_FIELDS or isinstance(value, (bool, int, float, type(None))):
                continue
            shown = value if isinstance(value, str) else str(value)
            if (clean := scrub(shown)) is not shown:
                record.__dict__[name] = clean
        if record.stack_info:
            record.stack_info = scrub(record.stack_info)
        return True


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        # A call with wrong arguments is still worth a line, and no reason to fail what is being logged.
        return f"{record.msg} {record.args}"


_FORMATTER: Final = logging.Formatter()
_OWN_FIELDS: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}
