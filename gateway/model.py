"""The nouns of a governed call: values that every room shares. Imports nothing of ours but how to make one."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

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


class Verdict(StrEnum):
    """What policy says. Strictest wins: deny > hold > allow."""

    ALLOW = "allow"
    HOLD = "hold"
    DENY = "deny"


@statically_frozen
class RuleRef:
    """A rule that made a decision, so that it can be found in its file."""

    id: str
    """`<policy>/<tool or rule id>/<clause>`, e.g. `support-agents/billing_refund/max.cents`."""
    verdict: Verdict
    line: int
    because: str


@statically_frozen
class ApprovalFactor:
    """So many humans out of these groups."""

    groups: tuple[str, ...]
    count: int = 1


@statically_frozen
class ApprovalTerms:
    """Who must approve, and for how long the question and the answer stand (semantics.md H-5, H-6)."""

    factors: tuple[ApprovalFactor, ...]
    expires: int = 3600
    """Seconds a hold waits for its votes."""
    execute_within: int = 900
    """Seconds an approval may wait for its execution."""

    @property
    def needs(self) -> str:
        """Whose votes it takes, in words."""
        return " and ".join(f"{factor.count} of {' or '.join(factor.groups)}" for factor in self.factors)


@statically_frozen
class Rate:
    """So many attempts per period."""

    count: int
    seconds: float


@statically_frozen
class BudgetCharge:
    """What one call costs against one budget (semantics.md R-5)."""

    budget: str
    """Stable name of the counter, e.g. `support-agents/billing_refund/principal:bot/cents`."""
    amount: int
    limit: int
    window: int | None
    """Seconds of the rolling window; None: the whole task."""
    unit: str
    """`calls`, or a currency and its minor unit such as `USD cents`, or the summed argument's name."""
    per_task: bool = False
    """Whether each task has one of its own."""


@statically_frozen
class TaskLimits:
    """What a whole task may use up."""

    wall_clock: int | None = None
    """Seconds since the task's first call."""


@statically_frozen
class Decision:
    """What policy says of one action, and the rules that made it say so."""

    verdict: Verdict
    code: str
    """`allowed`, `approval_needed`, or the refusal's code: `not_permitted`, `needs_evidence`, `needs_reason`."""
    message: str
    """One sentence for the agent: why, and what to do next."""
    rules: tuple[RuleRef, ...]
    """Those that made it this verdict, and no others; none, when nothing grants the tool."""
    policy_hash: str
    approval: ApprovalTerms | None = None
    charges: tuple[BudgetCharge, ...] = ()
    limits: TaskLimits = TaskLimits()
    repeat_window: int | None = None
    """Seconds in which an identical keyless write is answered from the first; None: the gateway's default."""
    on_exceeded: str | None = None
    """What the agent is told to do when a budget is used up, e.g. `handoff_to_human`."""


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Permit:
    """The right to make one action's outbound calls. Minted only by the transaction that writes the intent line.

    No ledger line, no permit; no permit, no credential. What counts is the very object that was minted, and not what
    it says: a permit can be neither invented by hand, nor copied with a field changed, nor read from disk. That guards
    against honest mistakes in our own code, and is no sandbox against hostile code in this process.
    """

    action_id: str
    tool: str
    mode: Mode
    reads_only: bool
    credential: str | None
    """A reference, never a value."""
    upstream_key: str
    """HMAC of the action id: the same on every retry (semantics.md I-10)."""
    fence: int
    intent: str
    """Hash of the intent line."""
    again: bool = False
    """Whether an earlier sending may have happened, so that no failure of this one means that nothing did (I-8)."""

    def minted(self) -> Permit:
        """This permit, which counts from now on; called where the intent line is written, and nowhere else."""
        _MINTED.add(self)
        return self

    def vouched(self) -> bool:
        """Whether this process minted it."""
        return self in _MINTED


_MINTED: Final[WeakSet[Permit]] = WeakSet()


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


class Event(StrEnum):
    """What a ledger line records (semantics.md L-2)."""

    REFUSED = "REFUSED"
    PREVIEW = "PREVIEW"
    INTENT = "INTENT"
    OUTCOME = "OUTCOME"
    REPLAY = "REPLAY"
    HOLD_CREATED = "HOLD_CREATED"
    HOLD_DECIDED = "HOLD_DECIDED"
    VOTE = "VOTE"
    CONSUMED = "CONSUMED"
    RECONCILE = "RECONCILE"
    CONFIG = "CONFIG"
    SWITCH = "SWITCH"
    KEY = "KEY"
    WRITER_OPEN = "WRITER_OPEN"
    WRITER_CLOSE = "WRITER_CLOSE"


@statically_frozen
class Shown:
    """A preview as it was shown: what an approval is bound to (semantics.md H-1, H-4)."""

    changes: list[dict[str, Any]]
    """`[{field, before, after, certainty}]`"""
    witness: str
    """SHA-256 of the state that the preview rests on."""
    digest: str
    """SHA-256 of the changes."""


@statically_frozen
class LedgerLine:
    """One line of the ledger, as stored: `hash` = SHA-256 of `text`, and `text` contains the previous hash."""

    seq: int
    hash: str
    text: str
    """RFC 8785 canonical JSON."""
