"""What work inside a transaction may say: the store's domain verbs, a room of them per noun."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Protocol

from gateway.store.actions import Actions
from gateway.store.bodies import Bodies
from gateway.store.budgets import Budgets
from gateway.store.holds import Holds
from gateway.store.ledger import Ledger
from gateway.store.people import People
from gateway.store.switches import Switches
from gateway.store.tasks import Tasks


class ChainSealer(Protocol):
    """Authenticates what is stored with a key kept outside the database: the ledger's end, and each vote.

    Args:
        seq: number of the ledger's last line; 0, which no line has, for a vote.
        hash: of that line, or of the vote.
    """

    def __call__(self, seq: int, hash: str) -> str: ...


class Connection(Protocol):
    """The little of a database connection that the verbs need."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Any: ...

    def executemany(self, sql: str, parameters: Any, /) -> Any: ...


class Transaction:
    """One transaction: its time, and the verbs of each noun."""

    def __init__(self, connection: Connection, now: int, sealer: ChainSealer) -> None:
        self.now = now
        """Milliseconds since the epoch, one value for the whole transaction."""
        self._connection = connection
        self._sealer = sealer

    def insert_waiting(self) -> None:
        """Insert the rows that were left to be inserted together."""
        self.bodies.waiting.insert()
        self.ledger.waiting.insert()

    def drop_waiting(self) -> None:
        """Leave them out: the work that brought them is undone."""
        self.bodies.waiting.drop()
        self.ledger.waiting.drop()

    def seal(self) -> None:
        """The last thing before a commit: insert what waits, and put the seal under the ledger's new head."""
        self.insert_waiting()
        self.ledger.seal()

    @cached_property
    def actions(self) -> Actions:
        """Claims, states and leases."""
        return Actions(self._connection, self.now)

    @cached_property
    def bodies(self) -> Bodies:
        """Sealed arguments, answers and previews."""
        return Bodies(self._connection, self.now)

    @cached_property
    def holds(self) -> Holds:
        """Holds and their votes."""
        return Holds(self._connection, self.now, self._sealer)

    @cached_property
    def budgets(self) -> Budgets:
        """Reservations against limits."""
        return Budgets(self._connection, self.now)

    @cached_property
    def ledger(self) -> Ledger:
        """The hash-chained lines."""
        return Ledger(self._connection, self.now, self._sealer)

    @cached_property
    def people(self) -> People:
        """Principals and their API keys."""
        return People(self._connection, self.now)

    @cached_property
    def switches(self) -> Switches:
        """Stops in force."""
        return Switches(self._connection, self.now)

    @cached_property
    def tasks(self) -> Tasks:
        """The pieces of work that calls belong to."""
        return Tasks(self._connection, self.now)
