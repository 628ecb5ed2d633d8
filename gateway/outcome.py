"""How an action ended: where it stands in the store, and the one answer that its caller gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from gateway.frozen import statically_frozen

if TYPE_CHECKING:
    from gateway.model import Asked


class State(StrEnum):
    """Where an action stands in the store (semantics.md I-6)."""

    HELD = "held"
    DISPATCHING = "dispatching"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    REFUSED = "refused"

    @property
    def terminal(self) -> bool:
        """Whether nothing can change any more."""
        return self in (State.SUCCEEDED, State.FAILED, State.REFUSED)


@statically_frozen
class Ended:
    """How an action ended, before it is recorded."""

    state: State
    code: str | None = None
    message: str | None = None
    data: dict[str, Any] | None = None
    content: tuple[Mapping[str, Any], ...] = ()
    """What lies beside the data, as MCP spells it."""
    next: str | None = None
    """What the caller should do, when it is more exact than the code's own."""
    retry_after_ms: int | None = None
    credential_version: str | None = None
    frees_claim: bool = False
    """Nothing arrived upstream, or nothing was done: the same key may run again."""
    asked: Asked | None = None
    """The questions that it ended with; nothing was done then."""
    lacks: tuple[str, ...] = ()
    """Capabilities without which the client could not be asked."""


class Status(StrEnum):
    """How a call ended, as the agent sees it."""

    DONE = "done"
    PREVIEWED = "previewed"
    HELD = "held"
    ASKED = "asked"
    """It ended with a question to the client and without an effect; the answer comes in a call of its own."""
    RUNNING = "running"
    """Still under way when the caller's patience ended; `get_action` tells how it went on."""
    REPLAYED = "replayed"
    REFUSED = "refused"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Retry(StrEnum):
    """Whether calling again can help."""

    YES = "yes"
    """The same call may be made again now."""
    LATER = "later"
    """The same call may be made again after `retry_after_ms`."""
    CHANGED = "changed"
    """Only a different call can succeed."""
    NO = "no"
    """Do not call again."""


@statically_frozen
class Outcome:
    """The one answer to a call, before `tools.envelope` gives it the wire's shape."""

    status: Status
    action_id: str
    data: dict[str, Any] | None = None
    diff: list[dict[str, Any]] | None = None
    """`[{field, before, after, certainty}]`, from a preview."""
    code: str | None = None
    message: str | None = None
    next: str | None = None
    retry: Retry | None = None
    retry_after_ms: int | None = None
    expires_at: str | None = None
    """RFC 3339, for a hold."""
    original_status: str | None = None
    """Of a replay: the status of the first answer."""
    key_source: str | None = None
    rules: tuple[str, ...] = ()
    content: tuple[Mapping[str, Any], ...] = ()
    """What lies beside `data`, each as MCP spells it: pictures, sounds and documents, or a prompt's messages."""
    asks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Questions for the client, by name, as MCP spells them; the answers come in a call that `continues` this one."""
    lacks: tuple[str, ...] = ()
    """Capabilities without which the client could not be asked."""

    @property
    def is_error(self) -> bool:
        """Whether MCP should flag it `isError`."""
        bad = (Status.REFUSED, Status.FAILED, Status.UNKNOWN)
        return self.status in bad or self.original_status in bad
