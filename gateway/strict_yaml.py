"""YAML as a reader sees it: for files in which a person writes down what is to be allowed.

A scalar is a number, `true`, `false` or `null` only where JSON would say so; `on`, `no`, `12:30`, `0777` and dates stay
text. A duplicate key, an anchor, a tag or a character that does not show is an error with its line, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

import yaml

from gateway.errors import StartupError
from gateway.invisible import FORMATTING, SURROGATES

Location: TypeAlias = tuple[str | int, ...]

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1
"""Beyond it JSON readers disagree, so RFC 8785 has no canonical form."""

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)\Z")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?\Z")
_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
_INVISIBLE = re.compile(f"[{FORMATTING}]")
_SURROGATE = re.compile(f"[{SURROGATES}]")


class Reader:
    """Bytes into plain JSON, collecting problems and the line of everything.

    Attributes:
        lines: of every key and item, by where it is.
        problems: what is wrong with the file; when there are any, what `read` gave back is not to be used.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[Location, int] = {(): 1}
        self.problems: list[StartupError] = []

    def read(self, content: bytes) -> Any:
        """The content as JSON values; None when there are problems.

        Raises:
            StartupError: it cannot be read on.
        """
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
        if hidden := _INVISIBLE.search(text):
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


def nearest(lines: Mapping[Location, int], location: Location) -> int:
    """The line of what is at `location`, or of the nearest thing around it."""
    while location not in lines:
        location = location[:-1]
    return lines[location]
