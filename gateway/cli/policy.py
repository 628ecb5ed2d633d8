"""`policy`: are the policies sound, and do they say what their examples expect?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.explain import explain
from gateway.cli.invocation import AsJson, ExitCode, Invocation, catalogue_of
from gateway.errors import StartupError
from gateway.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.policy.examples import ExampleResult
    from gateway.tools.catalogue import Catalogue

Files = Annotated[
    list[Path] | None,
    typer.Argument(metavar="FILE", help="Policies, or folders of them, in place of those that the settings name."),
]

app = typer.Typer(no_args_is_help=True, help="Check policies, run their examples, ask what they say.")


@app.command("check", short_help="Tell every problem of the policies.")
def check(ctx: typer.Context, files: Files = None, json_output: AsJson = False) -> None:
    """Read the policies as the server does, and tell every problem with its file and line."""
    from gateway.cli.output import emit, problem_of, say
    from gateway.policy import load

    home = Invocation.of(ctx).home()
    catalogue = catalogue_of(home)
    try:
        policy = load(files or home.policies, catalogue.tools)
    except StartupError as wrong:
        if not json_output:
            raise
        emit({"ok": False, "hash": None, "problems": [problem_of(one) for one in wrong.problems]})
        raise typer.Exit(ExitCode.STARTUP) from None
    if json_output:
        emit({"ok": True, "hash": policy.hash, "problems": []})
    else:
        sound, tools = counted(len(policy.documents), "policy", "policies"), counted(len(catalogue.tools), "tool")
        say(f"Sound: {sound}, for {tools}. Hash {policy.hash}.")


@app.command("test", short_help="Run the examples of all policies.")
def run_examples(ctx: typer.Context, files: Files = None, json_output: AsJson = False) -> None:
    """Run the examples of all policies, and print each with its verdict."""
    from gateway.cli.output import emit, say

    home = Invocation.of(ctx).home()
    results = _run(files or home.policies, catalogue_of(home))
    failed = [result for result in results if not result.passed]
    if json_output:
        emit([_described(result) for result in results])
    else:
        for result in results:
            example = result.example
            verdict = result.decision.verdict if result.decision else "impossible"
            say(f"{'ok  ' if result.passed else 'FAIL'} {result.file}:{result.line} {example.call}: {verdict}")
            if result.problem:
                say(f"     {result.problem.message}")
        say(f"Examples that hold: {len(results) - len(failed)} of {len(results)}.")
    if failed:
        raise typer.Exit(ExitCode.REFUSED)


app.command("explain", short_help="Tell what the policies say of a call.")(explain)


def _run(paths: Sequence[Path], catalogue: Catalogue) -> list[ExampleResult]:
    """Every example, failing ones too; anything else that is wrong is raised."""
    from gateway.documents import load
    from gateway.policy import Policy, examples
    from gateway.policy.check import check as check_terms
    from gateway.policy.document import PolicyDocument
    from gateway.policy.live import files_of

    documents = [load(file, PolicyDocument) for path in paths for file in files_of(path)]
    # "Not complete" leaves out the examples, which are told one by one here.
    check_terms(documents, catalogue.tools, complete=False)
    policy = Policy(documents, catalogue.tools)
    return [result for document in documents for result in examples.run(document, policy, catalogue.tools)]


def _described(result: ExampleResult) -> dict[str, object]:
    return {
        "file": result.file,
        "line": result.line,
        "tool": result.example.call,
        "expect": result.example.expect,
        "verdict": str(result.decision.verdict) if result.decision else None,
        "rules": [rule.id for rule in result.decision.rules] if result.decision else [],
        "ok": result.passed,
        "message": result.problem.message if result.problem else None,
    }
