"""What one policy file says about one tool, turned into clauses: small tests, each with its verdict and its line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from gateway.connector import Tool
from gateway.decision import ApprovalTerms, RuleRef, Verdict
from gateway.documents import Document
from gateway.model import Evidence, Principal
from gateway.policy.arguments import shown
from gateway.policy.conditions import equal, test
from gateway.policy.document import AppliesTo, EvidenceNeed, PolicyDocument, Rule, ToolTerms, Who
from gateway.policy.inquiry import Inquiry, argument
from gateway.policy.notation import spoken

Bites = Callable[[Inquiry], bool]


@dataclass(frozen=True, slots=True)
class Clause:
    """One thing that may refuse or hold a call."""

    ref: RuleRef
    code: str
    bites: Bites
    approval: ApprovalTerms | None = None


def clauses(document: Document[PolicyDocument], tool: Tool) -> Iterator[Clause]:
    """Everything in `document` that can refuse or hold a call of `tool`."""
    policy = document.value
    if tool.name in policy.tools:
        writer = _Writer(document, ("tools", tool.name), f"{policy.policy}/{tool.name}", policy.approval)
        match policy.tools[tool.name]:
            case "deny":
                yield writer.deny("deny", f"{tool.name} is not allowed", lambda _: True)
            case "hold":
                yield writer.hold("hold", "every call is held", lambda _: True)
            case ToolTerms() as terms:
                yield from _terms(writer, terms, tool)
    for index, rule in enumerate(policy.rules):
        if covers(rule, tool.name):
            yield _rule(document, index, rule)


def covers(rule: Rule, tool: str) -> bool:
    """Whether `rule` names `tool`, or a glob that fits it."""
    return any(fnmatchcase(tool, pattern) for pattern in rule.tools)


def matcher(whom: AppliesTo) -> Callable[[Principal], bool]:
    """Whether a principal is meant: every key that is written must fit."""
    groups = None if whom.groups is None else frozenset(whom.groups)
    ids = None if whom.principals is None else frozenset(whom.principals)
    kinds = None if whom.kinds is None else frozenset(whom.kinds)
    human = whom.on_behalf_of if isinstance(whom, Who) else None

    def fits(principal: Principal) -> bool:
        return (
            (groups is None or not groups.isdisjoint(principal.groups))
            and (ids is None or principal.id in ids)
            and (kinds is None or principal.kind in kinds)
            and (human is None or _acts_for(principal.on_behalf_of, human))
        )

    return fits


def _acts_for(someone: str | None, wanted: str | tuple[str, ...]) -> bool:
    match wanted:
        case "none":
            return someone is None
        case "any":
            return someone is not None
        case _:
            return someone in wanted


@dataclass(frozen=True, slots=True)
class _Writer:
    """Clauses of one entry: their ids and lines, and the approval that its holds ask for."""

    document: Document[PolicyDocument]
    location: tuple[str | int, ...]
    prefix: str
    approval: Any

    def deny(self, key: str, because: str, bites: Bites, *at: str | int, code: str = "not_permitted") -> Clause:
        return Clause(self._ref(key, Verdict.DENY, because, at), code, bites)

    def hold(self, key: str, because: str, bites: Bites, *at: str | int) -> Clause:
        terms = self.approval.terms() if self.approval else None
        return Clause(self._ref(key, Verdict.HOLD, because, at), "approval_needed", bites, terms)

    def _ref(self, key: str, verdict: Verdict, because: str, at: tuple[str | int, ...]) -> RuleRef:
        return RuleRef(f"{self.prefix}/{key}", verdict, self.document.line(*self.location, *at), because)


def _terms(writer: _Writer, terms: ToolTerms, tool: Tool) -> Iterator[Clause]:
    if terms.approval:
        writer = _Writer(writer.document, writer.location, writer.prefix, terms.approval)
    for field, limit in (terms.max or {}).items():
        yield writer.deny(
            f"max.{field}", f"`{field}` may be at most {shown(limit)}", _when(field, "over", limit), "max", field
        )
    for field, limit in (terms.min or {}).items():
        yield writer.deny(
            f"min.{field}", f"`{field}` must be at least {shown(limit)}", _when(field, "under", limit), "min", field
        )
    if terms.allowed_fields:
        yield _allowed_fields(writer, terms.allowed_fields, tool)
    for index, need in enumerate(terms.require or ()):
        if need == "reason":
            yield writer.deny(
                "require.reason",
                "a `reason` is required",
                lambda inquiry: not (inquiry.reason and inquiry.reason.strip()),
                "require",
                index,
                code="needs_reason",
            )
        else:
            yield writer.deny(
                f"require.{need.evidence}", _asked(need), _lacks(need), "require", index, code="needs_evidence"
            )
    for field, limit in (terms.approve_over or {}).items():
        yield writer.hold(
            f"approve_over.{field}",
            f"`{field}` is over {shown(limit)}",
            _when(field, "over", limit),
            "approve_over",
            field,
        )
    if terms.always_approve:
        yield writer.hold("always_approve", "every call is held", lambda _: True, "always_approve")


def _when(field: str, operator: str, operand: Any) -> Bites:
    holds, path = test(operator, operand), tuple(field.split("."))
    if len(path) == 1:
        return lambda inquiry: holds(inquiry.arguments.get(field))
    return lambda inquiry: holds(argument(inquiry.arguments, path))


def _allowed_fields(writer: _Writer, allowed: tuple[str, ...], tool: Tool) -> Clause:
    optional = {name for name, info in tool.input_model.model_fields.items() if not info.is_required()}
    refused = frozenset(optional - set(allowed))
    names = ", ".join(f"`{name}`" for name in allowed if name in optional)
    return writer.deny(
        "allowed_fields",
        f"of the optional arguments only {names} may be given" if names else "no optional argument may be given",
        lambda inquiry: not refused.isdisjoint(inquiry.given),
        "allowed_fields",
    )


def _asked(need: EvidenceNeed) -> str:
    same = ", ".join(f"`{own}`" if own == other else f"`{own}` as its `{other}`" for own, other in need.pairs)
    with_same = f" with the same {same}" if same else ""
    return (
        f"`evidence` must cite the action_id of a {need.evidence} of this task{with_same}, "
        f"at most {spoken(need.within)} old"
    )


def _lacks(need: EvidenceNeed) -> Bites:
    pairs = [(tuple(own.split(".")), other) for own, other in need.pairs]

    def fits(read: Evidence, inquiry: Inquiry) -> bool:
        if read.tool != need.evidence or read.task != inquiry.task_id or not 0 <= read.age <= need.within:
            return False
        own = [argument(inquiry.arguments, path) for path, _ in pairs]
        return all(
            value is not None and equal(value, read.fields.get(other))
            for value, (_, other) in zip(own, pairs, strict=True)
        )

    return lambda inquiry: not any(fits(read, inquiry) for read in inquiry.evidence)


def _rule(document: Document[PolicyDocument], index: int, rule: Rule) -> Clause:
    policy = document.value
    writer = _Writer(document, ("rules", index), f"{policy.policy}/{rule.id}", rule.approval or policy.approval)
    whom = matcher(rule.who) if rule.who else None
    tests = [
        _when(path.removeprefix("args."), operator, operand)
        for path, conditions in rule.when.items()
        for operator, operand in conditions.tests.items()
    ]

    def bites(inquiry: Inquiry) -> bool:
        return (whom is None or whom(inquiry.principal)) and all(holds(inquiry) for holds in tests)

    because = rule.because.strip().rstrip(".")
    if rule.then == "deny":
        return writer.deny("deny", because, bites)
    return writer.hold("hold", because, bites)
