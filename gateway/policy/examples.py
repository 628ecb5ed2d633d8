"""The examples of a policy file, run: at load, by `policy test`, and by pytest."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gateway.connector import Tool
from gateway.decision import Decision
from gateway.documents import Document
from gateway.errors import StartupError
from gateway.model import Evidence, Principal
from gateway.plain import as_model
from gateway.policy.decide import Policy
from gateway.policy.document import Example, PolicyDocument
from gateway.policy.inquiry import Inquiry, argument

_TASK = "tsk_example"


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """What came of one example."""

    example: Example
    file: str
    line: int
    decision: Decision | None
    """None when the call itself is not possible."""
    problem: StartupError | None

    @property
    def passed(self) -> bool:
        """Whether the policies say what the example expects."""
        return self.problem is None


def run(document: Document[PolicyDocument], policy: Policy, tools: Mapping[str, Tool]) -> list[ExampleResult]:
    """Ask `policy`, which is all policies together, about each example of `document`."""
    return [_run(document, index, policy, tools) for index in range(len(document.value.examples))]


def _run(document: Document[PolicyDocument], index: int, policy: Policy, tools: Mapping[str, Tool]) -> ExampleResult:
    example = document.value.examples[index]
    line = document.line("examples", index)
    decision: Decision | None = None
    problem: StartupError | None = None
    tool = tools.get(example.call)
    if tool is None:
        problem = document.problem(f"No tool is named {example.call}.", "examples", index, "call")
    else:
        try:
            decision = policy.decide(_inquiry(example, tool, policy))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(map(str, first["loc"]))
            problem = document.problem(
                f"This is no valid call of {tool.name}: `{field}`: {first['msg']}.", "examples", index, "args"
            )
    if decision is not None and decision.verdict != example.expect:
        rules = ", ".join(rule.id for rule in decision.rules) or "no rule matched"
        problem = document.problem(
            f"The example expects {example.expect}, but the policies say {decision.verdict}: {decision.message}",
            "examples",
            index,
            remedy=f"Correct the example or the rules ({rules}).",
        )
    return ExampleResult(example, str(document.path), line, decision, problem)


def _inquiry(example: Example, tool: Tool, policy: Policy) -> Inquiry:
    who = example.who
    principal = Principal(
        tenant="example", id=who.principal, kind=who.kind, groups=frozenset(who.groups), on_behalf_of=who.on_behalf_of
    )
    return assumed(policy, principal, tool, example.args, reason=example.reason, without=example.without)


def assumed(
    policy: Policy,
    principal: Principal,
    tool: Tool,
    given: Mapping[str, Any],
    *,
    reason: str | None = None,
    without: Collection[str] = (),
) -> Inquiry:
    """What `policy` is asked about a call that nobody makes: its reason and fitting evidence are taken as given.

    Args:
        without: `reason`, `evidence`: what is not taken as given.

    Raises:
        ValidationError: it is no valid call of the tool.
    """
    args = as_model(tool.input_model, given)
    arguments = args.model_dump(mode="json")
    return Inquiry(
        principal=principal,
        tool=tool,
        arguments=arguments,
        given=frozenset(args.model_fields_set),
        reason=reason or (None if "reason" in without else "an example"),
        evidence=() if "evidence" in without else tuple(_evidence(tool, arguments, policy)),
        task_id=_TASK,
    )


def _evidence(tool: Tool, arguments: Mapping[str, object], policy: Policy) -> Iterator[Evidence]:
    """Fresh reads that meet whatever evidence any policy asks for."""
    for document in policy.documents:
        terms = document.value.terms(tool.name)
        for need in terms.evidence if terms else ():
            fields = {other: argument(arguments, tuple(own.split("."))) for own, other in need.pairs}
            yield Evidence(action_id="act_example", tool=need.evidence, task=_TASK, age=0.0, fields=fields)
