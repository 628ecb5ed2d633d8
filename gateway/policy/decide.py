"""The decision: pure, total and independent of order. Strictest wins: deny > hold > allow; no match is deny."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256

from gateway import canonical
from gateway.connector import Tool
from gateway.decision import ApprovalFactor, ApprovalTerms, Decision, Rate, RuleRef, Verdict
from gateway.documents import Document
from gateway.model import Principal
from gateway.policy import budgets
from gateway.policy.clauses import Clause, clauses, covers, matcher
from gateway.policy.document import Budgets, PolicyDocument, ToolBudget
from gateway.policy.inquiry import Inquiry

_CODES = {"not_permitted": 0, "needs_evidence": 1, "needs_reason": 2, "approval_needed": 3}
"""What is told first: there is no point in looking for evidence for what is not permitted."""

_PRINCIPALS = 1_024
"""Principals whose tools are remembered: with a thousand tools, adding them up is no small part of a call."""
_CASES = 8_192
"""Pairs of a principal and a tool of which that is remembered which no argument changes."""


@dataclass(frozen=True, slots=True)
class _Say:
    """What one policy has to say about one tool."""

    applies: Callable[[Principal], bool]
    grant: RuleRef | None
    clauses: tuple[Clause, ...]
    whole: Budgets | None
    own: tuple[tuple[str, ToolBudget], ...]
    rate: tuple[str, Rate] | None
    repeat_window: int | None


@dataclass(frozen=True, slots=True)
class _Case:
    """What all policies together have to say about one principal and one tool, before they see an argument."""

    unbitten: Decision
    """Of a call that no clause bites, its charges left out."""
    clauses: tuple[Clause, ...]
    prices: tuple[budgets.Price, ...]
    rates: tuple[tuple[str, Rate], ...] | None
    """As `Policy.rates` gives them."""


@dataclass(frozen=True, slots=True)
class _Reach:
    """Which tools one policy shows, and which it denies whatever the arguments."""

    applies: Callable[[Principal], bool]
    granted: frozenset[str]
    denied: tuple[tuple[frozenset[str], Callable[[Principal], bool] | None], ...]


class Policy:
    """A checked, immutable set of policies. `gateway.policy.live.load` makes one.

    Args:
        documents: policies that have passed `check`; their order does not matter.
        tools: every tool there is, by name.
    """

    def __init__(self, documents: Sequence[Document[PolicyDocument]], tools: Mapping[str, Tool]) -> None:
        self.documents = tuple(sorted(documents, key=lambda document: document.value.policy))
        self.hash: str = sha256(canonical.dumps([document.tree for document in self.documents])).hexdigest()
        """SHA-256 over the canonical content of all policies; neither comments nor file names change it."""
        self._tools = tools
        self._says = {name: tuple(_say(document, tool) for document in self.documents) for name, tool in tools.items()}
        self._reaches = tuple(_reach(document, tools) for document in self.documents)
        self.visible = lru_cache(maxsize=_PRINCIPALS)(self._visible)
        """The tools that a principal may call at all: granted by a policy, and not denied outright by any."""
        self._case = lru_cache(maxsize=_CASES)(self._case_of)

    def decide(self, inquiry: Inquiry) -> Decision:
        """What the policies say of a call. Never raises: what cannot be evaluated is denied."""
        try:
            return self._decide(inquiry)
        except Exception as error:  # noqa: BLE001 - the stated boundary: an evaluation error denies, whatever it is
            name = type(error).__name__
            ref = RuleRef("holdgate/evaluation-error", Verdict.DENY, 0, f"a rule could not be evaluated ({name})")
            return self._verdict(Verdict.DENY, "not_permitted", (ref,), f"Policy refused this: {ref.because}.")

    def _visible(self, principal: Principal) -> frozenset[str]:
        reaches = [reach for reach in self._reaches if reach.applies(principal)]
        granted = frozenset[str]().union(*(reach.granted for reach in reaches))
        denied = (tools for reach in reaches for tools, whom in reach.denied if whom is None or whom(principal))
        return granted.difference(*denied)

    def rates(self, principal: Principal, tool_name: str) -> tuple[tuple[str, Rate], ...] | None:
        """(stable counter name, rate) for each rate that bounds the attempts at a tool; None: it is not visible."""
        return self._case(principal, tool_name).rates

    def _decide(self, inquiry: Inquiry) -> Decision:
        case = self._case(inquiry.principal, inquiry.tool.name)
        decision = case.unbitten
        if bitten := [clause for clause in case.clauses if clause.bites(inquiry)]:
            if denials := [clause for clause in bitten if clause.ref.verdict is Verdict.DENY]:
                return self._denied(denials)
            if decision.verdict is not Verdict.DENY:
                decision = _held(decision, bitten)
        if decision.verdict is Verdict.DENY or not case.prices:
            return decision
        return replace(decision, charges=budgets.charges(inquiry, case.prices))

    def _case_of(self, principal: Principal, tool_name: str) -> _Case:
        says = [say for say in self._says.get(tool_name, ()) if say.applies(principal)]
        return _Case(
            unbitten=self._unbitten(principal, tool_name, says),
            clauses=tuple(clause for say in says for clause in say.clauses),
            prices=self._prices(principal, tool_name, says),
            rates=_rates(principal, says) if tool_name in self.visible(principal) else None,
        )

    def _unbitten(self, principal: Principal, tool_name: str, says: Sequence[_Say]) -> Decision:
        grants = [say.grant for say in says if say.grant]
        if not grants:
            message = f"No policy lets {principal.id} call {tool_name}."
            return self._verdict(Verdict.DENY, "not_permitted", (), message)
        wholes = [say.whole for say in says if say.whole]
        return Decision(
            verdict=Verdict.ALLOW,
            code="allowed",
            message="Policy allows this call.",
            rules=tuple(sorted(grants, key=_by_name)),
            policy_hash=self.hash,
            limits=budgets.limits(wholes),
            repeat_window=max((say.repeat_window for say in says if say.repeat_window), default=None),
            on_exceeded=min((whole.on_exceeded for whole in wholes if whole.on_exceeded), default=None),
        )

    def _prices(self, principal: Principal, tool_name: str, says: Sequence[_Say]) -> tuple[budgets.Price, ...]:
        wholes = [say.whole for say in says if say.whole]
        own = [budget for say in says for budget in say.own]
        return budgets.prices(principal, self._tools[tool_name], wholes, own) if says else ()

    def _denied(self, denials: Sequence[Clause]) -> Decision:
        code = min((clause.code for clause in denials), key=_CODES.__getitem__)
        told = denials if code != "not_permitted" else [clause for clause in denials if clause.code == code]
        return self._verdict(Verdict.DENY, code, _rules(told), f"Policy does not allow this call: {_because(told)}.")

    def _verdict(self, verdict: Verdict, code: str, rules: tuple[RuleRef, ...], message: str) -> Decision:
        return Decision(verdict, code, message, rules, self.hash)


def _say(document: Document[PolicyDocument], tool: Tool) -> _Say:
    policy = document.value
    terms = policy.terms(tool.name)
    prefix = f"{policy.policy}/{tool.name}"
    grant = RuleRef(f"{prefix}/allow", Verdict.ALLOW, document.line("tools", tool.name), f"{tool.name} is granted")
    return _Say(
        applies=matcher(policy.applies_to),
        grant=grant if policy.grants(tool.name) else None,
        clauses=tuple(clauses(document, tool)),
        whole=policy.budgets,
        own=tuple((policy.policy, budget) for budget in terms.budgets) if terms else (),
        rate=(prefix, terms.rate) if terms and terms.rate else None,
        repeat_window=terms.repeat_window if terms else None,
    )


def _reach(document: Document[PolicyDocument], tools: Mapping[str, Tool]) -> _Reach:
    policy = document.value
    outright = [
        (frozenset(tool for tool in tools if covers(rule, tool)), matcher(rule.who) if rule.who else None)
        for rule in policy.rules
        if rule.then == "deny" and not rule.when
    ]
    return _Reach(
        applies=matcher(policy.applies_to),
        granted=frozenset(tool for tool in policy.tools if policy.grants(tool)),
        denied=((frozenset(tool for tool, entry in policy.tools.items() if entry == "deny"), None), *outright),
    )


def _rates(principal: Principal, says: Sequence[_Say]) -> tuple[tuple[str, Rate], ...]:
    tenant, own = budgets.escaped(principal.tenant), budgets.escaped(principal.id)
    return tuple((f"{say.rate[0]}/principal:{tenant}/{own}", say.rate[1]) for say in says if say.rate)


def _held(granted: Decision, bitten: Sequence[Clause]) -> Decision:
    approval = _combined([clause.approval for clause in bitten])
    return replace(
        granted,
        verdict=Verdict.HOLD,
        code="approval_needed",
        message=f"This call waits for approval by {approval.needs}: {_because(bitten)}.",
        rules=_rules(bitten),
        approval=approval,
    )


def _by_name(ref: RuleRef) -> tuple[str, int]:
    return ref.id, ref.line


def _rules(bitten: Sequence[Clause]) -> tuple[RuleRef, ...]:
    return tuple(sorted((clause.ref for clause in bitten), key=_by_name))


def _because(bitten: Sequence[Clause]) -> str:
    return "; ".join(ref.because for ref in _rules(bitten))


def _combined(asked: Sequence[ApprovalTerms | None]) -> ApprovalTerms:
    """All factors that anyone asks for, and the shortest times.

    Raises:
        ValueError: when someone asks for approval and does not say by whom; `check` lets no such policy pass.
    """
    counts: dict[tuple[str, ...], int] = {}
    terms = [term for term in asked if term is not None and term.factors]
    if len(terms) < len(asked):
        raise ValueError("a hold without approvers")
    for factor in (factor for term in terms for factor in term.factors):
        counts[factor.groups] = max(factor.count, counts.get(factor.groups, 0))
    return ApprovalTerms(
        factors=tuple(ApprovalFactor(groups, counts[groups]) for groups in sorted(counts)),
        expires=min(term.expires for term in terms),
        execute_within=min(term.execute_within for term in terms),
    )
