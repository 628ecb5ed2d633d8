"""Does a set of policies make sense for the tools at hand? Every rule must be able to bite; all problems are told.

A rule that never matches looks like protection and is none, so it stops the start, with its line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from gateway.connector import Tool
from gateway.documents import Document
from gateway.errors import StartupError
from gateway.policy import examples
from gateway.policy.arguments import Argument, closest, find
from gateway.policy.check_terms import check_terms
from gateway.policy.clauses import covers
from gateway.policy.conditions import faults
from gateway.policy.decide import Policy
from gateway.policy.document import PolicyDocument, Rule, ToolTerms

Documents = Sequence[Document[PolicyDocument]]


def check(documents: Documents, tools: Mapping[str, Tool], *, complete: bool = True) -> None:
    """Refuse policies that name what does not exist, or contain what can never match or bite, or fail an example.

    Args:
        documents: all policies that shall be in force together.
        tools: every tool there is, by name.
        complete: False when further files could not be read; then what depends on all policies is not judged.

    Raises:
        StartupError: naming every problem, each with file, line and remedy.
    """
    problems = [*_duplicates(documents)]
    granted = {tool for document in documents for tool in document.value.tools if document.value.grants(tool)}
    for document in documents:
        problems += _tools(document, tools, granted if complete else set(tools))
        problems += _budgets(document, tools)
        problems += _rules(document, tools, granted if complete else set(tools))
        problems += _default_approval(document)
    if not problems and complete:
        policy = Policy(documents, tools)
        results = [result for document in documents for result in examples.run(document, policy, tools)]
        problems += [result.problem for result in results if result.problem]
    if problems:
        raise StartupError.together(sorted(problems, key=lambda problem: (problem.file or "", problem.line or 0)))


def _duplicates(documents: Documents) -> Iterator[StartupError]:
    seen: dict[str, Document[PolicyDocument]] = {}
    for document in documents:
        name = document.value.policy
        first = seen.setdefault(name, document)
        if first is not document:
            yield document.problem(
                f"A policy named {name} exists already, in {first.path}.", "policy", remedy="Give it another name."
            )
        ids: set[str] = set()
        for index, rule in enumerate(document.value.rules):
            if rule.id in ids or rule.id in document.value.tools:
                yield document.problem(
                    f"The id {rule.id} is used twice in this policy.", "rules", index, "id", remedy="Give it another."
                )
            ids.add(rule.id)


def _tools(document: Document[PolicyDocument], tools: Mapping[str, Tool], granted: set[str]) -> Iterator[StartupError]:
    policy = document.value
    for name, entry in policy.tools.items():
        tool = tools.get(name)
        if tool is None:
            yield document.problem(f"No tool is named {name}.", "tools", name, remedy=_close(name, tools))
        elif isinstance(entry, ToolTerms):
            yield from check_terms(document, tool, entry, tools, granted)
        elif entry == "hold" and policy.approval is None:
            yield _unapproved(document, "tools", name)
    if not policy.tools and not policy.rules and policy.budgets is None:
        yield document.problem("The policy says nothing.", remedy="Give it tools, rules or budgets.")


def _budgets(document: Document[PolicyDocument], tools: Mapping[str, Tool]) -> Iterator[StartupError]:
    budgets = document.value.budgets
    if budgets is None:
        return
    granted = [tools[name] for name in document.value.tools if name in tools and document.value.grants(name)]
    for scope, budget in (("task", budgets.task), ("principal", budgets.principal)):
        if budget is None:
            continue
        if not (budget.model_fields_set - {"window"}):
            yield document.problem(f"The {scope} budget limits nothing.", "budgets", scope, remedy="Add `tool_calls`.")
        if budget.spend is None:
            continue
        currency, at = budget.spend.currency, ("budgets", scope, "spend")
        spenders = [tool for tool in granted if tool.spend]
        if not any(tool.currency == currency for tool in spenders):
            yield document.problem(
                f"No tool that this policy grants declares a spend in {currency}, so this budget has no effect.",
                *at,
                remedy="Remove it, or correct the currency.",
            )
        for tool in spenders:
            if tool.currency != currency:
                yield document.problem(
                    f"{tool.name} spends {tool.currency}, which a budget in {currency} does not count.",
                    *at,
                    remedy=f"Grant {tool.name} in a policy of its own.",
                )
            elif (field := find(tool.input_model, tool.spend or "")) and field.low < 0:
                yield document.problem(
                    f"{tool.name}.{field.path} may be negative, which would refill the budget.",
                    *at,
                    remedy="Give the argument a lower bound of 0 in its connector.",
                )
    if budgets.on_exceeded and not (budgets.task or budgets.principal) and not _has_tool_budget(document.value):
        yield document.problem(
            "There is no budget that could be exceeded.", "budgets", "on_exceeded", remedy="Add one, or remove this."
        )


def _has_tool_budget(policy: PolicyDocument) -> bool:
    return any(isinstance(entry, ToolTerms) and entry.budget is not None for entry in policy.tools.values())


def _rules(document: Document[PolicyDocument], tools: Mapping[str, Tool], granted: set[str]) -> Iterator[StartupError]:
    for index, rule in enumerate(document.value.rules):
        at = ("rules", index)
        for place, pattern in enumerate(rule.tools):
            if not any(covers(rule.model_copy(update={"tools": (pattern,)}), tool) for tool in tools):
                yield document.problem(
                    f"No tool matches {pattern}.", *at, "tools", place, remedy=_close(pattern, tools)
                )
        covered = [tool for name, tool in tools.items() if covers(rule, name)]
        if covered and not any(tool.name in granted for tool in covered):
            yield document.problem(
                f"No policy grants a tool that rule {rule.id} is about, so it can never match.",
                *at,
                remedy="Remove the rule, or grant the tool.",
            )
        if rule.then == "hold" and rule.approval is None and document.value.approval is None:
            yield _unapproved(document, *at)
        if rule.then == "deny" and rule.approval is not None:
            yield document.problem(
                "A denial needs no approval.", *at, "approval", remedy="Remove it, or write `then: hold`."
            )
        yield from _who(document, index, rule)
        yield from _when(document, index, rule, covered)


def _who(document: Document[PolicyDocument], index: int, rule: Rule) -> Iterator[StartupError]:
    if rule.who is None:
        return
    about = document.value.applies_to
    for key in ("principals", "kinds"):
        meant, applies = getattr(rule.who, key), getattr(about, key)
        if meant and applies and not set(meant) & set(applies):
            yield document.problem(
                f"This policy applies to {', '.join(applies)} only, so rule {rule.id} can never match.",
                "rules",
                index,
                "who",
                key,
                remedy=f"Correct `{key}` here or under `applies_to`.",
            )


def _when(
    document: Document[PolicyDocument], index: int, rule: Rule, covered: Iterable[Tool]
) -> Iterator[StartupError]:
    for path, conditions in rule.when.items():
        at = ("rules", index, "when", path)
        for tool in covered:
            argument = find(tool.input_model, path.removeprefix("args."))
            if argument is None:
                yield document.problem(
                    f"{tool.name} has no argument `{path.removeprefix('args.')}`.",
                    *at,
                    remedy=closest(tool.input_model, path.removeprefix("args."))
                    + " A rule's tools must all have the arguments it looks at.",
                )
                continue
            for fault in faults(_as_granted(document.value, tool, argument), conditions.tests):
                yield document.problem(
                    f"Rule {rule.id} for {tool.name}: {fault.message}",
                    *at,
                    *([fault.operator] if fault.operator else []),
                    remedy=fault.remedy,
                )


def _as_granted(policy: PolicyDocument, tool: Tool, argument: Argument) -> Argument:
    """The argument, no wider than this policy's own `max` and `min` leave it: beyond them the call is denied anyway."""
    terms = policy.terms(tool.name)
    return (
        argument.within((terms.min or {}).get(argument.path), (terms.max or {}).get(argument.path))
        if terms
        else argument
    )


def _default_approval(document: Document[PolicyDocument]) -> Iterator[StartupError]:
    policy = document.value
    if policy.approval is None or any(rule.then == "hold" and rule.approval is None for rule in policy.rules):
        return
    if not any(_leans_on_default(entry) for entry in policy.tools.values()):
        yield document.problem(
            "Nothing here is held for this approval.", "approval", remedy="Remove it, or hold a tool."
        )


def _leans_on_default(entry: str | ToolTerms) -> bool:
    if isinstance(entry, ToolTerms):
        return entry.approval is None and bool(entry.approve_over or entry.always_approve)
    return entry == "hold"


def _unapproved(document: Document[PolicyDocument], *at: str | int) -> StartupError:
    return document.problem(
        "This holds calls, and nothing says who approves them.", *at, remedy="Add `approval: {from: [GROUP]}`."
    )


def _close(name: str, tools: Mapping[str, Tool]) -> str:
    close = difflib.get_close_matches(name, tools, n=1)
    return f"Did you mean {close[0]}?" if close else f"There are: {', '.join(sorted(tools)) or 'no tools at all'}."
