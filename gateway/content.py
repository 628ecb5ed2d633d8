"""Content that is more than JSON: pictures, sounds, documents, messages; checked where it is made (semantics.md T-2).

A connector cannot pass on what no client could show, or what no answer may carry: an unknown media type, text that
is no base64, too many bytes. Each block knows how MCP spells it.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Self, TypeAlias

from gateway.errors import AnswerRefused

MAX_CONTENT_BYTES: Final = 840_000
"""Of all that one answer carries beside its data, as it is spelled: a picture of 630,000 bytes, in base64.

One answer is one message, and the Python SDK's client loses one of 1 MiB; the envelope needs the rest (clients.md).
"""
MAX_BLOCKS: Final = 16

MEDIA_TYPE: Final = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]{0,80}")
_URI: Final = re.compile(r"[a-z][a-z0-9+.-]{0,31}:[\x21-\x7e]{1,2000}")


@dataclass(frozen=True, slots=True)
class _Media:
    """Bytes of a media type that models can take in.

    Args:
        data: the bytes as they are; `from_base64` is for an upstream that spells them.

    Raises:
        AnswerRefused: they are none, too many, or of another type.
    """

    data: bytes
    mime_type: str

    kind: ClassVar[str]
    allowed: ClassVar[frozenset[str]]

    def __post_init__(self) -> None:
        if self.mime_type not in self.allowed:
            raise _odd(f"One {self.kind} is of a media type that is not handed over.")
        if not self.data:
            raise _odd(f"One {self.kind} is empty.")
        fits(self.size)

    @classmethod
    def from_base64(cls, text: str, mime_type: str) -> Self:
        """The same from base64, as systems of record put bytes into JSON; line breaks in it do not count."""
        return cls(_decoded(text), mime_type)

    @property
    def size(self) -> int:
        """Bytes, as base64."""
        return base64_size(self.data)

    def spelled(self) -> dict[str, Any]:
        """The block, as MCP spells it."""
        return {"type": self.kind, "data": b64encode(self.data).decode(), "mimeType": self.mime_type}


class Image(_Media):
    """A picture: PNG, JPEG, GIF or WebP. An SVG is a program, and is none."""

    __slots__ = ()
    kind = "image"
    allowed = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


class Audio(_Media):
    """A sound."""

    __slots__ = ()
    kind = "audio"
    allowed = frozenset(f"audio/{name}" for name in ("wav", "mpeg", "ogg", "flac", "aac", "mp4", "webm"))


@dataclass(frozen=True, slots=True)
class Document:
    """A text or a file, named by a URI.

    Args:
        uri: what it is called, e.g. `crm://contracts/17`; a name, and nothing that anybody fetches.
        body: text, or the bytes of anything else.

    Raises:
        AnswerRefused: the URI or the media type is none, or it is too large.
    """

    uri: str
    body: str | bytes
    mime_type: str = "text/plain"

    def __post_init__(self) -> None:
        if not _URI.fullmatch(self.uri):
            raise _odd("One document has no URI.")
        if not MEDIA_TYPE.fullmatch(self.mime_type):
            raise _odd("One document is of a media type that is none.")
        fits(self.size)

    @classmethod
    def from_base64(cls, uri: str, text: str, mime_type: str) -> Self:
        """A file from base64, as systems of record put bytes into JSON; line breaks in it do not count."""
        return cls(uri, _decoded(text), mime_type)

    @property
    def size(self) -> int:
        """Bytes, as they are spelled."""
        return text_size(self.body) if isinstance(self.body, str) else base64_size(self.body)

    def spelled(self) -> dict[str, Any]:
        """The block, as MCP spells it."""
        said = {"text": self.body} if isinstance(self.body, str) else {"blob": b64encode(self.body).decode()}
        return {"type": "resource", "resource": {"uri": self.uri, "mimeType": self.mime_type, **said}}


Attachment: TypeAlias = Image | Audio | Document
"""What a message, or an answer beside its data, may carry."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a prompt: who says it, and a text or something to look at, to hear or to read."""

    role: Literal["user", "assistant"]
    content: str | Attachment

    @classmethod
    def user(cls, content: str | Attachment) -> Message:
        """What the user says."""
        return cls("user", content)

    @classmethod
    def assistant(cls, content: str | Attachment) -> Message:
        """What the model is made to have said."""
        return cls("assistant", content)

    @property
    def size(self) -> int:
        """Bytes, as they are spelled."""
        return text_size(self.content) if isinstance(self.content, str) else self.content.size

    def spelled(self) -> dict[str, Any]:
        """The message, as MCP spells it."""
        said = self.content
        return {
            "role": self.role,
            "content": {"type": "text", "text": said} if isinstance(said, str) else said.spelled(),
        }


Block: TypeAlias = Attachment | Message


def spelled(blocks: Sequence[Block]) -> tuple[dict[str, Any], ...]:
    """All that one answer carries beside its data, as MCP spells it.

    Raises:
        AnswerRefused: they are too many, or together too large.
    """
    if len(blocks) > MAX_BLOCKS:
        raise AnswerRefused("answer_too_large", f"The answer has {len(blocks)} parts; at most {MAX_BLOCKS} fit.")
    fits(sum(block.size for block in blocks))
    return tuple(block.spelled() for block in blocks)


def fits(size: int) -> None:
    """Raises: AnswerRefused: `answer_too_large`."""
    if size > MAX_CONTENT_BYTES:
        raise AnswerRefused("answer_too_large", f"The answer has {size} bytes; at most {MAX_CONTENT_BYTES} fit.")


def text_size(text: str) -> int:
    """Bytes of a text as JSON spells it."""
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace"))


def base64_size(data: bytes) -> int:
    """Bytes of `data` in base64."""
    return (len(data) + 2) // 3 * 4


def _decoded(text: str) -> bytes:
    try:
        return b64decode("".join(text.split()), validate=True)
    except ValueError:
        raise _odd("One part is said to be base64, and is not.") from None


def _odd(message: str) -> AnswerRefused:
    return AnswerRefused("upstream_bad_answer", message)
