"""Why a document does not fit its model: pydantic's errors in our words, with their lines and remedies."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.errors import StartupError
from gateway.strict_yaml import Location, nearest


def explain(
    error: ValidationError, model: type[BaseModel], tree: Any, lines: Mapping[Location, int], file: str
) -> Sequence[StartupError]:
    """pydantic's errors as our own, in the order of the file, one per place."""
    found: dict[Location, StartupError] = {}
    for detail in error.errors(include_url=False):
        location = _in_tree(detail["loc"], tree)
        if detail["type"].startswith("union_tag_"):
            location = (*location, detail["ctx"]["discriminator"].strip("'"))
        message, remedy = _message(detail, location, model)
        place = (*location, str(detail["loc"][-1])) if detail["type"] == "missing" else location
        found.setdefault(place, StartupError(message, file=file, line=nearest(lines, location), remedy=remedy))
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
            # Of several that may stand here, one that knows the key is not the one that refused it.
            models = [candidate for candidate in _models_at(model, location[:-1]) if key not in _keys(candidate)]
            if any(key in getattr(candidate, "planned", ()) for candidate in models):
                return f"`{key}` is planned, but not built yet.", "Remove it; it would have no effect."
            known = sorted({name for candidate in models for name in _keys(candidate)})
            close = difflib.get_close_matches(key, known, n=1)
            remedy = f"Did you mean `{close[0]}`?" if close else f"Known here: {', '.join(known)}."
            return f"`{key}` is not a known key.", remedy
        case "union_tag_invalid":
            return f"`{path}` must be {' or '.join(detail['ctx']['expected_tags'].split(', '))}.", ""
        case "union_tag_not_found":
            return f"`{location[-1]}` is missing in {'.'.join(map(str, location[:-1]))}.", "Add it."
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
