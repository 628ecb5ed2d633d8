"""The closed set of operators: what they mean for a value, and when they can never be met."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from gateway.policy.arguments import Argument

Test = Callable[[Any], bool]
"""Takes the argument's value, None when it is absent."""


def equal(one: Any, other: Any) -> bool:
    """JSON's equality: 1 is 1.0, but `true` is not 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "is": equal,
    "is_not": lambda value, operand: not equal(value, operand),
    "in": lambda value, operand: any(equal(value, choice) for choice in operand),
    "not_in": lambda value, operand: not any(equal(value, choice) for choice in operand),
    "over": lambda value, operand: value > operand,
    "at_least": lambda value, operand: value >= operand,
    "under": lambda value, operand: value < operand,
    "at_most": lambda value, operand: value <= operand,
    "starts_with": lambda value, operand: value.startswith(operand),
    "ends_with": lambda value, operand: value.endswith(operand),
    "contains": lambda value, operand: (
        operand in value if isinstance(value, str) else any(equal(item, operand) for item in value)
    ),
    "present": lambda value, operand: operand is True,
}
_MET_BY_ABSENCE = frozenset({"is_not", "not_in"})
_ORDER = frozenset({"over", "at_least", "under", "at_most"})
_EQUALITY = frozenset({"is", "is_not", "in", "not_in"})
_TEXT = frozenset({"starts_with", "ends_with"})


def test(operator: str, operand: Any) -> Test:
    """`operator` with its operand. An absent value meets only `is_not`, `not_in` and `present: false`."""
    holds = _OPERATORS[operator]
    if operator == "present":
        return lambda value: (value is not None) is operand
    absent = operator in _MET_BY_ABSENCE
    return lambda value: absent if value is None else holds(value, operand)


class Fault(NamedTuple):
    """Why conditions on an argument cannot work."""

    operator: str | None
    message: str
    remedy: str


def faults(argument: Argument, tests: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong with `tests` for this argument: a type that does not fit, or nothing that can match."""
    found = [fault for operator, operand in tests.items() for fault in _misfits(argument, operator, operand)]
    yield from found
    if not found and not _possible(argument, tests):
        yield Fault(None, f"No value of `{argument.path}` can ever match this.", argument.described)


def _misfits(argument: Argument, operator: str, operand: Any) -> Iterator[Fault]:
    path = argument.path
    if operator == "present":
        if argument.always:
            yield Fault(operator, f"`{path}` is always present.", "Remove the condition.")
    elif operator in _ORDER:
        if not argument.numeric:
            yield Fault(operator, f"`{operator}` compares numbers, and `{path}` is none.", argument.described)
    elif operator in _TEXT:
        if argument.kinds != {"string"}:
            yield Fault(operator, f"`{operator}` looks into text, and `{path}` is none.", argument.described)
    elif operator == "contains":
        if argument.kinds == {"string"} and not isinstance(operand, str):
            yield Fault(operator, f"`{path}` is text, which contains only text.", "Put the value in quotes.")
        elif argument.kinds - {"string", "array"}:
            yield Fault(operator, f"`contains` looks into text or a list, and `{path}` is neither.", argument.described)
    elif operator in _EQUALITY:
        if argument.kinds & {"array", "object"}:
            yield Fault(operator, f"`{path}` is a list or a mapping, which `{operator}` cannot compare.", "")
            return
        for value in operand if operator in ("in", "not_in") else (operand,):
            if not argument.accepts(value):
                yield Fault(operator, f"`{path}` can never be {value!r}.", argument.described)


def _possible(argument: Argument, tests: Mapping[str, Any]) -> bool:
    """Whether some value may meet all `tests`. Says no only when it is certain."""
    if not argument.always and all(test(operator, operand)(None) for operator, operand in tests.items()):
        return True
    if argument.choices is not None:
        return any(all(test(op, operand)(choice) for op, operand in tests.items()) for choice in argument.choices)
    if tests.get("present") is False:
        return True
    if argument.numeric and any(operator in _ORDER for operator in tests):
        return argument.narrowed(tests)
    return True
