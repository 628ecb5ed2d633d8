"""Who may import whom, and where each library, each secret and each permit has its one home."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("gateway", "vault", "connectors")

FLAT_ROOMS = {
    "model": "gateway model decision permit outcome ledger_line frozen canonical plain wording",
    "errors": "errors",
    "connector": "connector tool signature content caller questions address surfaces authorization",
    "text": "documents explained strict_yaml strict_json invisible",
    "keys": "keyring private",
    "watching": "instances",
    "redact": "redact",
    "call": "pipeline identify evidence throttle floods admission charging stops holds executor bodies settle"
    " conversation asking lines returned repeats replies follow_up recall reconcile retention updates",
    "house": "equipment bounded_http app setup passphrase settings serve gauges connect",
}
"""The modules that lie flat in `gateway/`, by room. Every folder is a room of its own name."""

MAY_IMPORT = {
    "model": "",
    "errors": "model",
    "connector": "model errors",
    "connectors": "connector",
    "vault": "model errors",
    "text": "model errors",
    "keys": "model errors",
    "watching": "model errors",
    "telemetry": "model errors",
    "store": "model errors",
    "policy": "model errors connector text",
    "identity": "model errors store",
    "ledger": "model errors store",
    "redact": "model errors text",
    "tools": "model errors connector text",
    "outbound": "model errors connector text telemetry redact vault",
    "call": "model errors connector keys telemetry watching store policy ledger tools",
    "wire": "model errors connector text telemetry tools",
    "house": "model errors connector text keys telemetry watching vault store policy identity ledger tools outbound"
    " redact call wire",
    "demo": "model errors keys telemetry watching vault store ledger house",
    "testing": "model errors connector keys telemetry vault store identity tools redact call house",
    "cli": "model errors connector text keys telemetry watching vault store policy identity ledger tools call house"
    " demo",
}
"""What a room may see, besides itself. An import that only type checkers follow is not one."""

_MCP = (
    "mcp_server|context|direct|terms|well_formed|lists|resources_prompts|subscriptions|pages|telemetry|sessions|notices"
    "|questions"
)

HOMES = {
    "mcp": rf"gateway\.(wire\.({_MCP})|cli\.call|demo\.\w+)",
    "mcp_types": rf"gateway\.(wire\.({_MCP})|cli\.call)",
    "httpx2": r"gateway\.(cli\.call|demo\.stage)",
    "httpx": r"gateway\.outbound\.(engine|exchange|door|resolver)",
    "aiohttp": r"gateway\.outbound\.(engine|exchange|resolver)",
    "yarl": r"gateway\.outbound\.engine",
    "rfc8785": r"gateway\.canonical",
    "anyio": r"gateway\.wire\.(notices|subscriptions|stdio_lines)",
    "aiolimiter": r"gateway\.outbound\.pacing",
    "tenacity": r"gateway\.outbound\.pacing",
    "hvac": r"vault\.hashicorp",
    "requests": r"vault\.hashicorp",
    "sqlite3": r"gateway\.(store\.(sqlite|committer|opening|backfill)|demo\.acme\.\w+)",
    "cryptography": r"gateway\.(keyring|ledger\.\w+)|vault\.sealed",
    "opentelemetry": r"gateway\.telemetry\.\w+",
    "prometheus_client": r"gateway\.telemetry\.export",
    "starlette": r"gateway\.(wire\.\w+|demo\.acme\.\w+)",
    "httptools": r"gateway\.bounded_http",
    "uvicorn": r"gateway\.(serve|bounded_http|demo\.acme\.\w+)",
    "uvloop": r"gateway\.cli\.serve",
    "yaml": r"gateway\.strict_yaml",
    "typer": r"gateway\.cli\.\w+",
    "rich": r"gateway\.(cli|demo)\.\w+",
    "anthropic": r"gateway\.demo\.claude",
}
"""The modules that may import a library. pydantic is language to us, and at home everywhere."""


@cache
def modules() -> dict[str, Path]:
    """Every module of the program, by dotted name."""
    named = {}
    for path in chain.from_iterable((ROOT / package).rglob("*.py") for package in PACKAGES):
        parts = path.relative_to(ROOT).with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return named


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(node: ast.AST, *, lazy: bool = True) -> Iterator[str]:
    """Dotted names imported at run time; `lazy` includes those that functions import when they are called."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not lazy:
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"a relative import of {child.module}"
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        yield from imports(child, lazy=lazy)


def our_module(name: str) -> str:
    """The module of ours that a dotted name lies in, or nothing."""
    while name and name not in modules():
        name = name.rpartition(".")[0]
    return name


