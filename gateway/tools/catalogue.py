"""The tools on offer: load the connectors, pin what they promise, and resolve a call to one of them."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import entry_points
from itertools import combinations
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Final

from gateway.connector import TOOL_NAME, Connector, Tool
from gateway.errors import Refusal, StartupError
from gateway.model import Call, Surface
from gateway.tools.arguments import Resolved, resolve_arguments
from gateway.tools.offers import Offer, completions, typed
from gateway.tools.published import Published, ToolSchemas
from gateway.tools.verdict import judge

ENTRY_POINTS: Final = "holdgate.connectors"
"""The entry-point group of installed connector packages; as a source it stands for all of them."""


class UnknownTool(Refusal):
    """No such tool, or none that this caller may see: worded alike (semantics.md T-5). A protocol error on the wire.

    Args:
        name: as it was asked for: a name, or the URI of a resource.
    """

    def __init__(self, name: str, surface: Surface = Surface.TOOL) -> None:
        # Whatever is not shaped like a tool's name is not worth repeating to a model, and a URI is not.
        named = surface is not Surface.RESOURCE and len(name) <= 64 and TOOL_NAME.match(name)
        shown = f": {name}" if named else ""
        super().__init__("unknown_tool", f"Unknown {surface}{shown}")


class Catalogue:
    """Every loaded tool, with the schemas it publishes.

    Args:
        connectors: as loaded; their tools get their `schema_hash` here.

    Raises:
        StartupError: for two connectors of one name, a HIGH write without a preview, or a tool that is not portable;
            all such tools are named at once.
    """

    def __init__(self, connectors: Sequence[Connector]) -> None:
        _refuse_namesakes(connectors)
        tools = sorted(
            (tool for connector in connectors for tool in connector.tools.values()), key=lambda tool: tool.name
        )
        self._published: dict[str, Published | Offer] = {}
        self._schemas: dict[str, ToolSchemas] = {}
        problems: list[StartupError] = [*_clashes(tools), *_unread(tools)]
        for tool in tools:
            verdict = judge(tool)
            problems += verdict.problems()
            tool.schema_hash = _hash(tool, verdict.schemas, verdict.published)
            self._schemas[tool.name] = verdict.schemas
            self._published[tool.name] = verdict.published
        if problems:
            raise problems[0] if len(problems) == 1 else StartupError.together(problems)
        self.connectors: tuple[Connector, ...] = tuple(connectors)
        self.tools: Mapping[str, Tool] = MappingProxyType({tool.name: tool for tool in tools})
        """By name, in the order of their names; resources and prompts among them."""
        self._found = {tool.address.text: tool for tool in tools if tool.address and not tool.address.names}
        self._templates = [(tool.address, tool) for tool in tools if tool.address and tool.address.names]

    def published(self, name: str) -> Published:
        """How clients see the tool; the built-in ones are in `own_tools.PUBLISHED`.

        Raises:
            UnknownTool: when there is none of that name.
        """
        published = self._published.get(name)
        if not isinstance(published, Published):
            raise UnknownTool(name)
        return published

    def offer(self, name: str) -> Offer:
        """How clients see the resource or the prompt.

        Raises:
            UnknownTool: when there is none of that name.
        """
        offered = self._published.get(name)
        if not isinstance(offered, Offer):
            raise UnknownTool(name)
        return offered

    def find(self, call: Call) -> Tool | None:
        """What `call` names, on its own surface only: a resource is not called, and a tool is not read."""
        if call.surface is Surface.RESOURCE:
            return self._found.get(call.tool) or next(
                (tool for address, tool in self._templates if address.read(call.tool) is not None), None
            )
        tool = self.tools.get(call.tool)
        return tool if tool is not None and tool.surface is call.surface else None

    def resolve(self, call: Call) -> Resolved:
        """The tool that `call` names, and its arguments, valid and with defaults.

        Raises:
            UnknownTool: when there is none of that name.
            Refusal: `invalid_arguments`, `conflicting_keys` or `dry_run_unsupported`.
        """
        tool = self.find(call)
        if tool is None:
            raise UnknownTool(call.tool, call.surface)
        if tool.surface is not Surface.TOOL:
            texts = tool.address.read(call.tool) if tool.address else call.arguments
            call = replace(call, arguments=typed(self._schemas[tool.name], texts or {}))
        return resolve_arguments(tool, call)

    def declared(self, surface: Surface, name: str) -> Tool | None:
        """The prompt of that name, or the resource whose URI, as it was declared, that is."""
        tools = (tool for tool in self.tools.values() if tool.surface is surface)
        return next((tool for tool in tools if name == (tool.address.text if tool.address else tool.name)), None)

    def completions(self, tool: Tool, argument: str, begun: str) -> list[str]:
        """Values for an argument of a resource or a prompt, from what has been typed of it."""
        return completions(tool, self._schemas[tool.name], argument, begun)


def load_connectors(sources: Sequence[str], base: Path) -> list[Connector]:
    """The connectors that `sources` name, in order: each `Connector` at the top level of each module.

    Args:
        sources: dotted modules, `.py` files, folders of them, or `holdgate.connectors` for the entry-point group.
        base: what relative paths start from: the folder of `holdgate.yaml`.

    Raises:
        StartupError: for each source that is missing, does not import or defines no connector, and for two connectors
            of one name; all of them at once.
    """
    found: dict[int, Connector] = {}
    problems: list[StartupError] = []
    for source in sources:
        try:
            modules = _modules(source, base)
        except StartupError as problem:
            problems.append(problem)
            continue
        for name, load in modules:
            try:
                found |= {id(connector): connector for connector in _defined_in(load(), name)}
            except StartupError as problem:
                problems.append(problem)
    if problems:
        raise StartupError.together(problems)
    connectors = list(found.values())
    _refuse_namesakes(connectors)
    return connectors


def is_path(source: str) -> bool:
    """Whether a source is a file or a folder, and not the name of a module or of a connector."""
    return source.endswith(".py") or "/" in source or source.startswith(".")


def _modules(source: str, base: Path) -> list[tuple[str, Callable[[], ModuleType]]]:
    """What a source stands for: each module's name in errors, and how to load it."""
    if source == ENTRY_POINTS:
        entries = sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name)
        return [(name := f"entry point {entry.name}", partial(_imported, entry.module, name)) for entry in entries]
    if is_path(source):
        path = (base / source).resolve()
        files = sorted(path.glob("[!_]*.py")) if path.is_dir() else [path]
        if not files:
            raise StartupError(f"The folder {source} holds no connector module.", remedy="Put a .py file into it.")
        return [(str(file), partial(_imported_file, file)) for file in files]
    return [(source, partial(_imported, source, source))]


