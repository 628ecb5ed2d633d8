"""One piece of work for a transaction, and where its asker waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.store.transaction import Transaction

T = TypeVar("T")
Work = Callable[[Transaction], T]


@dataclass(slots=True)
class Job(Generic[T]):
    """What is to be done, and then what came of it."""

    work: Work[T]
    answer: asyncio.Future[T] | None = None
    """Where the asker waits; None: nobody does."""
    result: T | None = None
    error: BaseException | None = None

    def tell(self) -> None:
        """Hand the result over, unless the asker has gone."""
        if self.answer is None or self.answer.done():
            return
        if self.error is not None:
            self.answer.set_exception(self.error)
        else:
            self.answer.set_result(self.result)  # type: ignore[arg-type] # set whenever there is no error
