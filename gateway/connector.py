"""All that a connector author imports: Connector, Input, Output, Preview, Found, Risk, Upstream.

A connector is one module: models in, models out, and one async function per tool. It holds no credential, no
header, no retry and no HTTP import; `upstream` is the only thing it can reach. A tool's name is
`<connector>_<function>` everywhere: on the wire, in policies and on the ledger.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, get_type_hints

from pydantic import BaseModel, ConfigDict

from gateway.errors import StartupError
from gateway.model import Effect, Risk

__all__ = ["Connector", "Found", "Input", "Output", "Preview", "Risk", "Tool", "Upstream"]

TOOL_NAME = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")
CONNECTOR_NAME = re.compile(r"^[a-z][a-z0-9]{0,15}$")
JSON: TypeAlias = Any


class Input(BaseModel):
    """Arguments of a tool: strict, no extras, every text bounded."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, str_max_length=8_000)


class Output(BaseModel):
    """What a tool gives back. Fields of the upstream that are not declared here never leave the gateway."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Upstream(Protocol):
    """The system of record, as a tool sees it. JSON in, JSON out; failures are raised and already classified.

    A preview, a lookup and a read hold an upstream that refuses every verb but `get` (semantics.md D-3).
    Paths are relative to the connector's `base_url`; put arguments into them only where their pattern
    allows no slash.

    Raises:
        UpstreamError: on every failure; connectors let it pass.
    """

    @property
    def reference(self) -> str:
        """This action's own reference: the same on every retry (semantics.md I-10). 1-64 characters."""
        ...

    async def get(self, path: str, query: Mapping[str, str | int | bool] | None = None) -> JSON: ...

    async def post(self, path: str, body: JSON = None) -> JSON: ...

    async def put(self, path: str, body: JSON = None, *, if_match: str | None = None) -> JSON: ...

    async def patch(self, path: str, body: JSON = None, *, if_match: str | None = None) -> JSON: ...

    async def delete(self, path: str, *, if_match: str | None = None) -> JSON: ...


@dataclass(frozen=True, slots=True)
class Change:
    """One field that a write would change."""

    field: str
    before: JSON
    after: JSON
    certainty: Literal["verified", "predicted", "unknown"] = "predicted"
    """Of `after`: what the gateway knows, expects, or cannot say (semantics.md D-1)."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a write would do: the changes, and a witness of the state they rest on.

    An approval is bound to both. When the witness differs at execution, the approval is stale.
    """

    changes: tuple[Change, ...]
    witness: JSON
    """Whatever must still be so when the write runs: by default every `before` value."""

    @classmethod
    def diff(cls, before: Mapping[str, JSON], after: Mapping[str, JSON], *, witness: JSON = None) -> Preview:
        """The fields that differ between two flat records, `before` read from upstream and `after` predicted.

        Args:
            before: field -> value now. All of it is the witness, unless `witness` is given.
            after: field -> value after the write. A field only in `after` counts as new.
            witness: e.g. the record's etag, when that is what must not move.
        """
        names = list(before) + [name for name in after if name not in before]
        changes = tuple(
            Change(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)
        )
        return cls(changes, dict(before) if witness is None else witness)


@dataclass(frozen=True, slots=True)
class Found:
    """What a lookup learned of an action whose outcome is unknown (semantics.md I-11)."""

    state: Literal["done", "not_done", "ambiguous"]
    output: Output | None = None

    @classmethod
    def done(cls, output: Output) -> Found:
        """It happened; this is the answer the caller would have had."""
        return cls("done", output)

    @classmethod
    def not_done(cls) -> Found:
        """It certainly did not happen. Definite only after the tool's `settles_after`."""
        return cls("not_done")

    @classmethod
    def ambiguous(cls) -> Found:
        """Cannot be told; an operator has to look."""
        return cls("ambiguous")


