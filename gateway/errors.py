"""Every way a call can fail, with its stable code.

    HoldgateError
    ├── Refusal                 the gateway said no; nothing went out
    ├── UpstreamError           the system of record failed; `effect` says whether it may have happened
    ├── LedgerUnavailable       the store cannot record, so nothing may happen (semantics.md L-1)
    ├── CredentialUnavailable   the vault gave no credential, so nothing went out
    ├── AnswerRefused           what a connector would hand over is too large, or of a kind that nobody can show
    └── StartupError            for the operator: file, line and remedy; never on the wire

A message is written for the agent that will read it: what happened, in one sentence. `next` says what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from gateway.outcome import Retry


class HoldgateError(Exception):
    """Anything the gateway raises on purpose. `str()` is safe to show; it holds no secret and no argument."""


@dataclass(frozen=True)
class Code:
    """A stable refusal or failure code, and what it lets the caller do."""

    name: str
    retry: Retry
    next: str


_CODES = (
    # -- the call itself
    Code("unknown_tool", Retry.CHANGED, "List the tools and use one of their names."),
    Code("invalid_arguments", Retry.CHANGED, "Correct the named arguments and call again."),
    Code("invalid_request", Retry.CHANGED, "Send one well-formed JSON-RPC request."),
    Code("conflicting_keys", Retry.CHANGED, "Give the idempotency key in one place only."),
    Code("dry_run_unsupported", Retry.CHANGED, "This tool has no preview; call it without dry_run."),
    # -- policy
    Code("not_permitted", Retry.NO, "Do not try to get around this; tell the user what policy does not allow."),
    Code("needs_reason", Retry.CHANGED, "Call again with `reason` saying in one sentence why this is done."),
    Code("needs_evidence", Retry.CHANGED, "Make the named read first, then cite its action_id in `evidence`."),
    Code("switched_off", Retry.NO, "An operator has stopped this. Tell the user and do not retry."),
    # -- limits
    Code("rate_limited", Retry.LATER, "Wait for retry_after_ms, then call again."),
    Code("over_budget", Retry.NO, "The budget is used up. Hand this over to a human."),
    Code("too_many_holds", Retry.LATER, "Wait until some of your held actions are decided; see list_my_actions."),
    # -- idempotency
    Code("key_reused", Retry.CHANGED, "This key belongs to a different call. Use a new idempotency_key."),
    Code("key_expired", Retry.NO, "That key's answer is no longer kept. Check the record, then use a new key."),
    Code("in_flight", Retry.LATER, "The same call is still running. Call get_action with this action_id."),
    Code(
        "outcome_unknown",
        Retry.NO,
        "It may or may not have happened. Do not retry with a new key; call get_action later or tell the user.",
    ),
    # -- holds
    Code("hold_denied", Retry.NO, "A reviewer said no. Tell the user; do not ask again."),
    Code("hold_expired", Retry.CHANGED, "Nobody decided in time. Ask the user whether to call again."),
    Code("hold_cancelled", Retry.CHANGED, "The hold was cancelled. Call again only if it is still wanted."),
    Code("hold_stale", Retry.CHANGED, "The record changed after it was approved. Preview and ask again."),
    Code("action_not_found", Retry.CHANGED, "Use an action_id from one of your own calls."),
    Code("not_cancellable", Retry.NO, "Only a held action can be cancelled; see its status with get_action."),
    # -- questions
    Code("input_required", Retry.CHANGED, "Nothing was done yet. Your client has to answer a question first."),
    Code("cannot_ask", Retry.NO, "Nothing was done. Use another tool, or a client that declares the capability."),
    Code("invalid_answer", Retry.CHANGED, "Nothing was done. Make the call again, and answer what is asked."),
    Code("question_closed", Retry.CHANGED, "Nothing was done. Make the call again without requestState."),
    Code("question_refused", Retry.NO, "The tool asked where it may not. Tell the operator, with this action_id."),
    # -- upstream
    Code("upstream_unreachable", Retry.YES, "Nothing was sent. The same call may be made again shortly."),
    Code("upstream_busy", Retry.LATER, "Nothing was done. Wait for retry_after_ms, then make the same call again."),
    Code("upstream_rejected", Retry.CHANGED, "The system of record refused it. Read the message, then change it."),
    Code(
        "credential_rejected",
        Retry.NO,
        "The gateway's own credential is not accepted there. Tell the operator.",
    ),
    Code("upstream_failed", Retry.YES, "Reading failed. The same call may be made again."),
    Code("upstream_bad_answer", Retry.NO, "The answer did not have the promised shape. Tell the user."),
    Code("answer_too_large", Retry.CHANGED, "The answer is larger than may be handed over. Ask for less of it."),
    Code("egress_blocked", Retry.NO, "The gateway lets no such request out. Tell the operator."),
    # -- the gateway
    Code("ledger_unavailable", Retry.LATER, "Nothing was sent. The gateway cannot record actions; try again later."),
    Code("credential_unavailable", Retry.LATER, "Nothing was sent. The gateway has no credential; try again later."),
    Code("shutting_down", Retry.LATER, "Nothing was sent. The gateway is restarting; try again shortly."),
    Code("internal_error", Retry.NO, "Tell the operator, with this action_id."),
)

CODES: dict[str, Code] = {code.name: code for code in _CODES}
"""Every code that can reach an agent."""


class Refusal(HoldgateError):
    """The gateway said no, and nothing went out.

    Args:
        code: one of `CODES`.
        message: one sentence for the agent: what, and why.
        next: what to do instead, when it is more exact than the code's own.
        retry_after_ms: exact, for codes whose retry is `later`.
        rules: ids of the policy rules that refused.
        action_id: an earlier action that this call concerns (a duplicate, an evidence, a hold).
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        next: str | None = None,
        retry_after_ms: int | None = None,
        rules: tuple[str, ...] = (),
        action_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = CODES[code].name
        self.message = message
        self.next = next or CODES[code].next
        self.retry = CODES[code].retry
        self.retry_after_ms = retry_after_ms
        self.rules = rules
        self.action_id = action_id


