"""The name of a credential: `kv/path/to#field`. Safe to log, to store and to show."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.errors import StartupError

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", re.ASCII)
_LONGEST = 255
_REMEDY = "Write it as `mount/path/to#field`, e.g. `kv/billing/refunds#token`."


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a credential lives in the vault, in every backend alike.

    A segment is 1 or more of `A-Z a-z 0-9 _ - .`, does not start with a dot and has no two dots in a row, so
    that no reference can climb out of its mount. At most 255 characters in all.

    Raises:
        StartupError: says which part is wrong. It never repeats the text, which may be a credential that
            somebody pasted where its reference belongs (semantics.md C-6).
    """

    mount: str
    """The KV mount: the first segment, `kv`."""
    path: str
    """Below the mount: `path/to`."""
    field: str
    """The key inside the secret: `field`."""

    def __post_init__(self) -> None:
        _require_name(self.mount, "mount")
        for segment in self.path.split("/"):
            _require_name(segment, "path")
        _require_name(self.field, "field")
        if len(str(self)) > _LONGEST:
            raise StartupError(f"A credential reference is longer than {_LONGEST} characters.", remedy=_REMEDY)

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read `mount/path/to#field`; `str()` of the result is `text` again.

        Raises:
            StartupError: when it is anything else.
        """
        location, hash_sign, field = text.partition("#")
        if not hash_sign:
            raise StartupError("A credential reference has no `#field` at its end.", remedy=_REMEDY)
        mount, slash, path = location.partition("/")
        if not slash:
            raise StartupError("A credential reference has no path after its mount.", remedy=_REMEDY)
        return cls(mount, path, field)

    def __str__(self) -> str:
        return f"{self.mount}/{self.path}#{self.field}"


def _require_name(name: str, part: str) -> None:
    if not name:
        raise StartupError(f"A credential reference has an empty name in its {part}.", remedy=_REMEDY)
    if not _NAME.fullmatch(name) or ".." in name:
        raise StartupError(
            f"A credential reference has a character or dots in its {part} that are not allowed.", remedy=_REMEDY
        )