RunFunction: TypeAlias = Callable[[Any, Any], Awaitable[Output]]
PreviewFunction: TypeAlias = Callable[[Any, Any], Awaitable[Preview]]
LookupFunction: TypeAlias = Callable[[Any, Any], Awaitable[Found]]
NaturalKeyFunction: TypeAlias = Callable[[Any], str]


@dataclass(slots=True, eq=False)
class Tool:
    """One narrow, typed action. Made by `@connector.read` or `@connector.write`; complete once its module is loaded."""

    connector: Connector
    name: str
    title: str
    description: str
    effect: Effect
    risk: Risk
    input_model: type[Input]
    output_model: type[Output]
    run: RunFunction
    timeout: float
    """Seconds the upstream may take before the outcome counts as unknown."""
    spend: str | None = None
    """The argument that is money, in minor units of `currency`."""
    currency: str | None = None
    settles_after: float = 5.0
    """Seconds after which a lookup that finds nothing is definite."""
    sensitive: frozenset[str] = frozenset()
    """Arguments whose value is personal: masked on approval pages and in the terminal."""
    previewer: PreviewFunction | None = None
    looker: LookupFunction | None = None
    natural_keyer: NaturalKeyFunction | None = None
    schema_hash: str = field(default="", init=False)
    """SHA-256 of name, description and both published schemas; set by the catalogue (semantics.md T-1)."""

    @property
    def writes(self) -> bool:
        """Whether it changes the system of record."""
        return self.effect is Effect.WRITE

    def preview(self, function: PreviewFunction) -> PreviewFunction:
        """Declare how to show what this write would do, with reads only."""
        self.previewer = function
        return function

    def lookup(self, function: LookupFunction) -> LookupFunction:
        """Declare how to find out whether this write happened, by `upstream.reference`, with reads only."""
        self.looker = function
        return function

    def natural_key(self, function: NaturalKeyFunction) -> NaturalKeyFunction:
        """Declare which arguments name the effect: two calls with an equal natural key are the same write."""
        self.natural_keyer = function
        return function


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
        where = inspect.getsourcefile(function)
        name = f"{self.name}_{function.__name__}"
        if not TOOL_NAME.match(name) or len(name) > 32:
            raise StartupError(f"Tool name {name!r} is not portable: at most 32 of a-z, 0-9 and single _.", file=where)
        if name in self.tools:
            raise StartupError(f"Tool {name} is declared twice.", file=where)
        description = inspect.cleandoc(function.__doc__ or "")
        if not description:
            raise StartupError(
                f"Tool {name} has no docstring.", file=where, remedy="Say in it when an agent should call the tool."
            )
        hints = get_type_hints(function)
        parameters = list(inspect.signature(function).parameters)
        input_model, output_model = hints.get(parameters[0] if parameters else ""), hints.get("return")
        if not (inspect.iscoroutinefunction(function) and len(parameters) == 2):
            raise StartupError(f"Tool {name} must be `async def {function.__name__}(args, upstream)`.", file=where)
        if not (isinstance(input_model, type) and issubclass(input_model, Input)):
            raise StartupError(f"Tool {name}: the first parameter must be annotated with an Input model.", file=where)
        if not (isinstance(output_model, type) and issubclass(output_model, Output)):
            raise StartupError(f"Tool {name}: the return type must be an Output model.", file=where)
        for named in (*declared["sensitive"], *([declared["spend"]] if declared.get("spend") else [])):
            if named not in input_model.model_fields:
                raise StartupError(f"Tool {name}: {named!r} is not an argument.", file=where)
        if bool(declared.get("spend")) != bool(declared.get("currency")):
            raise StartupError(f"Tool {name}: give `spend` and `currency` together.", file=where)
        tool = Tool(
            connector=self,
            name=name,
            title=title or function.__name__.replace("_", " ").capitalize(),
            description=description,
            input_model=input_model,
            output_model=output_model,
            run=function,
            **declared,
        )
        self.tools[name] = tool
        return tool
