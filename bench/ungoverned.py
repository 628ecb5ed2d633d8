"""The two things Holdgate is measured beside: a bare floor, and the official SDK's server. Neither governs anything."""

from __future__ import annotations

import json
import socket
import sys
from typing import Any

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_TOOLS = {
    "billing_lookup_invoice": ("GET", "/invoices/{invoice}"),
    "billing_refund": ("POST", "/invoices/{invoice}/refunds"),
}


class Caller:
    """The same outbound call that the connector makes, with a client kept open."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._session: aiohttp.ClientSession | None = None

    async def call(self, tool: str, arguments: dict[str, Any]) -> Any:
        """One request to the upstream, and its JSON."""
        if self._session is None:
            self._session = aiohttp.ClientSession()
        method, path = _TOOLS[tool]
        url = self._upstream + path.format(**arguments)
        body = None if method == "GET" else {"cents": arguments["cents"], "reason": arguments["cause"]}
        async with self._session.request(method, url, json=body) as answer:
            return await answer.json()


def floor(upstream: str) -> Starlette:
    """Parse JSON-RPC, call the upstream, wrap the answer. No protocol, no credential, no policy, no record."""
    caller = Caller(upstream)

    async def handle(request: Request) -> Response:
        message = json.loads(await request.body())
        params = message["params"]
        data = await caller.call(params["name"], params["arguments"])
        result = {"content": [{"type": "text", "text": json.dumps(data)}], "structuredContent": data}
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": result}
        return Response(json.dumps(answer), media_type="application/json")

    return Starlette(routes=[Route("/mcp", handle, methods=["POST"])])


def sdk(upstream: str) -> Starlette:
    """The SDK's low-level server as its documentation sets it up: stateless, both eras, no credential."""
    from mcp.server.context import ServerRequestContext
    from mcp.server.lowlevel import Server
    from mcp_types import CallToolRequestParams, CallToolResult, TextContent

    caller = Caller(upstream)

    async def call_tool(ctx: ServerRequestContext[Any, Any], params: CallToolRequestParams) -> CallToolResult:
        data = await caller.call(params.name, dict(params.arguments or {}))
        return CallToolResult(content=[TextContent(type="text", text=json.dumps(data))], structured_content=data)

    server: Server[Any] = Server("bare", on_call_tool=call_tool, get_tool_input_schema=lambda name: None)
    return server.streamable_http_app(stateless_http=True)


def main() -> None:
    """`python -m bench.ungoverned floor|sdk UPSTREAM`: serve on a free port until standard input closes."""
    import threading

    kind, upstream = sys.argv[1:]
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    app = {"floor": floor, "sdk": sdk}[kind](upstream)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, loop="uvloop"))

    def stop_with_parent() -> None:
        sys.stdin.read()
        server.should_exit = True

    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    threading.Thread(target=stop_with_parent, daemon=True).start()
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
