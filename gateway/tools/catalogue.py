"""The tools on offer: load the connectors, pin what they promise, and resolve a call to one of them."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Final

from gateway.connector import TOOL_NAME, Connector, Tool
from gateway.errors import Refusal, StartupError
from gateway.model import Call, Risk
from gateway.tools import own_tools
from gateway.tools.arguments import Resolved, resolve_arguments
from gateway.tools.published import Published, ToolSchemas, own_schemas, publish

ENTRY_POINTS: Final = "holdgate.connectors"
"""The entry-point group of installed connector packages; as a source it stands for all of them."""


class UnknownTool(Refusal):
    """No such tool, or none that this caller may see: worded alike (semantics.md T-5). A protocol error on the wire."""

    def __init__(self, name: str) -> None:
        # Whatever is not shaped like a tool's name is not worth repeating to a model.
        shown = f": {name}" if len(name) <= 64 and TOOL_NAME.match(name) else ""
        super().__init__("unknown_tool", f"Unknown tool{shown}")


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
        self._published: dict[str, Published] = {}
        problems: list[StartupError] = []
        for tool in tools:
            try:
                self._published[tool.name] = _pinned(tool)
            except StartupError as problem:
                problems.append(problem)
        if problems:
            raise problems[0] if len(problems) == 1 else StartupError.together(problems)
        self.connectors: tuple[Connector, ...] = tuple(connectors)
        self.tools: Mapping[str, Tool] = MappingProxyType({tool.name: tool for tool in tools})
        """By name, in the order of their names."""

    def published(self, name: str) -> Published:
        """How clients see the tool; the built-in ones are in `own_tools.PUBLISHED`.

        Raises:
            UnknownTool: when there is none of that name.
        """
        if name not in self._published:
            raise UnknownTool(name)
        return self._published[name]

    def resolve(self, call: Call) -> Resolved:
        """The tool that `call` names, and its arguments, valid and with defaults.

        Raises:
            UnknownTool: when there is none of that name.
            Refusal: `invalid_arguments`, `conflicting_keys` or `dry_run_unsupported`.
        """
        tool = self.tools.get(call.tool)
        if tool is None:
            raise UnknownTool(call.tool)
        return resolve_arguments(tool, call)


def load_connectors(sources: Sequence[str], base: Path) -> list[Connector]:
    """The connectors that `sources` name, in order: each `Connector` at the top level of each module.

    Args:
        sources: dotted modules, `.py` files, folders of them, or `holdgate.connectors` for the entry-point group.
        base: what relative paths start from: the folder of `holdgate.yaml`.

    Raises:
        StartupError: for a source that is missing, does not import or defines no connector, and for two connectors
            of one name.
    """
    found: dict[int, Connector] = {}
    for source in sources:
        for connector in _from_source(source, base):
            found[id(connector)] = connector
    connectors = list(found.values())
    _refuse_namesakes(connectors)
    return connectors


def _from_source(source: str, base: Path) -> Iterator[Connector]:
    if source == ENTRY_POINTS:
        for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
            yield from _defined_in(_imported(entry.module, f"entry point {entry.name}"), f"entry point {entry.name}")
        return
    if source.endswith(".py") or "/" in source or source.startswith("."):
        path = (base / source).resolve()
        files = sorted(path.glob("[!_]*.py")) if path.is_dir() else [path]
        if not files:
            raise StartupError(f"The folder {source} holds no connector module.", remedy="Put a .py file into it.")
        for file in files:
            yield from _defined_in(_imported_file(file), str(file))
        return
    yield from _defined_in(_imported(source, source), source)


def _imported(name: str, source: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except StartupError:
        raise
    except Exception as error:
        raise _does_not_import(source, error) from error


def _imported_file(file: Path) -> ModuleType:
    if not file.is_file():
        raise StartupError(f"There is no connector file {file}.", remedy="Correct `connectors` in holdgate.yaml.")
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
    except StartupError:
        del sys.modules[name]
        raise
    except Exception as error:
        del sys.modules[name]
        raise _does_not_import(str(file), error) from error
    return module


def _does_not_import(source: str, error: Exception) -> StartupError:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == source]
    return StartupError(
        f"The connector module does not import: {type(error).__name__}: {error}.",
        file=source,
        line=lines[-1] if lines else None,
        remedy="Correct that line; decorators such as `@name.read()` need their parentheses."
        if isinstance(error, TypeError) and lines
        else "Run it with python to see the traceback.",
    )


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


def _refuse_unsafe(tool: Tool) -> None:
    if tool.name in own_tools.INPUTS:
        raise StartupError(f"Tool {tool.name} has the name of a built-in tool.", remedy="Rename its function.")
    if tool.writes and tool.risk is Risk.HIGH and tool.previewer is None:
        raise StartupError(
            f"Tool {tool.name} is a HIGH write without a preview.",
            remedy=f"Declare one with @{tool.name.removeprefix(tool.connector.name + '_')}.preview, or lower its risk.",
        )


def _refuse_unseen(tool: Tool) -> None:
    """Every argument must show in the fingerprint and to the reviewer; what pydantic hides would do neither."""
    properties = tool.input_model.model_json_schema()["properties"] if tool.input_model.model_fields else {}
    for name, field in tool.input_model.model_fields.items():
        if field.exclude or "writeOnly" in json.dumps(properties.get(field.alias or name, {})):
            raise StartupError(
                f"Tool {tool.name}: the argument {name} is hidden when it is written down.",
                remedy="Use a plain type without `exclude`; name it in `sensitive` to have it masked.",
            )


def _pinned(tool: Tool) -> Published:
    _refuse_unsafe(tool)
    _refuse_unseen(tool)
    schemas = own_schemas(tool)
    tool.schema_hash = _hash(tool, schemas)
    return publish(tool, schemas)


def _hash(tool: Tool, schemas: ToolSchemas) -> str:
    """What a changed tool is noticed by (semantics.md T-1).

    Without the gateway's own control arguments and envelope: a release of the gateway must not look like a rug pull.
    """
    promised = [tool.name, tool.description, schemas.input, schemas.output]
    return hashlib.sha256(json.dumps(promised, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
