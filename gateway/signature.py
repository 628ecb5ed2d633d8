"""How a connector's function is written: its docstring, its arguments, and whom it talks to."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_type_hints

from gateway.caller import Askable, Caller
from gateway.errors import StartupError
from gateway.tool import Input


@dataclass(frozen=True, slots=True)
class Signature:
    """What `async def name(args, upstream)` or `(args, upstream, caller)` says of itself."""

    description: str
    """Its docstring."""
    input_model: type[Input]
    returned: Any
    """What the return type is annotated as."""
    caller: type[Caller] | None
    """`Caller`, or `Askable`; None without a third parameter."""

    @classmethod
    def of(cls, function: Callable[..., Any], called: str) -> Signature:
        """Read it off a function.

        Args:
            called: how errors name it, such as `Tool crm_get_customer`.

        Raises:
            StartupError: naming its file and line.
        """
        description = inspect.cleandoc(function.__doc__ or "")
        if not description:
            raise misdeclared(function, f"{called} has no docstring.", "Say in it when an agent should call the tool.")
        parameters = list(inspect.signature(function).parameters)
        if not (inspect.iscoroutinefunction(inspect.unwrap(function)) and len(parameters) in (2, 3)):
            remedy = f"Write `async def {function.__name__}(args, upstream)`, with `caller` as a third if it is needed."
            raise misdeclared(function, f"{called} is no async function of two or three parameters.", remedy)
        hints = get_type_hints(function)
        input_model, caller = hints.get(parameters[0]), hints.get(parameters[2]) if parameters[2:] else None
        if parameters[2:] and caller not in (Caller, Askable):
            raise misdeclared(
                function, f"{called}: the third parameter is no caller.", "Annotate it with Caller or Askable."
            )
        if not (isinstance(input_model, type) and issubclass(input_model, Input)):
            remedy = "Annotate it with a model of your own that derives from Input, or with Nothing."
            raise misdeclared(function, f"{called}: the first parameter is no Input.", remedy)
        return cls(description, input_model, hints.get("return"), caller)


def misdeclared(function: Callable[..., Any], what: str, remedy: str = "") -> StartupError:
    """An error about `function`, with the place where its author has written it."""
    code = inspect.unwrap(function).__code__
    return StartupError(what, file=code.co_filename, line=code.co_firstlineno, remedy=remedy)
