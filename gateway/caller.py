"""What a tool can say to whoever called it, before its answer. Authors import it from `gateway.connector`."""

from __future__ import annotations

from typing import Final, Literal, Protocol, TypeAlias, get_args

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


class Client(Protocol):
    """The client at the other end, as the protocol knows it. Nothing here waits or fails."""

    def progress(self, done: float, total: float | None, message: str) -> None:
        """Pass it on to a client that has asked for progress."""
        ...

    def tell(self, level: Level, tool: str, message: str) -> None:
        """Pass a line on to a client that keeps a log, if it matters enough."""
        ...
