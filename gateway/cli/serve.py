"""`serve`: the gateway itself, over HTTP or over stdio."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.invocation import AsJson, Invocation

if TYPE_CHECKING:
    from gateway.settings import Home


def serve(
    ctx: typer.Context,
    stdio: Annotated[bool, typer.Option("--stdio", help="Serve the one agent that started this process.")] = False,
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="PORT", min=0, max=65535, help="Instead of `listen: port`; 0 takes a free one."),
    ] = None,
    json_output: AsJson = False,
) -> None:
    """Serve agents until Ctrl-C or SIGTERM, then drain. Logs are JSON lines on stderr."""
    import asyncio
    import importlib.util

    from gateway.serve import serve_http, serve_over_stdio
    from gateway.telemetry.logs import configure_logging

    home = Invocation.of(ctx).home()
    if port is not None:
        _listen_on(home, port)
    configure_logging(home.settings.log_level)

    def ready(url: str) -> None:
        from gateway.cli.output import emit

        if json_output:
            emit({"url": url})
        else:
            print(f"Holdgate serves {url}", file=sys.stderr, flush=True)

    factory = None
    if importlib.util.find_spec("uvloop"):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve_over_stdio(home) if stdio else serve_http(home, ready=ready))


def _listen_on(home: Home, port: int) -> None:
    listen = home.settings.listen.model_copy(update={"port": port})
    home.settings = home.settings.model_copy(update={"listen": listen})
