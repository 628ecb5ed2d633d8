"""Strict YAML into typed values, with line numbers: for policies and for `holdgate.yaml`.

What a reader sees is what is loaded. An unknown key or a wrong type is an error with its line, never a guess; and all
of a document's errors are told at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.errors import StartupError
from gateway.explained import explain
from gateway.plain import as_model
from gateway.strict_yaml import Location, Reader, nearest

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Document(Generic[Model]):
    """A file that was read whole and found valid."""

    value: Model
    path: Path
    tree: Any
    """The same content as plain JSON, before defaults."""
    lines: Mapping[Location, int]

    def line(self, *location: str | int) -> int:
        """The line of the key or item at `location`, or of the nearest thing around it."""
        return nearest(self.lines, location)

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
    reader = Reader(str(path))
    tree = reader.read(content)
    if reader.problems:
        raise StartupError.together(sorted(reader.problems, key=lambda problem: problem.line or 0))
    try:
        value = as_model(model, tree)
    except ValidationError as error:
        raise StartupError.together(explain(error, model, tree, reader.lines, str(path))) from error
    return Document(value, path, tree, reader.lines)
