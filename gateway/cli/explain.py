"""`policy explain`: what the policies say of a call that nobody makes."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.arguments import Arg, JsonArgs, as_given, typed
from gateway.cli.invocation import AsJson, ExitCode, Invocation, catalogue_of
from gateway.cli.whoami import principal_named
from gateway.errors import HoldgateError

if TYPE_CHECKING:
    from gateway.decision import Decision
    from gateway.model import Principal
    from gateway.policy import Policy
    from gateway.tools.catalogue import Catalogue


class Without(StrEnum):
    """What a call may lack."""

    REASON = "reason"
    EVIDENCE = "evidence"


def explain(
    ctx: typer.Context,
    tool: Annotated[str, typer.Argument(metavar="TOOL", help="The tool's name.")],
    caller: Annotated[str, typer.Option("--for", metavar="NAME", help="Who would call: a principal.")],
    arg: Arg = None,
    json_args: JsonArgs = None,
    without: Annotated[
        list[Without] | None, typer.Option("--without", help="What the call lacks; may be repeated.")
    ] = None,
    json_output: AsJson = False,
) -> None:
    """Tell what the policies say of a call, and by which rules; nothing is called. Exits 1 when it is denied.

    A reason and fitting evidence are taken as given. Rates, budgets and stops need a history and are left out.
    """
    from gateway.cli.output import emit, say
    from gateway.decision import Verdict
    from gateway.policy import load

    home = Invocation.of(ctx).home()
    catalogue = catalogue_of(home)
    policy = load(home.policies, catalogue.tools)
    decision = _decided(
        policy, principal_named(home, caller), catalogue, tool, as_given(arg or [], json_args), list(without or ())
    )
    rules = _rules(policy, decision)
    if json_output:
        needs = decision.approval.needs if decision.approval else None
        told = {"verdict": str(decision.verdict), "code": decision.code, "message": decision.message}
        emit(told | {"needs": needs, "rules": rules})
    else:
        say(f"{decision.verdict}: {decision.message}")
        for rule in rules:
            say(f"  {rule['id']}  {rule['file']}:{rule['line']}")
    if decision.verdict is Verdict.DENY:
        raise typer.Exit(ExitCode.REFUSED)


def _decided(
    policy: Policy, principal: Principal, catalogue: Catalogue, name: str, given: dict[str, Any], without: list[Without]
) -> Decision:
    from pydantic import ValidationError

    from gateway.model import Surface
    from gateway.policy.examples import assumed

    tool = catalogue.tools.get(name)
    if tool is None:
        raise HoldgateError(f"There is no tool {name}. There are: {', '.join(catalogue.tools)}.")
    schema = catalogue.published(name).input_schema if tool.surface is Surface.TOOL else {}
    try:
        return policy.decide(assumed(policy, principal, tool, typed(given, schema), without=without))
    except ValidationError as wrong:
        first = wrong.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise HoldgateError(
            f"This is no valid call of {name}: `{field}`: {first['msg']}. See `holdgate tools show {name}`."
        ) from None


def _rules(policy: Policy, decision: Decision) -> list[dict[str, Any]]:
    """The rules that decided, each with the place where it is written."""
    files = {document.value.policy: str(document.path) for document in policy.documents}
    return [
        {"id": rule.id, "file": files.get(rule.id.partition("/")[0]), "line": rule.line, "because": rule.because}
        for rule in decision.rules
    ]
