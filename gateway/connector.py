"""All that a connector author imports: Connector, Input, Nothing, Output, Preview, Found, Risk, Upstream, and content.

A connector is one module: models in, models out, and one async function per tool. It holds no credential, no
header, no retry and no HTTP import; `upstream` is the only thing it can reach. A tool's name is
`<connector>_<function>` everywhere: on the wire, in policies and on the ledger.

Beside its data a tool may show an `Image`, an `Audio` or a `Document`:
`return Chart(points=12).with_content(Image(png, "image/png"))`. One that takes long may say how far it has come:
`async def export(args: Export, upstream: Upstream, caller: Caller) -> Exported`. A read may also ask, with
`caller: Askable`: `who = await caller.ask("who", Form("Whose orders?", Who))`.

Clients also read resources, which have a URI, and offer their users prompts. Both are declared like a tool, and go the
same way: named in policies, decided, throttled, recorded, and invisible to those to whom no policy grants them:

    @crm.resource("crm://customers/{customer}")
    async def customer(args: Which, upstream: Upstream) -> Customer:
        "A customer's record."
        return Customer.model_validate(await upstream.get(f"/customers/{args.customer}"))

    @crm.prompt()
    async def apology(args: Letter, upstream: Upstream) -> str:
        "Say sorry to a customer, in the tone that you choose."
        return f"Write to {args.customer} that we are sorry. Be {args.tone}."
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final, cast, get_type_hints

from gateway.address import Address
from gateway.caller import Askable, Caller
from gateway.content import MEDIA_TYPE, Audio, Document, Image, Message
from gateway.errors import StartupError
from gateway.model import Effect, Risk, Surface
from gateway.questions import Answer, Form, Root, Roots, Sample, Titled
from gateway.signature import Signature, misdeclared
from gateway.surfaces import SAID, PromptFunction, ResourceFunction, as_document, as_messages
from gateway.tool import (
    JSON,
    Body,
    Change,
    Fetched,
    Found,
    Input,
    Nothing,
    Output,
    Preview,
    RunFunction,
    Tool,
    Upstream,
)

__all__ = [
    "JSON",
    "Answer",
    "Askable",
    "Audio",
    "Caller",
    "Change",
    "Connector",
    "Document",
    "Fetched",
    "Form",
    "Found",
    "Image",
    "Input",
    "Message",
    "Nothing",
    "Output",
    "Preview",
    "Risk",
    "Root",
    "Roots",
    "Sample",
    "Titled",
    "Tool",
    "Upstream",
]

TOOL_NAME = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")
CONNECTOR_NAME = re.compile(r"^[a-z][a-z0-9]{0,15}$")
_LONGEST_NAME: Final = {Surface.TOOL: 48, Surface.RESOURCE: 64, Surface.PROMPT: 64}
"""Characters. Clients put `mcp__holdgate__` before a tool's name, and some refuse more than 64 of both
(docs/decisions/0008-questions-to-the-client.md); other names they only show."""
_GIVES_BACK: Final = {
    Surface.TOOL: "an Output model",
    Surface.RESOURCE: "an Output model, `str` or `bytes`",
    Surface.PROMPT: "`str`, `Message` or `list[Message]`",
}


class Connector:
    """One system of record behind one host and one credential.

    Args:
        name: `[a-z][a-z0-9]{0,15}`; the first half of every tool name.
        base_url: `https://host[:port][/prefix]`. Fixed here or in `holdgate.yaml`; agents never choose it.
        credential: a reference such as `kv/billing/refunds#token`; None for an upstream that needs none.
        auth: how the credential is presented: `bearer`, `basic` (then it is `user:password`), or the name of the header
            that carries it.
        headers: sent with every request, e.g. `{"Api-Version": "2026-11-01"}`; anybody may read them, so no secret.
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
        headers: Mapping[str, str] = MappingProxyType({}),
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
        self.headers = dict(headers)
        self.idempotency_header = idempotency_header
        self.internal = internal
        self.definite_errors = definite_errors
        self.calls_per_second = calls_per_second
        self.max_concurrent = max_concurrent
        self.tools: dict[str, Tool] = {}

    def read(
        self, *, title: str | None = None, timeout: float = 15.0, sensitive: tuple[str, ...] = ()
    ) -> Callable[[RunFunction], Tool]:
        """Declare a tool that changes nothing. Its upstream only reads: `get`, `fetch` and `download`."""
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
        deduplicated: bool = True,
        sensitive: tuple[str, ...] = (),
        changes: tuple[str, ...] = (),
    ) -> Callable[[RunFunction], Tool]:
        """Declare a tool that changes the system of record. A HIGH one without a preview fails at load.

        Args:
            spend: the integer argument that is money, in minor units; `currency` names it, e.g. `USD`.
            deduplicated: False where the upstream does not honour the `idempotency_header`, which is not sent then.
            changes: the resources that it changes, e.g. `crm://customers/{customer}`, whose variables are arguments
                of this tool. Clients that have asked are then told so, if they may read them.
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
            deduplicated=deduplicated,
            sensitive=frozenset(sensitive),
            changes=tuple(map(Address, changes)),
        )

    def resource(
        self,
        uri: str,
        *,
        mime_type: str | None = None,
        title: str | None = None,
        timeout: float = 15.0,
        sensitive: tuple[str, ...] = (),
    ) -> Callable[[ResourceFunction], Tool]:
        """Declare something to be read under a URI of its own. It is a read: granted by its name, and recorded.

        The function gives back an `Output`, which becomes JSON with the declared fields only, or a `str`, or `bytes`:
        `async def handbook(args: Nothing, upstream: Upstream) -> str`. Documents beside an `Output` come after it.

        Args:
            uri: `crm://handbook`, or a template such as `crm://customers/{customer}`, whose variables are the fields of
                the Input; each fills one segment, and arrives decoded and validated.
            mime_type: of a text, `text/plain` by default, or of bytes, `application/octet-stream` by default.
        """
        address = Address(uri)

        def declare(function: ResourceFunction) -> Tool:
            returned = get_type_hints(function).get("return")
            kind = {str: "text/plain", bytes: "application/octet-stream"}.get(cast("Any", returned))
            media = mime_type or kind or "application/json"
            if not MEDIA_TYPE.fullmatch(media):
                raise misdeclared(function, f"{media!r} is no media type.", "Write it as `text/markdown`.")
            return self._declare(
                as_document(function, address, media) if kind else cast("RunFunction", function),
                output_model=Body if kind else returned,
                surface=Surface.RESOURCE,
                title=title,
                effect=Effect.READ,
                risk=Risk.LOW,
                timeout=timeout,
                sensitive=frozenset(sensitive),
                address=address,
                mime_type=media,
            )

        return declare

    def prompt(
        self, *, title: str | None = None, timeout: float = 15.0, sensitive: tuple[str, ...] = ()
    ) -> Callable[[PromptFunction], Tool]:
        """Declare a text that a user may choose to begin with. It is a read: granted by its name, and recorded.

        The function gives back a `str`, which becomes a message of the user's, a `Message`, or a list of them. A prompt
        is an instruction, so put text of the upstream into it only where that text may be an instruction.
        """
        return lambda function: self._declare(
            as_messages(function),
            output_model=Body if get_type_hints(function).get("return") in SAID else None,
            surface=Surface.PROMPT,
            title=title,
            effect=Effect.READ,
            risk=Risk.LOW,
            timeout=timeout,
            sensitive=frozenset(sensitive),
        )

    def _declare(
        self,
        function: RunFunction,
        *,
        title: str | None,
        surface: Surface = Surface.TOOL,
        **declared: Any,
    ) -> Tool:
        name, longest = f"{self.name}_{function.__name__}", _LONGEST_NAME[surface]
        called, wrong = f"{surface.capitalize()} {name}", partial(misdeclared, function)
        if not TOOL_NAME.match(name) or len(name) > longest:
            rule = f"Use at most {longest} of a-z, 0-9 and single _, connector and function together."
            raise wrong(f"{called}: clients do not take the name.", rule)
        if name in self.tools:
            raise wrong(f"{called} is declared twice.", "Rename one of the functions.")
        signature = Signature.of(function, called)
        if signature.caller is Askable and declared["effect"] is Effect.WRITE:
            raise wrong(
                f"{called} is a write, and would ask its caller something while it acts.",
                "Ask in a read; the agent passes the answer as an argument, where policy and people see it.",
            )
        output_model = declared.pop("output_model", signature.returned)
        if not (isinstance(output_model, type) and issubclass(output_model, Output)):
            raise wrong(f"{called}: the return type must be {_GIVES_BACK[surface]}.", "Annotate it so.")
        known = signature.input_model.model_fields
        for named in _arguments_named(declared):
            if named not in known:
                raise wrong(f"{called}: {named!r} is not an argument.", f"There are: {', '.join(known) or 'none'}.")
        if bool(declared.get("spend")) != bool(declared.get("currency")):
            raise wrong(f"{called}: one of `spend` and `currency` is missing.", "Give both, or none.")
        tool = Tool(
            connector=self,
            name=name,
            title=title or function.__name__.replace("_", " ").capitalize(),
            description=signature.description,
            input_model=signature.input_model,
            output_model=output_model,
            run=function,
            talks=signature.caller is not None,
            asks=signature.caller is Askable,
            surface=surface,
            **declared,
        )
        self.tools[name] = tool
        return tool


def _arguments_named(declared: Mapping[str, Any]) -> Iterator[str]:
    """The arguments that a declaration speaks of."""
    yield from declared["sensitive"]
    yield from filter(None, [declared.get("spend")])
    for address in declared.get("changes", ()):
        yield from address.names
