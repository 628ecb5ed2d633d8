"""What is on offer to whoever asks: tools, resources, templates of resources, and prompts (semantics.md A-7)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from mcp.server import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp_types import PaginatedRequestParams

from gateway.model import Principal, Surface
from gateway.tools.offers import Offer
from gateway.tools.published import Published
from gateway.wire.pages import Pages, page, paged

_LISTINGS_KEPT: Final = 64

Context = ServerRequestContext[Any, Any]


class Offering(Protocol):
    """What the gateway tells of itself."""

    def surfaces(self) -> frozenset[Surface]:
        """What there is at all, for somebody."""
        ...

    def offered(self, principal: Principal) -> Sequence[Published]:
        """The tools this principal may see."""
        ...

    def offers(self, principal: Principal, surface: Surface) -> Sequence[Offer]:
        """The resources or prompts this principal may see."""
        ...

    def catalogue_version(self, principal: Principal) -> str:
        """Changes whenever a published tool does."""
        ...


class Lists:
    """The handlers of the lists.

    Args:
        asking: the principal behind a request.
        output_schemas: whether tools promise structured content; a client that is promised it and gets none throws the
            answer away.
    """

    def __init__(self, gateway: Offering, asking: Callable[[Context], Principal], *, output_schemas: bool) -> None:
        self._gateway = gateway
        self._asking = asking
        self._output_schemas = output_schemas
        self._of_tools: OrderedDict[tuple[str, tuple[str, ...]], Pages] = OrderedDict()

    def serve(self, server: Server[Any]) -> None:
        """Register those lists that there is something for: a client asks for whatever a server says that it has."""
        surfaces = self._gateway.surfaces()
        handlers = {"tools/list": self.tools}
        if Surface.RESOURCE in surfaces:
            handlers |= {"resources/list": self.resources, "resources/templates/list": self.templates}
        if Surface.PROMPT in surfaces:
            handlers |= {"prompts/list": self.prompts}
        for method, handler in handlers.items():
            server.add_request_handler(method, PaginatedRequestParams, handler)

    async def tools(self, ctx: Context, params: PaginatedRequestParams) -> dict[str, Any]:
        """The tools, made once for everybody who sees the same ones."""
        principal = self._asking(ctx)
        offered = sorted(self._gateway.offered(principal), key=lambda tool: tool.name)
        key = self._gateway.catalogue_version(principal), tuple(tool.name for tool in offered)
        if key not in self._of_tools:
            self._of_tools[key] = paged([self._tool(tool) for tool in offered])
            if len(self._of_tools) > _LISTINGS_KEPT:
                self._of_tools.popitem(last=False)
        return page(self._of_tools[key], params.cursor)

    async def resources(self, ctx: Context, params: PaginatedRequestParams) -> dict[str, Any]:
        """The resources that have a URI of their own."""
        return self._listed(ctx, params, Surface.RESOURCE, "resources", templates=False)

    async def templates(self, ctx: Context, params: PaginatedRequestParams) -> dict[str, Any]:
        """The others, each under the template of its URIs."""
        return self._listed(ctx, params, Surface.RESOURCE, "resourceTemplates", templates=True)

    async def prompts(self, ctx: Context, params: PaginatedRequestParams) -> dict[str, Any]:
        """The prompts, with the arguments they take."""
        return self._listed(ctx, params, Surface.PROMPT, "prompts", templates=False)

    def _listed(
        self, ctx: Context, params: PaginatedRequestParams, surface: Surface, what: str, *, templates: bool
    ) -> dict[str, Any]:
        offers = self._gateway.offers(self._asking(ctx), surface)
        entries = [offer.entry for offer in offers if offer.template is templates]
        return page(paged(entries), params.cursor, what)

    def _tool(self, tool: Published) -> dict[str, Any]:
        listed = {
            "name": tool.name,
            "title": tool.title,
            "description": tool.description,
            "inputSchema": tool.input_schema,
            "annotations": {"title": tool.title, **tool.annotations},
        }
        return listed | ({"outputSchema": tool.output_schema} if self._output_schemas else {})
