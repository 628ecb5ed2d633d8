"""Strict YAML into typed values, with line numbers: for policies and for `holdgate.yaml`.

What a reader sees is what is loaded: a scalar is a number, `true`, `false` or `null` only where JSON would say so;
`on`, `no`, `12:30`, `0777` and dates stay text. A duplicate or unknown key, an anchor, a tag or a wrong type is an
error with its line, never a guess; and all of a document's errors are told at once.
"""

from __future__ import annotations

import difflib
import json
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Generic, TypeAlias, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.errors import StartupError

Model = TypeVar("Model", bound=BaseModel)
Location: TypeAlias = tuple[str | int, ...]

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1
"""Beyond it JSON readers disagree, so RFC 8785 has no canonical form."""

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)\Z")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?\Z")
_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
_HIDDEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Document(Generic[Model]):
    """A file that was read whole and found valid."""

    value: Model
    path: Path
    hash: str
    """SHA-256 of the file's bytes, in hex."""
    tree: Any
    """The same content as plain JSON, before defaults."""
    lines: Mapping[Location, int]

    def line(self, *location: str | int) -> int:
        """The line of the key or item at `location`, or of the nearest thing around it."""
        return _nearest(self.lines, location)

    def problem(self, message: str, *location: str | int, remedy: str = "") -> StartupError:
        """A `StartupError` that points at `location` in this file."""
        return StartupError(message, file=str(self.path), line=self.line(*location), remedy=remedy)


