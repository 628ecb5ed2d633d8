"""The nouns of a governed call: values that every room shares. Imports nothing of ours but how to make one.

What policy says of a call is in `decision`, the right to send it in `permit`, how it ended in `outcome`, and what is
recorded of it in `ledger_line`.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from gateway.frozen import statically_frozen

if TYPE_CHECKING:
    from pydantic import BaseModel

    from gateway.caller import Client
    from gateway.connector import Tool

MAX_URI = 2_000
"""Characters of a resource's URI."""
ID_PATTERN = re.compile(r"^[a-z]{3}_[0-9a-f]{32}$")


def new_id(prefix: str) -> str:
    """A fresh id of 128 bits, `act_…`, `tsk_…`: 48 of time, and 80 that cannot be guessed (semantics.md H-9).

    The time stands first, so that the records of one moment lie side by side in the database's indexes; spread over
    them, each call would have to write a page of every index.
    """
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"


class Mode(StrEnum):
    """What the caller asks for: the effect, or only a look at it."""

    RUN = "run"
    PREVIEW = "preview"


class Surface(StrEnum):
    """Where a client meets what a connector declares. Whatever it is, it is granted, recorded and run as a tool is."""

    TOOL = "tool"
    RESOURCE = "resource"
    PROMPT = "prompt"


class Effect(StrEnum):
    """Whether a tool changes the system of record."""

    READ = "read"
    WRITE = "write"


class Risk(StrEnum):
    """How much harm one wrong call can do; a HIGH write must have a preview."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Kind(StrEnum):
    """What stands behind a principal. Only a human may approve (semantics.md H-5)."""

    AGENT = "agent"
    HUMAN = "human"
    SERVICE = "service"


class Role(StrEnum):
    """Explicit duties, kept apart on purpose (semantics.md A-5)."""

    CALLER = "caller"
    APPROVER = "approver"
    OPERATOR = "operator"
    AUDITOR = "auditor"


@statically_frozen
class Principal:
    """Who calls, as established by a credential and never by what the client says of itself."""

    tenant: str
    id: str
    kind: Kind
    groups: frozenset[str] = frozenset()
    roles: frozenset[Role] = frozenset({Role.CALLER})
    owner: str | None = None
    """The human who answers for an agent; may not approve its calls."""
    on_behalf_of: str | None = None
    """The human an agent acts for in this call, when the credential says so."""
    key_id: str = ""
    """The API key that was presented; re-checked by the transaction that admits."""


@statically_frozen
class Carried:
    """What rode on a call beside its arguments. Claims: recorded, never trusted to widen a right."""

    meta_key: str | None = None
    header_key: str | None = None
    meta_task: str | None = None
    header_task: str | None = None
    thread: str | None = None
    session: str | None = None
    client_call_id: str | None = None
    preview: bool = False
    claims: Mapping[str, str] = field(default_factory=dict)
    """For the ledger: client name, model, turn id … each at most 200 characters."""


@statically_frozen
class Call:
    """A call as it arrived: authenticated, its JSON bounded, nothing else known about it."""

    principal: Principal
    tool: str
    """The name of a tool or of a prompt, or the URI of a resource."""
    arguments: dict[str, Any]
    carried: Carried = Carried()
    client: Client | None = field(default=None, compare=False, repr=False)
    """Who hears what the tool says before its answer."""
    surface: Surface = Surface.TOOL
    continues: str | None = None
    """The action that ended with a question, which this call answers (semantics.md Q-3)."""
    answers: Mapping[str, Any] = field(default_factory=dict)
    """What the client answered, by the question's name, as MCP spells it; None where it would not. Untrusted."""


@statically_frozen
class Task:
    """The piece of work a call belongs to (semantics.md I-16)."""

    id: str
    source: str
    """meta | header | client_thread | session | implicit"""

    @property
    def unnamed(self) -> bool:
        """Whether it ended by no will of the client's: the gateway opened it, or it is as long as a connection."""
        return self.source in ("implicit", "session")


@statically_frozen
class Key:
    """The scope key of a write (semantics.md I-2..I-4)."""

    digest: bytes
    """HMAC-SHA256; the caller's own text is never stored."""
    source: str
    """meta | header | argument | natural | derived"""

    @property
    def derived(self) -> bool:
        """Whether the gateway made the key from the arguments, because the caller gave none."""
        return self.source == "derived"

    @property
    def chosen(self) -> bool:
        """Whether the caller gave it, and so may have given it to two different calls."""
        return self.source in ("meta", "header", "argument")


@statically_frozen
class Action:
    """A call whose tool is known and whose arguments are valid: the unit that is decided, held and run."""

    id: str
    principal: Principal
    tool: Tool
    args: BaseModel
    arguments: dict[str, Any]
    """The arguments after defaults, as plain JSON, in the model's field order."""
    given: frozenset[str]
    """The arguments that the caller passed itself."""
    mode: Mode
    task: Task
    key: Key | None
    """None for reads and previews, which claim nothing."""
    fingerprint: bytes
    """HMAC of the RFC 8785 JSON of {tool, schema, arguments, mode} (semantics.md I-5)."""
    twin: bytes
    """HMAC of principal, tool and arguments, without task and schema: finds a lost answer (semantics.md I-15).

    Empty without a key: only writes are looked for.
    """
    reason: str | None
    evidence: tuple[str, ...]
    carried: Carried
    deadline: float
    """Seconds the caller is served before it is told `in_flight`."""
    client: Client | None = field(default=None, compare=False, repr=False)
    """Who hears what the tool says before its answer; nobody, when it runs after an approval."""
    asked_in: str | None = None
    """Of an action that is taken up after its call: the span of that call, as W3C's `traceparent`."""
    resumed: Resumed | None = None
    """What it goes on from, when it answers a question."""

    @property
    def key_source(self) -> str | None:
        """Where its key comes from; None for reads and previews."""
        return self.key.source if self.key else None


@statically_frozen
class Asked:
    """What a call ended with instead of an answer."""

    questions: Mapping[str, Mapping[str, Any]]
    """By name, each as MCP spells it."""
    answers: Mapping[str, Any]
    """Those that were given before."""
    round: int
    """How often the call has asked, this time included."""


@statically_frozen
class Resumed:
    """A call that goes on after a question: from its start, with the answers so far."""

    action_id: str
    """The action that asked last."""
    answers: Mapping[str, Any]
    round: int
    digest: bytes
    """HMAC of the answers: they can be told apart on the ledger, and not read."""


@statically_frozen
class Evidence:
    """A finished read that a write cites, as the ledger knows it (semantics.md E-1)."""

    action_id: str
    tool: str
    task: str
    age: float
    """Seconds since it finished, by the store's clock."""
    fields: Mapping[str, Any]
    """The read's arguments and the top-level fields of its result."""


class HoldState(StrEnum):
    """Where a hold stands (semantics.md H-2)."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    CONSUMED = "consumed"
    STALE = "stale"
    DENIED_AT_EXECUTION = "denied_at_execution"


@statically_frozen
class Shown:
    """A preview as it was shown: what an approval is bound to (semantics.md H-1, H-4)."""

    changes: list[dict[str, Any]]
    """`[{field, before, after, certainty}]`"""
    witness: str
    """SHA-256 of the state that the preview rests on."""
    digest: str
    """SHA-256 of the changes."""
