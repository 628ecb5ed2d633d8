"""`tools lint`: what of a connector's tools would break which client; the same verdict as at the start."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.invocation import AsJson, ExitCode, Invocation, opened_store
from gateway.errors import HoldgateError, StartupError
from gateway.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.connector import Connector
    from gateway.settings import Home
    from gateway.tools.rules import Finding

Told = tuple["Finding", str | None, int | None]
"""A finding, and the file and line of its tool."""


def lint(
    ctx: typer.Context,
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="SOURCE", help="Connectors by name, modules, .py files or folders; else all."),
    ] = None,
    json_output: AsJson = False,
) -> None:
    """Tell what of the tools would break which client, and how. Exits 1 on an error: no server would start with it."""
    from gateway.cli.output import emit, problem_of
    from gateway.tools.rules import Severity

    try:
        connectors = _chosen(Invocation.of(ctx), sources or [])
    except StartupError as broken:
        if not json_output:
            raise
        emit({"ok": False, "tools": 0, "findings": [], "problems": [problem_of(one) for one in broken.problems]})
        raise typer.Exit(ExitCode.STARTUP) from None
    told = [*_of_tools(connectors), *([] if sources else _of_lists(Invocation.of(ctx).home(), connectors))]
    tools = sum(len(connector.tools) for connector in connectors)
    errors = sum(finding.rule.severity is Severity.ERROR for finding, _, _ in told)
    if json_output:
        emit({"ok": not errors, "tools": tools, "findings": [_finding(*one) for one in told], "problems": []})
    else:
        _print(told, tools, errors)
    if errors:
        raise typer.Exit(ExitCode.REFUSED)


def _chosen(invocation: Invocation, sources: Sequence[str]) -> list[Connector]:
    """The connectors that are meant: files need no settings, names are looked for there first."""
    from gateway.equipment import require_sound_headers

    connectors = _loaded(invocation, sources)
    require_sound_headers(connectors)
    return connectors


def _loaded(invocation: Invocation, sources: Sequence[str]) -> list[Connector]:
    from gateway.equipment import named_connectors
    from gateway.tools.catalogue import is_path, load_connectors

    if not sources:
        return named_connectors(invocation.home())
    named: dict[str, Connector] = {}
    if not all(is_path(source) for source in sources) and invocation.config.exists():
        named = {connector.name: connector for connector in named_connectors(invocation.home())}
    elsewhere = [source for source in sources if source not in named]
    return [*(named[source] for source in sources if source in named), *load_connectors(elsewhere, Path.cwd())]


def _of_tools(connectors: Sequence[Connector]) -> Iterator[Told]:
    from gateway.tools.verdict import judge

    for connector in connectors:
        for tool in connector.tools.values():
            verdict = judge(tool)
            yield from ((finding, verdict.file, verdict.line) for finding in verdict.findings)


def _of_lists(home: Home, connectors: Sequence[Connector]) -> Iterator[Told]:
    """What each agent is offered, where there are policies and principals yet that can be read."""
    from gateway.model import Kind, Surface
    from gateway.policy import load
    from gateway.tools import own_tools, rules
    from gateway.tools.rules import Finding, Part

    tools = {tool.name: tool for connector in connectors for tool in connector.tools.values()}
    try:
        policy = load(home.policies, tools)
        with opened_store(home) as store:
            people = store.look(lambda tx: tx.people.all(home.settings.tenant))
    except HoldgateError:
        return  # `policy check` and `doctor` say what is wrong there
    for who, enabled in people:
        visible = [name for name in policy.visible(who) if tools[name].surface is Surface.TOOL]
        count = len(visible) + len(own_tools.PUBLISHED)
        if enabled and who.kind is Kind.AGENT and count > rules.MANY_TOOLS:
            rule = rules.TOO_MANY
            yield Finding(rule, who.id, Part.LIST, "", f"is offered {count} tools", rule.remedy), None, None


def _print(told: Sequence[Told], tools: int, errors: int) -> None:
    from gateway.cli.inert import inert
    from gateway.cli.output import say

    for finding, file, line in told:
        where = f"{file}:{line}: " if file else ""
        say(inert(f"{where}{finding.rule.severity}: {finding.subject} {finding.what}. [{finding.rule.id}]"))
        for client, how in finding.rule.breaks.items():
            say(f"    {client} {how}.")
        say(inert(f"    {finding.remedy}"))
    warnings = len(told) - errors
    say(f"{counted(tools, 'tool')}: {counted(errors, 'error')}, {counted(warnings, 'warning')}.")


def _finding(finding: Finding, file: str | None, line: int | None) -> dict[str, Any]:
    return {
        "rule": finding.rule.id,
        "severity": str(finding.rule.severity),
        "tool": finding.tool,
        "part": str(finding.part),
        "path": finding.path,
        "what": finding.what,
        "breaks": dict(finding.rule.breaks),
        "remedy": finding.remedy,
        "file": file,
        "line": line,
    }
