"""What a tool can say to whoever called it, or ask, before its answer. Authors import it from `gateway.connector`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, Protocol, TypeAlias, TypeVar, get_args

from gateway.questions import Question

T = TypeVar("T")

Level: TypeAlias = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
"""How much a line matters, as MCP and syslog name it."""
LEVELS: Final[tuple[Level, ...]] = get_args(Level)
"""All of them, least first."""


class Caller(Protocol):
    """The one who called, as a tool sees it: a third parameter, `async def export(args, upstream, caller: Caller)`.

    Nothing here waits, fails or tells whether anybody listens. Text is redacted as answers are, and cut to a line's
    length; a tool that says too much at once is not heard, for the gateway passes on twenty things and then five a
    second.
    """

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """Say how far the work has come.

        Args:
            done: more than the last time, in whatever unit.
            total: how much there is to do, in that unit, when it is known.
            message: at most 200 characters.
        """
        ...

    def tell(self, level: Level, message: str) -> None:
        """Say something of interest to whoever watches the client, and to nobody else: the operator has the ledger.

        It is heard by clients of 2025-11-25 and older that have a session or a pipe; later ones have no log.

        Args:
            message: at most 2,000 characters.
        """
        ...


class Askable(Caller, Protocol):
    """A caller whose client may be asked something; only for tools that change nothing (semantics.md Q-2).

    A question ends the call; with the answer the function is run again from its start, and this time gets it:

        who = await caller.ask("who", Form("Whose orders?", Who))

    So ask before the work, keep the names of questions, and do not rest an answer on what may differ the next time.
    An answer is what the client says, and no consent: who must agree to an action is asked through a hold.
    """

    def can(self, question: type[Question[Any]]) -> bool:
        """Whether the client has said that it can be asked this. To ask one that cannot fails the call."""
        ...

    async def ask(self, name: str, question: Question[T]) -> T | None:
        """The answer; None when the client or its user would not give one.

        Args:
            name: of the question in this call: `[a-z][a-z0-9_]*`, at most 64 characters.
        """
        ...

    async def ask_all(self, questions: Mapping[str, Question[Any]]) -> dict[str, Any]:
        """Several questions at once, by name, and what `ask` would give for each."""
        ...


class Client(Protocol):
    """The client at the other end, as the protocol knows it. Nothing here waits or fails."""

    @property
    def can(self) -> frozenset[str]:
        """The capabilities of `Question` that it has declared, and can use on this line."""
        ...

    def progress(self, done: float, total: float | None, message: str) -> None:
        """Pass it on to a client that has asked for progress."""
        ...

    def tell(self, level: Level, tool: str, message: str) -> None:
        """Pass a line on to a client that keeps a log, if it matters enough."""
        ...
