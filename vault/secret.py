"""One credential value that cannot be shown by accident (semantics.md C-5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, final

_HIDDEN = "Secret(hidden)"


@final
class Secret:
    """A value that only `expose()` gives away.

    `repr`, `str`, `format`, f-strings, `%` and therefore logs and tracebacks with locals show a placeholder.
    Copying, pickling, iterating and every JSON or pydantic serialisation fail. Two secrets are equal only when
    they are the same object, so that equality cannot be used to guess one.

    Args:
        value: the credential itself.

    Raises:
        TypeError: when the value is no text. Says the type, never the value.
    """

    __slots__ = ("_reveal",)

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError(f"a Secret holds text, not {type(value).__name__}")
        # A closure, because object walkers (inspectors, crash reporters) print what they find in a slot.
        self._reveal: Callable[[], str] = lambda: value

    def expose(self) -> str:
        """The value. Called only where a request is signed, where redaction learns it, and inside the vault room."""
        return self._reveal()

    def fits_a_header(self) -> bool:
        """Whether it can be sent as one HTTP header: printable ASCII, not empty, no space at either end."""
        value = self._reveal()
        return value.isascii() and value.isprintable() and value.strip() == value != ""

    def is_a_login(self) -> bool:
        """Whether it is `user:password`, as RFC 7617 has them; either may be empty."""
        return ":" in self._reveal()

    def __repr__(self) -> str:
        return _HIDDEN

    def __str__(self) -> str:
        return _HIDDEN

    def __format__(self, spec: str) -> str:
        return _HIDDEN

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret cannot be copied or pickled")

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("Secret is final: a subclass would get a __dict__")
