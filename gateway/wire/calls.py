"""What the protocol asks for, made a `Call` and answered, whichever front carries it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeAlias

from gateway.caller import Client
from gateway.errors import CODES
from gateway.model import MAX_URI, Call, Carried, Surface, new_id
from gateway.outcome import Outcome, Status
from gateway.tools.catalogue import UnknownTool
from gateway.wire.exchange import Exchange
from gateway.wire.results import call_result, spelled_call_result

log = logging.getLogger("holdgate.wire")

_TELLS_THE_END: Final = frozenset({Status.DONE, Status.PREVIEWED, Status.REPLAYED, Status.REFUSED, Status.FAILED})
"""What an answer says that counts as delivered: after any other, the outcome is still owed (semantics.md I-15)."""
_OF_ANOTHER_CALL: Final = frozenset({"not_cancellable", "key_reused"})
"""Refusals that name an earlier action, whose own answer is still owed."""
_LONGEST: Final = {Surface.TOOL: 64, Surface.PROMPT: 64, Surface.RESOURCE: MAX_URI}
"""Characters of a name, or of a URI: what is longer is looked for nowhere."""


Handle: TypeAlias = Callable[[Call], Awaitable[Outcome]]
"""Answers a call with exactly one outcome; see `mcp_server.Gateway`."""


class Listener(Client, Protocol):
    """A client that is told things while its call is under way."""

    async def hear(self, handle: Handle, call: Call) -> Outcome:
        """What `handle` makes of the call, after everything that is said before it, and asked."""
        ...


class Calls:
    """Makes calls.

    Args:
        handle: see `Handle`.
        tells_of_writes: whether it matters that the answers of a tool arrive (semantics.md I-15): a lost read is made
            again, and that is all.
        structured_content: whether results carry the envelope a second time as structured content.
    """

    def __init__(
        self,
        handle: Handle,
        tells_of_writes: Callable[[str], bool],
        *,
        structured_content: bool,
    ) -> None:
        self._handle = handle
        self._tells_of_writes = tells_of_writes
        self._structured = structured_content

    def result(self, outcome: Outcome) -> dict[str, Any]:
        """The result of `tools/call`, as plain JSON."""
        return call_result(outcome, structured_content=self._structured)

    def spelled(self, outcome: Outcome, meta: bytes) -> bytes:
        """The same, ready to send, with its `_meta`."""
        return spelled_call_result(outcome, meta, structured_content=self._structured)

    async def outcome(
        self,
        exchange: Exchange,
        surface: Surface,
        name: str,
        arguments: dict[str, Any],
        carried: Carried,
        listener: Listener | None = None,
    ) -> Outcome:
        """The one answer to what was asked for on a surface, before it takes that surface's form.

        Args:
            name: of a tool or a prompt, or the URI of a resource.
            listener: hears what the tool says before its answer; None: nobody.

        Raises:
            UnknownTool: absent and hidden alike.
        """
        try:
            if len(name) > _LONGEST[surface]:
                raise UnknownTool(name, surface)
            call = Call(exchange.principal, name, arguments, carried, surface=surface, client=listener)
            outcome = await (self._handle(call) if listener is None else listener.hear(self._handle, call))
        except UnknownTool:
            raise
        except Exception:  # noqa: BLE001 - boundary: whatever breaks, the wire gets an envelope and never its text
            outcome = _internal_error(name)
        tells = outcome.status in _TELLS_THE_END and outcome.code not in _OF_ANOTHER_CALL
        if tells and self._tells_of_writes(name):
            exchange.answered.append(outcome.action_id)
        return outcome


def _internal_error(tool: str) -> Outcome:
    """What the agent is told when the gateway itself broke: not that nothing happened, for that is not known."""
    action_id = new_id("act")
    log.exception("internal_error", extra={"action": action_id, "tool": tool[:64]})
    code = CODES["internal_error"]
    message = "The gateway failed while it handled this call; whether it had an effect is not known."
    return Outcome(Status.UNKNOWN, action_id, code=code.name, message=message, next=code.next, retry=code.retry)
