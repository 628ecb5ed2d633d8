"""All that a connector author imports: Connector, Input, Output, Preview, Found, Risk, Upstream, and content.

A connector is one module: models in, models out, and one async function per tool. It holds no credential, no
header, no retry and no HTTP import; `upstream` is the only thing it can reach. A tool's name is
`<connector>_<function>` everywhere: on the wire, in policies and on the ledger.

Beside its data a tool may show an `Image`, an `Audio` or a `Document`:
`return Chart(points=12).with_content(Image(png, "image/png"))`. One that takes long may say how far it has come:
`async def export(args: Export, upstream: Upstream, caller: Caller) -> Exported`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import partial
from typing import Any, get_type_hints

from gateway.caller import Caller
from gateway.content import Audio, Document, Image
from gateway.errors import StartupError
from gateway.model import Effect, Risk
from gateway.tool import (
    JSON,
    Change,
    Found,
    Input,
    Output,
    Preview,
    RunFunction,
    Tool,
    Upstream,
)

__all__ = [
    "JSON",
    "Audio",
    "Caller",
    "Change",
    "Connector",
    "Document",
    "Found",
    "Image",
    "Input",
    "Output",
    "Preview",
    "Risk",
    "Tool",
    "Upstream",
]

TOOL_NAME = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")
CONNECTOR_NAME = re.compile(r"^[a-z][a-z0-9]{0,15}$")


class Connector:
    """One system of record behind one host and one credential.

    Args:
        name: `[a-z][a-z0-9]{0,15}`; the first half of every tool name.
        base_url: `https://host[:port][/prefix]`. Fixed here or in `holdgate.yaml`; agents never choose it.
        credential: a reference such as `kv/billing/refunds#token`; None for an upstream that needs none.
        auth: how the credential is presented: `bearer`, or the name of the header that carries it.
        idempotency_header: the upstream's own idempotency header, if it honours one. The gateway then sends a
            stable key with each write, and may safely send an unanswered write again (semantics.md I-8, I-10).
        internal: whether the host may resolve to a private or loopback address, and may use plain http.
        definite_errors: 5xx statuses after which this upstream promises that nothing was done.
        calls_per_second: smooths outbound calls, by waiting; None for no smoothing.
        max_concurrent: outbound calls at once (semantics.md R-4).
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str,
        credential: str | None = None,
        auth: str = "bearer",
        idempotency_header: str | None = None,
        internal: bool = False,
        definite_errors: frozenset[int] = frozenset(),
        calls_per_second: float | None = None,
        max_concurrent: int = 64,
    ) -> None:
        if not CONNECTOR_NAME.match(name):
            raise StartupError(f"Connector name {name!r} is not {CONNECTOR_NAME.pattern}.", remedy="Rename it.")
        self.name = name
        self.base_url = base_url
        self.credential = credential
        self.auth = auth
        self.idempotency_header = idempotency_header
        self.internal = internal
        self.definite_errors = definite_errors
        self.calls_per_second = calls_per_second
        self.max_concurrent = max_concurrent
        self.tools: dict[str, Tool] = {}

    def read(
        self, *, title: str | None = None, timeout: float = 15.0, sensitive: tuple[str, ...] = ()
    ) -> Callable[[RunFunction], Tool]:
        """Declare a tool that changes nothing. Its upstream refuses every verb but `get`."""
        return lambda function: self._declare(
            function, title=title, effect=Effect.READ, risk=Risk.LOW, timeout=timeout, sensitive=frozenset(sensitive)
        )

    def write(
        self,
        *,
        risk: Risk,
        title: str | None = None,
        timeout: float = 30.0,
        spend: str | None = None,
        currency: str | None = None,
        settles_after: float = 5.0,
        sensitive: tuple[str, ...] = (),
    ) -> Callable[[RunFunction], Tool]:
        """Declare a tool that changes the system of record. A HIGH one without a preview fails at load.

        Args:
            spend: the integer argument that is money, in minor units; `currency` names it, e.g. `USD`.
        """
        return lambda function: self._declare(
            function,
            title=title,
            effect=Effect.WRITE,
            risk=risk,
            timeout=timeout,
            spend=spend,
            currency=currency,
            settles_after=settles_after,
            sensitive=frozenset(sensitive),
        )

    def _declare(self, function: RunFunction, *, title: str | None, **declared: Any) -> Tool:
        code = inspect.unwrap(function).__code__
        wrong = partial(StartupError, file=code.co_filename, line=code.co_firstlineno)
        name = f"{self.name}_{function.__name__}"
        if not TOOL_NAME.match(name) or len(name) > 32:
            raise wrong(f"Tool name {name!r} is not portable: at most 32 of a-z, 0-9 and single _.")
        if name in self.tools:
            raise wrong(f"Tool {name} is declared twice.")
        description = inspect.cleandoc(function.__doc__ or "")
        if not description:
            raise wrong(f"Tool {name} has no docstring.", remedy="Say in it when an agent should call the tool.")
        hints = get_type_hints(function)
        parameters = list(inspect.signature(function).parameters)
        input_model, output_model = hints.get(parameters[0] if parameters else ""), hints.get("return")
        if not (inspect.iscoroutinefunction(function) and len(parameters) in (2, 3)):
            raise wrong(f"Tool {name} must be `async def {function.__name__}(args, upstream)`.")
        if len(parameters) == 3 and hints.get(parameters[2]) is not Caller:
            raise wrong(f"Tool {name}: the third parameter must be annotated as the Caller.")
        if not (isinstance(input_model, type) and issubclass(input_model, Input)):
            raise wrong(f"Tool {name}: the first parameter must be annotated with an Input model.")
        if not (isinstance(output_model, type) and issubclass(output_model, Output)):
            raise wrong(f"Tool {name}: the return type must be an Output model.")
        for named in (*declared["sensitive"], *([declared["spend"]] if declared.get("spend") else [])):
            if named not in input_model.model_fields:
                raise wrong(f"Tool {name}: {named!r} is not an argument.")
        if bool(declared.get("spend")) != bool(declared.get("currency")):
            raise wrong(f"Tool {name}: give `spend` and `currency` together.")
        tool = Tool(
            connector=self,
            name=name,
            title=title or function.__name__.replace("_", " ").capitalize(),
            description=description,
            input_model=input_model,
            output_model=output_model,
            run=function,
            talks=len(parameters) == 3,
            **declared,
        )
        self.tools[name] = tool
        return tool
