"""What one transaction has read, and may believe for as long as it lasts: nobody else writes meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Readings(Generic[T]):
    """Answers that the calls of one transaction share, so that each question is put to the database once.

    Only until the transaction itself writes what they rest on: from then on every question is put again, because a
    piece of work that fails is undone, and what it had read in between would be believed by its neighbours.
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, T] = {}
        self._written = False

    def get(self, question: Hashable, ask: Callable[[], T]) -> T:
        """The answer to `question`, from `ask` where it is not known."""
        if self._written:
            return ask()
        if question not in self._known:
            self._known[question] = ask()
        return self._known[question]

    def written(self) -> None:
        """This transaction changes what the answers rest on."""
        self._written = True
