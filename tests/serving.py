"""The wire before a shop, served over HTTP on loopback as the product serves it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from gateway.bounded_http import BoundedHttp
from gateway.wire.direct import Direct
from gateway.wire.http_front import FrontSettings, HttpFront
from gateway.wire.mcp_server import build_server, http_app
from gateway.wire.mcp_server import direct as direct_answers
from gateway.wire.probes import Probes
from gateway.wire.sessions import Sessions
from tests.shop import Shop


@contextmanager
def served(
    gateway: Shop,
    *,
    failures: int = 20,
    sessions: Sessions | None = None,
    structured_content: bool = True,
    progress_seconds: float = 5.0,
    direct: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[int]:
    """Serve `gateway` over HTTP on loopback, with `direct` calls as the product does; yields the port."""
    server = build_server(
        gateway, sessions=sessions, structured_content=structured_content, progress_seconds=progress_seconds
    )
    settings = FrontSettings(failures=failures, sessions=sessions is not None)
    calls = direct_answers(gateway, server, structured_content=structured_content, progress_seconds=progress_seconds)
    app = http_app(server, settings, sessions)
    with running(fronted(gateway, app, settings, calls if direct else None, clock)) as port:
        try:
            yield port
        finally:
            gateway.proceed.set()


def fronted(
    gateway: Shop,
    app: ASGIApp,
    settings: FrontSettings,
    direct: Direct | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> HttpFront:
    """The front before `app`, with the shop's keys."""
    return HttpFront(
        app,
        settings,
        authenticate=gateway.authenticate,
        probes=Probes(gateway.ready, {}, clock),
        delivered=gateway.delivered,
        direct=direct,
    )


@contextmanager
def running(app: ASGIApp, http: type[BoundedHttp] = BoundedHttp) -> Iterator[int]:
    """Run `app` under uvicorn, as the product does, in a thread; yields the port."""
    started = threading.Event()

    class Announced(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started.set()

    config = uvicorn.Config(app, http=http, port=0, log_level="warning", ws="none", timeout_graceful_shutdown=1)
    server = Announced(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