def _imported(name: str, source: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except StartupError:
        raise
    except Exception as error:
        raise _does_not_import(source, error) from error


def _imported_file(file: Path) -> ModuleType:
    if not file.is_file():
        raise StartupError(
            f"There is no connector file {file}.", remedy="Correct its path, where you gave it or under `connectors`."
        )
    # Two folders may hold files of one name, so the module's name carries its path.
    name = f"holdgate_connector_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Annotations are looked up through sys.modules while the module runs.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except StartupError as problem:
        del sys.modules[name]
        if problem.file is not None:
            raise
        line = _line(str(file), problem)
        raise StartupError(problem.message, file=str(file), line=line, remedy=problem.remedy) from problem
    except Exception as error:
        del sys.modules[name]
        raise _does_not_import(str(file), error) from error
    return module


def _does_not_import(source: str, error: Exception) -> StartupError:
    line = _line(source, error)
    said = error.msg if isinstance(error, SyntaxError) else error
    if isinstance(error, ModuleNotFoundError) and error.name and f"{source}.".startswith(f"{error.name}."):
        return StartupError(
            f"There is no connector module {source}.",
            remedy="Correct `connectors` in holdgate.yaml, or install its package; a file's name ends in `.py`.",
        )
    return StartupError(
        f"The connector module does not import: {type(error).__name__}: {said}.",
        file=source,
        line=line,
        remedy="Correct that line; decorators such as `@name.read()` need their parentheses."
        if isinstance(error, TypeError | SyntaxError) and line
        else "Run it with python to see the traceback.",
    )


def _line(file: str, error: Exception) -> int | None:
    """The line of `file` that an error came from, or does not parse at."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return lines[-1] if lines else None


def _defined_in(module: ModuleType, source: str) -> list[Connector]:
    defined = [value for value in vars(module).values() if isinstance(value, Connector)]
    if not defined:
        raise StartupError("The module defines no Connector.", file=source, remedy="Assign one at its top level.")
    return defined


def _refuse_namesakes(connectors: Sequence[Connector]) -> None:
    seen: dict[str, Connector] = {}
    for connector in connectors:
        if seen.setdefault(connector.name, connector) is not connector:
            raise StartupError(f"Two connectors are named {connector.name}.", remedy="Rename one of them.")


def _clashes(tools: Sequence[Tool]) -> Iterator[StartupError]:
    """A URI must name one resource at most, or policy would decide about another one than is read."""
    for one, other in combinations((tool for tool in tools if tool.address), 2):
        if one.address and other.address and one.address.clashes(other.address):
            yield StartupError(
                f"The resources {one.name} and {other.name} may have the same URI.", remedy="Tell them apart in it."
            )


def _unread(tools: Sequence[Tool]) -> Iterator[StartupError]:
    """A write that names a resource which nobody can read would be told of to nobody."""
    addresses = [tool.address for tool in tools if tool.address]
    for tool in tools:
        for changed in tool.changes:
            if not any(changed.meets(address) for address in addresses):
                yield StartupError(
                    f"Tool {tool.name} changes {changed.text}, and no resource has such a URI.",
                    remedy="Correct it, or declare the resource.",
                )


def _hash(tool: Tool, schemas: ToolSchemas, published: Published | Offer) -> str:
    """What a changed tool is noticed by (semantics.md T-1).

    Without the gateway's own control arguments and envelope: a release of the gateway must not look like a rug pull.
    """
    promised: list[Any] = [tool.name, tool.description, schemas.input, schemas.output]
    promised += [tool.surface, published.entry] if isinstance(published, Offer) else []
    return hashlib.sha256(json.dumps(promised, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
