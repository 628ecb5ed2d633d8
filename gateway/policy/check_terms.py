"""Does one tool's entry in a policy make sense for that tool?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.connector import Tool
from gateway.documents import Document
from gateway.errors import StartupError
from gateway.policy.arguments import Argument, closest, find, shown
from gateway.policy.document import EvidenceNeed, PolicyDocument, ToolTerms


def check_terms(
    document: Document[PolicyDocument],
    tool: Tool,
    terms: ToolTerms,
    tools: Mapping[str, Tool],
    granted: set[str],
) -> Iterator[StartupError]:
    """The problems of what `document` says about `tool`; `granted` are the tools that some policy grants."""
    entry = _Entry(document, tool, terms)
    yield from entry.limits()
    yield from entry.approvals()
    yield from entry.fields()
    yield from entry.budgets()
    if not tool.writes:
        yield from entry.write_only()
    for index, need in enumerate(terms.require or ()):
        if isinstance(need, EvidenceNeed):
            yield from entry.evidence(need, index, tools, granted)


class _Entry:
    """`tools: {NAME: {...}}` of one policy."""

    def __init__(self, document: Document[PolicyDocument], tool: Tool, terms: ToolTerms) -> None:
        self.document = document
        self.tool = tool
        self.terms = terms

    def problem(self, message: str, *at: str | int, remedy: str) -> StartupError:
        return self.document.problem(message, "tools", self.tool.name, *at, remedy=remedy)

    def limits(self) -> Iterator[StartupError]:
        for key in ("max", "min", "approve_over"):
            for path, limit in (getattr(self.terms, key) or {}).items():
                argument = find(self.tool.input_model, path)
                if argument is None:
                    yield self._unknown(path, key, path)
                elif not argument.numeric:
                    yield self.problem(
                        f"`{key}` compares numbers, and `{path}` is none.", key, path, remedy=argument.described
                    )
                elif argument.whole and isinstance(limit, float):
                    yield self.problem(
                        f"`{path}` is a whole number, and {limit} is none.", key, path, remedy="Write a whole number."
                    )
                else:
                    yield from self._bites(key, path, limit, argument)

    def _bites(self, key: str, path: str, limit: float, argument: Argument) -> Iterator[StartupError]:
        """A limit must leave something and refuse something."""
        if key == "max":
            vain, total = limit >= argument.high, limit < argument.low
        elif key == "min":
            vain, total = limit <= argument.low, limit > argument.high
        else:
            argument = argument.within((self.terms.min or {}).get(path), (self.terms.max or {}).get(path))
            vain, total = limit >= argument.high, limit < argument.low
        if vain:
            yield self.problem(
                f"`{key}` of {shown(limit)} for `{path}` has no effect: the argument lies between "
                f"{shown(argument.low)} and {shown(argument.high)} anyway.",
                key,
                path,
                remedy="Correct the limit, or remove it.",
            )
        elif total:
            result = "holds every call" if key == "approve_over" else "refuses every call"
            remedy = "Write `always_approve: true` instead." if key == "approve_over" else argument.described
            yield self.problem(f"`{key}` of {shown(limit)} for `{path}` {result}.", key, path, remedy=remedy)

    def approvals(self) -> Iterator[StartupError]:
        terms = self.terms
        holds = bool(terms.approve_over or terms.always_approve)
        if holds and terms.approval is None and self.document.value.approval is None:
            yield self.problem(
                "This holds calls, and nothing says who approves them.",
                "always_approve" if terms.always_approve else "approve_over",
                remedy="Add `approval: {from: [GROUP]}`.",
            )
        if terms.approval is not None and not holds:
            yield self.problem(
                "Nothing here is held for this approval.",
                "approval",
                remedy="Add `approve_over` or `always_approve: true`, or remove it.",
            )
        if terms.approve_over and terms.always_approve:
            yield self.problem(
                "Every call is held anyway, so `approve_over` has no effect.", "approve_over", remedy="Keep one."
            )

    def fields(self) -> Iterator[StartupError]:
        allowed = self.terms.allowed_fields
        if allowed is None:
            return
        model = self.tool.input_model.model_fields
        for index, name in enumerate(allowed):
            if name not in model:
                yield self._unknown(name, "allowed_fields", index)
        optional = {name for name, info in model.items() if not info.is_required()}
        if not optional - set(allowed):
            yield self.problem(
                "`allowed_fields` names every optional argument, so it has no effect.",
                "allowed_fields",
                remedy="Remove it, or name fewer." if optional else f"{self.tool.name} has no optional arguments.",
            )

    def budgets(self) -> Iterator[StartupError]:
        seen = set()
        for index, budget in enumerate(self.terms.budgets):
            at: tuple[str | int, ...] = ("budget", index)
            key = (budget.sum, budget.per, budget.window)
            if key in seen:
                yield self.problem("This budget is given twice.", *at, remedy="Keep the smaller one.")
            seen.add(key)
            if budget.sum is None:
                continue
            argument = find(self.tool.input_model, budget.sum) if "." not in budget.sum else None
            if argument is None:
                yield self._unknown(budget.sum, *at, "sum")
            elif not argument.whole:
                yield self.problem(
                    f"Only whole numbers are summed, and `{budget.sum}` is none.", *at, "sum", remedy=argument.described
                )
            elif argument.low < 0:
                yield self.problem(
                    f"`{budget.sum}` may be negative, which would refill the budget.",
                    *at,
                    "sum",
                    remedy="Give the argument a lower bound of 0 in its connector.",
                )
            elif budget.at_most < argument.low:
                yield self.problem(f"A budget of {budget.at_most} refuses every call.", *at, remedy=argument.described)

    def write_only(self) -> Iterator[StartupError]:
        for key in ("require", "repeat_window"):
            if getattr(self.terms, key) is not None:
                yield self.problem(
                    f"`{key}` is about writes, and {self.tool.name} is a read.", key, remedy="Remove it."
                )

    def evidence(
        self, need: EvidenceNeed, index: int, tools: Mapping[str, Tool], granted: set[str]
    ) -> Iterator[StartupError]:
        at = ("require", index)
        read = tools.get(need.evidence)
        if read is None or read.writes:
            what = "no tool" if read is None else "a write, and evidence is a read"
            reads = ", ".join(sorted(name for name, tool in tools.items() if not tool.writes))
            yield self.problem(f"{need.evidence} is {what}.", *at, "evidence", remedy=f"The reads are: {reads}.")
            return
        if need.evidence not in granted:
            yield self.problem(
                f"No policy grants {need.evidence}, so nobody can have this evidence.",
                *at,
                "evidence",
                remedy=f"Write `{need.evidence}: allow` under `tools`.",
            )
        for own, other in need.pairs:
            argument = find(self.tool.input_model, own)
            if argument is None:
                yield self._unknown(own, *at, "same")
            sources = [find(model, other) for model in (read.output_model, read.input_model) if "." not in other]
            known = [source for source in sources if source is not None]
            if not known:
                names = sorted({*read.input_model.model_fields, *read.output_model.model_fields})
                yield self.problem(
                    f"{read.name} neither takes nor gives `{other}`.",
                    *at,
                    "same",
                    remedy=f"It has: {', '.join(names)}.",
                )
            elif argument and not any(_comparable(argument, source) for source in known):
                yield self.problem(
                    f"`{own}` and `{other}` of {read.name} have different types, so they are never equal.",
                    *at,
                    "same",
                    remedy=argument.described,
                )

    def _unknown(self, path: str, *at: str | int) -> StartupError:
        return self.problem(
            f"{self.tool.name} has no argument `{path}`.", *at, remedy=closest(self.tool.input_model, path)
        )


def _comparable(one: Argument, other: Argument) -> bool:
    return (one.numeric and other.numeric) or bool(one.kinds & other.kinds)
