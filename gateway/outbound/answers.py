"""What an upstream's answer, or the lack of one, means for the effect (semantics.md I-7). Decided only here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from gateway import strict_json
from gateway.connector import JSON, Fetched
from gateway.errors import CredentialUnavailable, UpstreamError
from gateway.frozen import statically_frozen
from gateway.outbound.links import BadLink, next_page
from gateway.outbound.upstream import Wanted
from gateway.redact import INVISIBLE, Redactor

_TRANSIENT: Final = frozenset({408, 425, 429, *range(500, 600)})
_LONGEST_WAIT: Final = 86_400.0
_LONGEST_QUOTE: Final = 200
_NOTES: Final = ("message", "detail", "error_description", "title", "error", "errors")
"""Where APIs put their explanation, most telling first."""


@statically_frozen
class Answer:
    """An upstream's answer, with every known credential already taken out of its body."""

    status: int
    retry_after: float | None
    """Seconds the upstream asked to wait."""
    body: bytes | None
    """None when it could not be read; `flaw` says why."""
    flaw: str = ""
    broke_off: bool = False
    """Whether the body is missing because the connection broke, so that reading again may help."""
    etag: str = ""
    link: str = ""
    """The headers of these names, with every known credential taken out; empty where they are not wanted."""


def value_of(
    answer: Answer, wanted: Wanted, *, mutates: bool, definite_errors: frozenset[int], redactor: Redactor
) -> JSON:
    """What is wanted of a good answer. Its JSON is None when its body is empty.

    Raises:
        UpstreamError: for every other answer, with what it means for the effect.
    """
    if 200 <= answer.status <= 299:
        if wanted is Wanted.FILE and answer.body is not None:
            return answer.body
        value = _parsed(answer, mutates=mutates)
        return _fetched(value, answer) if wanted is Wanted.FETCHED else value
    raise _refused(answer, mutates=mutates, definite_errors=definite_errors, redactor=redactor)


def seconds_of(retry_after: str | None) -> float | None:
    """`Retry-After` in seconds from now, from either of its two forms; None when it says nothing usable."""
    if not retry_after:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - datetime.now(UTC)).total_seconds(), 0.0), _LONGEST_WAIT)


def not_sent(message: str) -> UpstreamError:
    """No byte left: no name, no connection, no TLS, no free place, no time."""
    return UpstreamError("upstream_unreachable", message, effect="none", sent=False)


def blocked(message: str) -> UpstreamError:
    """The gateway itself did not let it out."""
    return UpstreamError("egress_blocked", message, effect="none", sent=False)


def unanswered(message: str, *, mutates: bool) -> UpstreamError:
    """It may have been sent, and no answer came."""
    if mutates:
        return UpstreamError("outcome_unknown", f"{message} The write may have happened.", effect="unknown")
    return UpstreamError("upstream_failed", message, effect="none")


def after_a_write(failure: UpstreamError | CredentialUnavailable) -> UpstreamError:
    """`failure` of an action that wrote before: "nothing happened" is true of the attempt, and not of the action."""
    upstream = failure if isinstance(failure, UpstreamError) else None
    return UpstreamError(
        "outcome_unknown",
        f"An earlier attempt or step of this action may have happened, and then this one failed: {failure}",
        effect="unknown",
        status=upstream.status if upstream else None,
        retry_after=upstream.retry_after if upstream else None,
    )


def _parsed(answer: Answer, *, mutates: bool) -> JSON:
    flaw = answer.flaw
    if answer.body is not None:
        if not answer.body:
            return None
        try:
            return strict_json.loads(answer.body)
        except strict_json.BadJson as bad:
            flaw = str(bad)
    if mutates:
        raise UpstreamError(
            "upstream_bad_answer",
            f"The write happened, but its answer cannot be read: {flaw}",
            effect="happened",
            status=answer.status,
        )
    raise UpstreamError(
        "upstream_failed" if answer.broke_off else "upstream_bad_answer",
        f"The answer cannot be read: {flaw}",
        effect="none",
        status=answer.status,
    )


def _fetched(value: JSON, answer: Answer) -> Fetched:
    """The value of an answer with its etag, and the query of the page that its `Link` calls the next (RFC 8288)."""
    try:
        if not (answer.etag.isascii() and answer.link.isascii()):
            raise BadLink("or its `ETag` is not ASCII")
        return Fetched(value, answer.etag or None, next_page(answer.link))
    except BadLink as bad:
        said = f"The answer cannot be read: its `Link` {bad}."
        raise UpstreamError("upstream_bad_answer", said, effect="none", status=answer.status) from None


def _refused(answer: Answer, *, mutates: bool, definite_errors: frozenset[int], redactor: Redactor) -> UpstreamError:
    status = answer.status
    said = f"The system of record answered {status}"
    if status in (425, 429) or (mutates and status in definite_errors):
        return UpstreamError(
            "upstream_busy",
            f"{said}: it did nothing, and asks to wait.",
            effect="none",
            status=status,
            retry_after=answer.retry_after,
        )
    if status == 401:
        return UpstreamError(
            "credential_rejected", f"{said}: it does not know the gateway's credential.", effect="none", status=status
        )
    if 400 <= status <= 499 and status != 408:
        quote = _quote(answer.body, redactor)
        return UpstreamError(
            "upstream_rejected", f'{said} and said: "{quote}"' if quote else f"{said}.", effect="none", status=status
        )
    if not mutates:
        problem = f"{said}, a redirect, which is not followed." if 300 <= status <= 399 else f"{said}."
        return UpstreamError("upstream_failed", problem, effect="none", status=status, retry_after=answer.retry_after)
    return UpstreamError(
        "outcome_unknown",
        f"{said}. The write may have happened.",
        effect="unknown",
        status=status,
        retry_after=answer.retry_after,
    )


def _quote(body: bytes | None, redactor: Redactor) -> str:
    """The upstream's own explanation, short and harmless to show."""
    if not body:
        return ""
    try:
        note = _note(strict_json.loads(body))
    except strict_json.BadJson:
        note = body.decode("utf-8", "replace") if not body.lstrip().startswith((b"<", b"{", b"[")) else ""
    # Once more: parsing took off one layer of escapes, so a credential may show only now.
    shown = redactor.scrub(" ".join(INVISIBLE.sub("", note.replace("\n", " ")).split())).replace('"', "'")
    return shown if len(shown) <= _LONGEST_QUOTE else f"{shown[: _LONGEST_QUOTE - 1]}…"


def _note(said: Any) -> str:
    """The first text under a name that APIs use for an explanation."""
    for _ in range(4):
        if isinstance(said, str):
            return said
        if isinstance(said, list):
            said = said[0] if said else None
        elif isinstance(said, dict):
            said = next((said[name] for name in _NOTES if said.get(name)), None)
    return ""


def repeatable(*, keyed: bool) -> Callable[[UpstreamError], bool]:
    """Whether the same request may be sent again after a failure (semantics.md R-6).

    Args:
        keyed: it is a write that the upstream makes once, however often it comes.
    """

    def may_be(failure: UpstreamError) -> bool:
        match failure.code:
            case "upstream_unreachable" | "upstream_busy":
                return True
            case "upstream_failed":
                return failure.status is None or failure.status in _TRANSIENT or 200 <= failure.status <= 299
            case "outcome_unknown":
                return keyed and (failure.status is None or failure.status in _TRANSIENT)
            case _:
                return False

    return may_be
