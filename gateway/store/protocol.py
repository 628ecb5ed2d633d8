"""What the house asks of a store. Two dialects can stand behind it; today there is SQLite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from gateway.store.transaction import Transaction

T = TypeVar("T")


class Store(Protocol):
    """Transactions over one database. See `sqlite.SqliteStore` for the contract of each."""

    def now(self) -> int: ...

    async def write(self, work: Callable[[Transaction], T]) -> T: ...

    async def sweep(self, work: Callable[[Transaction], T]) -> T: ...

    async def read(self, work: Callable[[Transaction], T]) -> T: ...

    def transact(self, work: Callable[[Transaction], T]) -> T: ...

    def look(self, work: Callable[[Transaction], T]) -> T: ...

    def note(self, work: Callable[[Transaction], object]) -> None: ...

    def changed(self) -> bool: ...

    def close(self) -> None: ...
