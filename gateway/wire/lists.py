"""What is on offer to whoever asks: tools, resources, templates of resources, and prompts (semantics.md A-7)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from mcp.server.lowlevel import Server
from mcp_types import PaginatedRequestParams
from pydantic_core import to_json

from gateway.model import Principal, Surface
from gateway.tools.offers import Offer
from gateway.tools.published import Published
from gateway.wire.context import Context
from gateway.wire.pages import Pages, page, paged

_LISTINGS_KEPT: Final = 64


class Offering(Protocol):
    """What the gateway tells of itself."""

    def offered(self, principal: Principal) -> Sequence[Published]:
        """The tools this principal may see."""
        ...

    def offers(self, principal: Principal, surface: Surface) -> Sequence[Offer]:
        """The resources or prompts this principal may see."""
        ...

    def catalogue_version(self, principal: Principal) -> str:
        """Names what this principal is offered: the same for two of them, or twice, only if that is the same."""
        ...


class ToolList:
    """The tools on offer, put into pages once for everybody who sees the same ones.

    Args:
        output_schemas: whether tools promise structured content; a client that is promised it and gets none throws the
            answer away.
    """

    def __init__(self, gateway: Offering, *, output_schemas: bool) -> None:
        self._gateway = gateway
        self._output_schemas = output_schemas
        self._pages: OrderedDict[str, Pages] = OrderedDict()
        self._first: dict[str, bytes] = {}

    def pages(self, principal: Principal) -> Pages:
        """The tools that a principal may see, in the order of their names."""
        version = self._gateway.catalogue_version(principal)
        if version not in self._pages:
            offered = sorted(self._gateway.offered(principal), key=lambda tool: tool.name)
            self._pages[version] = paged([self._entry(tool) for tool in offered])
            if len(self._pages) > _LISTINGS_KEPT:
                self._first.pop(self._pages.popitem(last=False)[0], None)
        return self._pages[version]

    def first_page(self, principal: Principal, more: Mapping[str, Any]) -> bytes:
        """The result of `tools/list` without a cursor, as JSON, with `more` members, which never change."""
        pages = self.pages(principal)
        version = self._gateway.catalogue_version(principal)
        if version not in self._first:
            result = {**page(pages, None), **more}
            self._first[version] = to_json(result)
        return self._first[version]

    def _entry(self, tool: Published) -> dict[str, Any]:
        listed = {
            "name": tool.name,
            "title": tool.title,
            "description": tool.description,
            "inputSchema": tool.input_schema,
            "annotations": {"title": tool.title, **tool.annotations},
        }
        return listed | ({"outputSchema": tool.output_schema} if self._output_schemas else {})


class Lists:
    """The handlers of the lists.

    Args:
        asking: the principal behind a request.
        output_schemas: see `ToolList`.
    """

    def __init__(self, gateway: Offering, asking: Callable[[Context], Principal], *, output_schemas: bool) -> None:
        self._gateway = gateway
        self._asking = asking
        self._tools = ToolList(gateway, output_schemas=output_schemas)

    def serve(self, server: Server[Any], surfaces: frozenset[Surface]) -> None:
        """Register those lists that there is something for: a client asks for whatever a server says that it has."""
        handlers = {"tools/list": self.tools}
        if Surface.RESOURCE in surfaces:
            handlers |= {"resources/list": self.resources, "resources/templates/list": self.templates}
        if Surface.PROMPT in surfaces:
            handlers |= {"prompts/list": self.prompts}
        for method, handler in handlers.items():
            server.add_request_handler(method, PaginatedRequestParams, handler)

    async def tools(self, ctx: Context, params: PaginatedRequestParams) -> dict[str, Any]:
        """The tools."""
        return page(self._tools.pages(self._asking(ctx)), params.cursor)

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