class UpstreamError(HoldgateError):
    """The system of record did not do what was asked, or did not say so in a way we can read (semantics.md I-7).

    Attributes:
        effect: `none`: it certainly did not happen. `unknown`: it may have. `happened`: it did, and only the
            answer's body is missing or unreadable.
        code: one of `CODES`.
        sent: whether a byte of the request may have left the house.
        status: HTTP status, when there was one.
        retry_after: seconds the upstream asked to wait.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        effect: Literal["none", "unknown", "happened"],
        sent: bool = True,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = CODES[code].name
        self.message = message
        self.effect = effect
        self.sent = sent
        self.status = status
        self.retry_after = retry_after


class LedgerUnavailable(HoldgateError):
    """The store cannot be read or written: full, locked, read-only or broken. Nothing may go out."""


class CredentialUnavailable(HoldgateError):
    """The vault is down, sealed, or has no such secret. Nothing went out. Names the reference, never a value."""


class AnswerRefused(HoldgateError):
    """What a connector would hand over may not be, or what it asked its caller came to nothing."""

    def __init__(
        self,
        code: Literal["answer_too_large", "upstream_bad_answer", "question_refused", "cannot_ask", "invalid_answer"],
        message: str,
    ) -> None:
        super().__init__(message)
        self.code = CODES[code].name
        self.message = message


class StartupError(HoldgateError):
    """The gateway cannot start or reload as configured.

    Args:
        message: what is wrong, in one sentence.
        file, line: where, when it is in a file.
        remedy: what to do about it, in one sentence.
        others: further problems of the same start, so that one run names them all.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        remedy: str = "",
        others: tuple[StartupError, ...] = (),
    ) -> None:
        self.message = message
        self.file = file
        self.line = line
        self.remedy = remedy
        self.others = others
        where = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        first = f"{where}{message}" + (f" {remedy}" if remedy else "")
        super().__init__("\n".join((first, *map(str, others))))

    @property
    def problems(self) -> tuple[StartupError, ...]:
        """Every problem, this one first, each standing alone."""
        alone = StartupError(self.message, file=self.file, line=self.line, remedy=self.remedy)
        return (alone, *(problem for other in self.others for problem in other.problems))

    @classmethod
    def together(cls, problems: Iterable[StartupError]) -> StartupError:
        """One error that carries all of `problems`, of which there is at least one; its `str()` has a line for each."""
        first, *others = (alone for problem in problems for alone in problem.problems)
        return cls(first.message, file=first.file, line=first.line, remedy=first.remedy, others=tuple(others))