def load(path: Path, model: type[Model]) -> Document[Model]:
    """Read the YAML file at `path` as a `model`.

    Raises:
        StartupError: naming every problem of the file, each with its line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StartupError(
            f"The file cannot be read: {error.strerror}.", file=str(path), remedy="Check the path and its permissions."
        ) from error
    return parse(content, model, path)


def parse(content: bytes, model: type[Model], path: Path) -> Document[Model]:
    """Take `content`, the bytes of `path`, as a `model`. Keys that a model lists in a class variable `planned`
    (a set of names) are refused as not built yet, rather than as unknown.

    Raises:
        StartupError: naming every problem of the file, each with its line.
    """
    reader = _Reader(str(path))
    tree = reader.read(content)
    if reader.problems:
        raise StartupError.together(sorted(reader.problems, key=lambda problem: problem.line or 0))
    try:
        # As JSON, because strict JSON turns a list into a tuple and a word into an enum, but never "1" into 1.
        value = model.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        raise StartupError.together(_explain(error, model, tree, reader.lines, str(path))) from error
    return Document(value, path, sha256(content).hexdigest(), tree, reader.lines)


class _Reader:
    """Bytes into plain JSON, collecting problems and the line of everything."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[Location, int] = {(): 1}
        self.problems: list[StartupError] = []

    def read(self, content: bytes) -> Any:
        text = self._decode(content)
        try:
            self._refuse_indirection(text)
            node = None if self.problems else yaml.compose(text, Loader=yaml.BaseLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            if "'\\t'" in (error.problem or ""):
                raise StartupError(
                    "A tab is used for layout.", file=self.file, line=line, remedy="Indent with spaces."
                ) from error
            raise StartupError(
                f"This is not YAML: {error.problem}.", file=self.file, line=line, remedy="Check quotes and indentation."
            ) from error
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise StartupError(
                f"Character U+{ord(text[error.position]):04X} is not allowed.",
                file=self.file,
                line=line,
                remedy="Remove it.",
            ) from error
        if self.problems:
            return None
        if node is None:
            raise StartupError("The file is empty.", file=self.file, line=1, remedy="Fill it in, or delete it.")
        return self._construct(node, ())

    def _decode(self, content: bytes) -> str:
        if len(content) > MAX_BYTES:
            raise StartupError(f"The file is larger than {MAX_BYTES} bytes.", file=self.file, remedy="Split it.")
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise StartupError("This is not UTF-8.", file=self.file, line=line, remedy="Save it as UTF-8.") from error
        if hidden := _HIDDEN.search(text):
            line = text.count("\n", 0, hidden.start()) + 1
            raise StartupError(
                f"The invisible character U+{ord(hidden[0]):04X} can make this line read as what it is not.",
                file=self.file,
                line=line,
                remedy="Remove it.",
            )
        return text

    def _refuse_indirection(self, text: str) -> None:
        """Anchors, aliases, tags, depth and further documents: seen as events, before anything is expanded."""
        depth = documents = 0
        for event in yaml.parse(text, Loader=yaml.BaseLoader):
            line = event.start_mark.line + 1 if event.start_mark else 1
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._problem("A second document starts here.", line, "Put it into a file of its own.")
            elif isinstance(event, yaml.AliasEvent) or (isinstance(event, yaml.NodeEvent) and event.anchor):
                self._problem("Anchors and aliases are not used here.", line, "Write the value out.")
            elif isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) and event.tag:
                self._problem(
                    f"The tag {event.tag} is not used here.", line, "Remove it; quote a value to keep it text."
                )
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    raise StartupError(
                        f"This is nested deeper than {MAX_DEPTH} levels.",
                        file=self.file,
                        line=line,
                        remedy="Flatten it.",
                    )
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1

    def _construct(self, node: yaml.Node, location: Location) -> Any:
        self.lines.setdefault(location, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location)
        if isinstance(node, yaml.SequenceNode):
            return [self._construct(item, (*location, index)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value
            if not isinstance(key, str):
                self._problem("A key must be one word or text.", line, "Write a plain key.")
            elif key in result:
                first = self.lines[(*location, key)]
                self._problem(f"`{key}` is given twice; first on line {first}.", line, "Keep one of them.")
            else:
                self.lines[(*location, key)] = line
                result[key] = self._construct(value_node, (*location, key))
        return result

    def _scalar(self, node: yaml.Node) -> Any:
        text: str = node.value
        line = node.start_mark.line + 1
        if _SURROGATE.search(text):
            self._problem("A \\ud800-\\udfff escape is half a character.", line, "Write the character itself.")
            return None
        if isinstance(node, yaml.ScalarNode) and node.style is not None:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.match(text):
            if len(text) > 17 or abs(int(text)) > MAX_INTEGER:
                self._problem(f"{text[:24]} is too large a number.", line, f"Stay within {MAX_INTEGER}.")
                return 0
            return int(text)
        if _DECIMAL.match(text):
            number = float(text)
            if number in (float("inf"), float("-inf")):
                self._problem(f"{text[:24]} is too large a number.", line, f"Stay within {MAX_INTEGER}.")
                return 0.0
            return number
        return text

    def _problem(self, message: str, line: int, remedy: str) -> None:
        self.problems.append(StartupError(message, file=self.file, line=line, remedy=remedy))


def _nearest(lines: Mapping[Location, int], location: Location) -> int:
    while location not in lines:
        location = location[:-1]
    return lines[location]


def _explain(
    error: ValidationError, model: type[BaseModel], tree: Any, lines: Mapping[Location, int], file: str
) -> Sequence[StartupError]:
    """pydantic's errors as our own, in the order of the file, one per place."""
    found: dict[Location, StartupError] = {}
    for detail in error.errors(include_url=False):
        location = _in_tree(detail["loc"], tree)
        message, remedy = _message(detail, location, model)
        place = (*location, str(detail["loc"][-1])) if detail["type"] == "missing" else location
        found.setdefault(place, StartupError(message, file=file, line=_nearest(lines, location), remedy=remedy))
    return sorted(found.values(), key=lambda problem: problem.line or 0)


def _in_tree(location: Location, tree: Any) -> Location:
    """`location` without the parts that pydantic adds for its unions, which stand in no file."""
    kept: list[str | int] = []
    for part in location:
        inside = tree if isinstance(tree, dict) else dict(enumerate(tree)) if isinstance(tree, list) else {}
        if part in inside:
            tree = inside[part]
            kept.append(part)
    return tuple(kept)


def _message(detail: ErrorDetails, location: Location, model: type[BaseModel]) -> tuple[str, str]:
    path = ".".join(map(str, location)) or "The document"
    match detail["type"]:
        case "missing":
            where = f" in {path}" if location else ""
            return f"`{detail['loc'][-1]}` is missing{where}.", "Add it."
        case "extra_forbidden":
            key = str(location[-1])
            models = list(_models_at(model, location[:-1]))
            if any(key in getattr(candidate, "planned", ()) for candidate in models):
                return f"`{key}` is planned, but not built yet.", "Remove it; it would have no effect."
            known = sorted({name for candidate in models for name in _keys(candidate)})
            close = difflib.get_close_matches(key, known, n=1)
            remedy = f"Did you mean `{close[0]}`?" if close else f"Known here: {', '.join(known)}."
            return f"`{key}` is not a known key.", remedy
        case "model_type" | "dict_type":
            return f"`{path}` must be a mapping of keys to values.", "Write `key: value` lines below it."
        case "tuple_type" | "list_type" | "frozen_set_type":
            return f"`{path}` must be a list.", "Write it in brackets: [a, b]."
        case "int_type" | "int_from_float":
            return f"`{path}` must be a whole number.", "Write digits only, without quotes or a leading zero."
        case "string_type":
            return f"`{path}` must be text.", "Put it in quotes."
        case "too_short":
            return f"`{path}` is empty.", "Name at least one, or remove the key."
    said = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ").rstrip(".")
    link = " must be" if detail["msg"].startswith("Input should be ") else ":"
    return f"`{path}`{link} {said}.", str(detail.get("ctx", {}).get("remedy", ""))


def _keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield field.alias or name


def _models_at(annotation: Any, location: Location) -> Iterator[type[BaseModel]]:
    """The models that may stand at `location` below `annotation`, through unions, lists and mappings."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _models_at(arguments[0], location)
    elif origin in (Union, types.UnionType):
        for argument in arguments:
            yield from _models_at(argument, location)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not location:
            yield annotation
        for name, field in annotation.model_fields.items():
            if location and (field.alias or name) == location[0]:
                yield from _models_at(field.annotation, location[1:])
    elif location and arguments:
        inside = arguments[1] if isinstance(location[0], str) else arguments[0]
        yield from _models_at(inside, location[1:])
