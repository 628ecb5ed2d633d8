"""What a tool's models say of one field: its type, its choices, its bounds. Read from their JSON Schema."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True)
class Argument:
    """One field of a model, which may stand inside another: `cents`, `address.country`."""

    path: str
    adapter: TypeAdapter[Any]
    kinds: frozenset[str]
    """JSON types it may have, apart from null."""
    choices: tuple[Any, ...] | None
    """All values there are, when they are listed."""
    low: float
    high: float
    """Smallest and largest possible number; exclusive bounds of whole numbers are already moved by one."""
    required: bool
    """Whether the caller must give it."""
    always: bool
    """Whether it always has a value."""

    @property
    def numeric(self) -> bool:
        """Whether it is a number and nothing else."""
        return bool(self.kinds) and self.kinds <= {"integer", "number"}

    @property
    def whole(self) -> bool:
        """Whether it is a whole number and nothing else."""
        return self.kinds == {"integer"}

    @property
    def described(self) -> str:
        """What it may be, as a remedy."""
        if self.choices is not None:
            return f"It is one of {', '.join(map(str, self.choices))}."
        if self.numeric:
            bounds = [f" from {shown(self.low)}"] if math.isfinite(self.low) else []
            bounds += [f" up to {shown(self.high)}"] if math.isfinite(self.high) else []
            return f"It is a{' whole' if self.whole else ''} number{''.join(bounds)}."
        return f"Its type is {' or '.join(sorted(self.kinds))}."

    def accepts(self, value: Any) -> bool:
        """Whether the field can have this value."""
        try:
            self.adapter.validate_json(json.dumps(value), strict=True)
        except ValidationError:
            return False
        return True

    def within(self, low: float | None, high: float | None) -> Argument:
        """The same argument, with its numbers no wider than these."""
        return replace(
            self,
            low=self.low if low is None else max(self.low, low),
            high=self.high if high is None else min(self.high, high),
        )

    def narrowed(self, tests: Mapping[str, Any]) -> bool:
        """Whether a number is left when its bounds are narrowed by comparison `tests`."""
        step = 1 if self.whole else 0
        low, high = self.low, self.high
        for operator, operand in tests.items():
            match operator:
                case "over":
                    low = max(low, math.floor(operand) + 1 if step else math.nextafter(operand, math.inf))
                case "at_least":
                    low = max(low, operand)
                case "under":
                    high = min(high, math.ceil(operand) - 1 if step else math.nextafter(operand, -math.inf))
                case "at_most":
                    high = min(high, operand)
        return low <= high


def shown(number: float) -> str:
    """A limit as a reader would write it: 5000, not 5000.0."""
    if math.isinf(number):
        return "minus infinity" if number < 0 else "infinity"
    return str(int(number)) if float(number).is_integer() else str(number)


def find(model: type[BaseModel], path: str) -> Argument | None:
    """The field of `model` at a dotted `path`, or None when there is no such field."""
    *outer, last = path.split(".")
    required = always = True
    for name in outer:
        info = model.model_fields.get(name)
        inner = next(_models(info.annotation), None) if info else None
        if info is None or inner is None:
            return None
        required = required and info.is_required()
        always = always and not _nullable(_adapter(info).json_schema())
        model = inner
    info = model.model_fields.get(last)
    if info is None:
        return None
    adapter = _adapter(info)
    schema = adapter.json_schema()
    options = [option for option in _options(schema, schema.get("$defs", {})) if option.get("type") != "null"]
    listed = [option.get("enum", [option["const"]] if "const" in option else None) for option in options]
    return Argument(
        path=path,
        adapter=adapter,
        kinds=frozenset(option.get("type", "any") for option in options),
        choices=None if not listed or None in listed else tuple(value for values in listed for value in values),
        low=min((_low(option) for option in options), default=-math.inf),
        high=max((_high(option) for option in options), default=math.inf),
        required=required and info.is_required(),
        always=always and not _nullable(schema),
    )


def closest(model: type[BaseModel], path: str) -> str:
    """A remedy for a `path` that `model` does not have."""
    close = difflib.get_close_matches(path, model.model_fields, n=1)
    return f"Did you mean `{close[0]}`?" if close else f"It has: {', '.join(model.model_fields)}."


def _adapter(info: FieldInfo) -> TypeAdapter[Any]:
    annotated: Any = Annotated[info.annotation, info]
    return TypeAdapter(annotated)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _nullable(schema: Mapping[str, Any]) -> bool:
    return any(option.get("type") == "null" for option in _options(schema, schema.get("$defs", {})))


def _options(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The alternatives of a union, references followed."""
    if "$ref" in schema:
        yield from _options(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
    elif alternatives := schema.get("anyOf") or schema.get("oneOf"):
        for alternative in alternatives:
            yield from _options(alternative, definitions)
    else:
        yield schema


def _low(option: Mapping[str, Any]) -> float:
    above = option.get("exclusiveMinimum", -math.inf)
    return float(max(option.get("minimum", -math.inf), above + 1 if option.get("type") == "integer" else above))


def _high(option: Mapping[str, Any]) -> float:
    below = option.get("exclusiveMaximum", math.inf)
    return float(min(option.get("maximum", math.inf), below - 1 if option.get("type") == "integer" else below))
