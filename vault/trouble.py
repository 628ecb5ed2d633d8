"""What can be wrong with a Vault server's answer, in our own words (semantics.md C-2)."""

from __future__ import annotations

from typing import Any


class Trouble(Exception):
    """Why the vault gave nothing. Holds no text of the vault's, and never chains to an exception of hvac's.

    Args:
        what: what is wrong, as a clause.
        remedy: what to do about it, in one sentence.
        refused: whether the vault judged the request, rather than being unable to.
    """

    def __init__(self, what: str, remedy: str, *, refused: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.refused = refused


def strange() -> Trouble:
    """It is no Vault that answers."""
    return Trouble(
        "its answer is not one of a Vault server", "Correct the vault's address; redirects are not followed."
    )


def found(answer: object, *path: str) -> Any:
    """What stands at `path` in an answer's JSON; None when there is nothing."""
    for name in path:
        answer = answer.get(name) if isinstance(answer, dict) else None
    return answer


def seconds(answer: object, *path: str) -> int:
    """The duration at `path`.

    Raises:
        Trouble: there is none.
    """
    value = found(answer, *path)
    if not isinstance(value, int):
        raise strange()
    return value


def text(answer: object, *path: str) -> str:
    """The text at `path`.

    Raises:
        Trouble: there is none.
    """
    value = found(answer, *path)
    if not isinstance(value, str) or not value:
        raise strange()
    return value
