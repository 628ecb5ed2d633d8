"""What a connector is written with: models in, models out, the upstream, previews, and the tool that comes of it.

Authors import all of it from `gateway.connector`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, TypeAlias

from pydantic import BaseModel, ConfigDict

from gateway.address import Address
from gateway.content import Block
from gateway.model import Effect, Risk, Surface

if TYPE_CHECKING:
    from gateway.connector import Connector

JSON: TypeAlias = Any
Fields: TypeAlias = Mapping[str, str | int | bool]
"""Of a query, or of a form; booleans are sent as `true` and `false`."""


class Input(BaseModel):
    """Arguments of a tool: strict, no extras, every text bounded."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, str_max_length=8_000)


class Nothing(Input):
    """No arguments."""


class Output(BaseModel):
    """What a tool gives back. Fields of the upstream that are not declared here never leave the gateway."""

    # A record that has another shape is an error in the log, and what is in the record is not to stand there (L-5).
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    # No private attribute of Pydantic's, which would be made anew for every record of every answer.
    _content: ClassVar[tuple[Block, ...]] = ()

    def with_content(self, *blocks: Block) -> Self:
        """The same with pictures, sounds or documents beside its fields, for the clients that show such.

        Every fact that an agent needs belongs into the fields: some clients show their model nothing else.
        """
        shown = self.model_copy()
        object.__setattr__(shown, "_content", (*self._content, *blocks))
        return shown


def content_of(output: Output) -> tuple[Block, ...]:
    """What lies beside the fields. No attribute of the output, because a field may well be called `content`."""
    return output._content


class Body(Output):
    """Of what is no record, and gives back nothing but content."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A record or a page, with what the answer's headers say of it."""

    data: JSON
    etag: str | None
    """For `if_match`, which asks for nothing when it is None: there was none."""
    next: Mapping[str, str] | None
    """The query of the next page, from the `Link` header; None: it names none."""


class Upstream(Protocol):
    """The system of record, as a tool sees it. JSON in, JSON out; failures are raised and already classified.

    A preview, a lookup and a read hold an upstream that only reads: `get`, `fetch` and `download` (semantics.md D-3).
    Paths are relative to the connector's `base_url`; put arguments into them only where their pattern
    allows no slash.

    Raises:
        UpstreamError: on every failure; connectors let it pass.
    """

    @property
    def reference(self) -> str:
        """This action's own reference: the same on every retry (semantics.md I-10). 1-64 characters."""
        ...

    async def get(self, path: str, query: Fields | None = None) -> JSON: ...

    async def fetch(self, path: str, query: Fields | None = None) -> Fetched:
        """What `get` gives, with what the answer's headers say of it: its etag, and where the next page is."""
        ...

    async def download(self, path: str, query: Fields | None = None) -> bytes:
        """A file as it is, for an `Image`, a `Document`, or a resource of bytes; 630,000 bytes can be handed on."""
        ...

    async def post(self, path: str, body: JSON = None, *, form: Fields | None = None) -> JSON:
        """Send JSON, or the fields of a form; never both."""
        ...

    async def put(
        self, path: str, body: JSON = None, *, form: Fields | None = None, if_match: str | None = None
    ) -> JSON: ...

    async def patch(
        self, path: str, body: JSON = None, *, form: Fields | None = None, if_match: str | None = None
    ) -> JSON: ...

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


RunFunction: TypeAlias = Callable[..., Awaitable[Output]]
"""`(args, upstream)`, or `(args, upstream, caller)`."""
PreviewFunction: TypeAlias = Callable[[Any, Any], Awaitable[Preview]]
LookupFunction: TypeAlias = Callable[[Any, Any], Awaitable[Found]]
NaturalKeyFunction: TypeAlias = Callable[[Any], str]
CompleteFunction: TypeAlias = Callable[[str], Iterable[str]]


@dataclass(slots=True, eq=False)
class Tool:
    """One narrow, typed action, or a resource or a prompt, which are reads that clients meet elsewhere.

    Made by a decorator of a connector; complete once its module is loaded.
    """

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
    deduplicated: bool = True
    """Whether the upstream honours its connector's `idempotency_header` for this write."""
    talks: bool = False
    """Whether it takes its caller as a third parameter."""
    asks: bool = False
    """Whether it may ask its caller's client something; never a write (semantics.md Q-2)."""
    sensitive: frozenset[str] = frozenset()
    """Arguments whose value is personal: masked on approval pages and in the terminal."""
    previewer: PreviewFunction | None = None
    looker: LookupFunction | None = None
    natural_keyer: NaturalKeyFunction | None = None
    surface: Surface = Surface.TOOL
    address: Address | None = None
    """Where a resource is found."""
    mime_type: str = "application/json"
    """Of a resource."""
    changes: tuple[Address, ...] = ()
    """The resources that this write changes, each with variables that are arguments of it."""
    completers: dict[str, CompleteFunction] = field(default_factory=dict)
    """By argument: what finds values that begin as the client has typed."""
    schema_hash: str = field(default="", init=False)
    """SHA-256 of all that is published of it; set by the catalogue (semantics.md T-1)."""

    @property
    def writes(self) -> bool:
        """Whether it changes the system of record."""
        return self.effect is Effect.WRITE

    @property
    def idempotency_header(self) -> str | None:
        """The header by which the upstream makes this write once; None: it would make it again (semantics.md I-8)."""
        return self.connector.idempotency_header if self.deduplicated else None

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

    def complete(self, argument: str) -> Callable[[CompleteFunction], CompleteFunction]:
        """Declare how an argument of a resource or a prompt is completed, from what has been typed of it.

        The function is plain: it reaches no upstream, and what it knows is no secret from anybody who may use the
        resource or the prompt. An argument that is a `Literal` or an enum is completed without one.
        """

        def keep(function: CompleteFunction) -> CompleteFunction:
            self.completers[argument] = function
            return function

        return keep