def room(module: str) -> str:
    for name, members in FLAT_ROOMS.items():
        if module.removeprefix("gateway.") in members.split():
            return name
    package, _, rest = module.partition(".")
    return rest.partition(".")[0] if package == "gateway" else package


def calls(name: str, attribute: bool) -> set[str]:
    """The modules that call `name(...)`, or `anything.name(...)`."""
    return {
        module
        for module, path in modules().items()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and (
            (attribute and isinstance(node.func, ast.Attribute) and node.func.attr == name)
            or (not attribute and isinstance(node.func, ast.Name) and node.func.id == name)
        )
    }


def test_every_module_has_a_room() -> None:
    """A new module is placed in `FLAT_ROOMS`, or in a folder that the table knows; no room is only a name."""
    homeless = {module for module in modules() if room(module) not in MAY_IMPORT}
    assert not homeless
    assert set(MAY_IMPORT) == {room(module) for module in modules()}
    listed = [member for members in FLAT_ROOMS.values() for member in members.split()]
    assert set(listed) <= {module.removeprefix("gateway.") for module in modules()}
    assert len(listed) == len(set(listed)), "a module lies in one room"


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_a_room_imports_only_what_it_may(name: str) -> None:
    """Every import that runs, also one inside a function, stays within the table of rooms."""
    allowed = {name, *MAY_IMPORT[name].split()}
    for module, path in modules().items():
        if room(module) == name:
            seen = {our_module(imported) for imported in imports(tree(path))} - {""}
            assert {other for other in seen if room(other) not in allowed} == set(), module


def test_no_import_comes_back_to_itself() -> None:
    """There is one order in which modules can be loaded, whichever is asked for first."""
    graph = {}
    for module, path in modules().items():
        graph[module] = {our_module(imported) for imported in imports(tree(path), lazy=False)} - {"", module}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("library", HOMES)
def test_a_library_has_one_home(library: str) -> None:
    """What may change under us is met in one place."""
    users = {
        module
        for module, path in modules().items()
        if any(imported.partition(".")[0] == library for imported in imports(tree(path)))
    }
    assert {user for user in users if not re.fullmatch(HOMES[library], user)} == set()


def test_secrets_are_exposed_in_three_places() -> None:
    """C-5: a value leaves its `Secret` in the vault, at the door where it is sent, and where it is hidden by value."""
    users = calls("expose", attribute=True)
    assert {user for user in users if room(user) != "vault"} == {"gateway.outbound.signing", "gateway.redact"}


def test_only_admission_makes_a_permit() -> None:
    """I-6: no ledger line, no permit. Only the transaction that writes the line makes one and vouches for it."""
    assert calls("Permit", attribute=False) == {"gateway.admission"}
    assert calls("minted", attribute=True) == {"gateway.admission"}


def test_work_in_a_transaction_returns_its_refusals() -> None:
    """I-6: work that raises is undone, and its neighbours in the transaction run again: no caller may cause that."""
    raising = {
        f"{module}.{work.name}"
        for module, path in modules().items()
        for work in ast.walk(tree(path))
        if isinstance(work, ast.FunctionDef) and "tx" in {argument.arg for argument in work.args.args}
        for step in ast.walk(work)
        if isinstance(step, ast.Raise) and step.exc is not None and "Refusal" in ast.unparse(step.exc)
    }
    assert raising == set()


def test_no_file_is_long() -> None:
    """A file of the program that passes 300 lines is split, where it has a seam with a good name."""
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules().items()}
    assert {name for name, length in lengths.items() if length > 300} == set()


def test_every_silenced_rule_has_its_reason() -> None:
    """`noqa` and `type: ignore` name their rule and say why, so that a broad `except` is a boundary by decision."""
    bare = []
    for path in modules().values():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            silenced = re.search(r"#\s*(noqa|type:\s*ignore)(.*)", line)
            if silenced and not re.search(r"(: ?[A-Z]+\d+(, ?[A-Z]+\d+)* - \w)|(\[[\w, -]+\]\s+# \w)", silenced[2]):
                bare.append(f"{path.relative_to(ROOT)}:{number}")
    assert not bare


def test_every_decision_is_in_the_index() -> None:
    """`docs/decisions/README.md` links each decision under its own heading, and nothing that is not there."""
    folder = ROOT / "docs" / "decisions"
    linked = re.findall(r"\[(\d{4} .+)\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8"))
    headings = [(path.read_text(encoding="utf-8").split("\n", 1)[0], path.name) for path in folder.glob("[0-9]*.md")]
    assert sorted((f"# {title}", name) for title, name in linked) == sorted(headings)
