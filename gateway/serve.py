"""Serve one gateway: over HTTP for any number of agents, or over stdio for the one that started it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
import socket
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from urllib.parse import urlsplit

import uvicorn

from gateway.app import App
from gateway.bounded_http import BoundedHttp
from gateway.errors import StartupError
from gateway.instances import HEADER
from gateway.model import Principal
from gateway.redact import RedactingFilter
from gateway.settings import Home
from gateway.store.transaction import Transaction
from gateway.wire.http_front import FrontSettings, HttpFront
from gateway.wire.mcp_server import build_server, direct, http_app, serve_stdio
from gateway.wire.probes import Probes
from gateway.wire.sessions import Sessions

log = logging.getLogger("holdgate.serve")


async def serve_http(
    home: Home, listener: socket.socket | None = None, *, ready: Callable[[str], None] = lambda url: None
) -> None:
    """Serve until SIGINT or SIGTERM, then drain.

    Args:
        listener: at the port of the settings; None: one is opened there.
        ready: called with the URL of the MCP endpoint once it answers.

    Raises:
        StartupError: nothing was started: a setting, a file, the vault or the port is wrong.
    """
    listener = listener or _listen(home)
    _dump_no_core()
    with _exporting(home, scraped=True):
        app = App(home)
        _redact_logs(app)
        try:
            await app.start()
            front = http_front(app, listener.getsockname()[1])
            config = uvicorn.Config(
                front,
                http=BoundedHttp,
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=5,
                lifespan="on",
            )
            server = _Server(config, front)
            for signal_number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(signal_number, server.stop)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            if await server.answers(serving):
                ready(home.url_on(listener.getsockname()[1]))
            await serving
        finally:
            await app.stop()


async def serve_over_stdio(home: Home) -> None:
    """Serve the agent at the other end of stdin and stdout, as the settings' `stdio_principal`.

    Raises:
        StartupError: nothing was started.
    """
    _dump_no_core()
    with _exporting(home, scraped=False):
        app = App(home)
        _redact_logs(app)
        try:
            await app.start()
            key, structured = app.keyring.request_state, home.settings.structured_content
            serving = asyncio.create_task(serve_stdio(app, _local(app), state_key=key, structured_content=structured))
            # Clients end a server of theirs by a signal, too; what it has sent is settled all the same.
            for signal_number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(signal_number, serving.cancel)
            with contextlib.suppress(asyncio.CancelledError):
                await serving
        finally:
            await app.stop()


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens: whoever calls before it is served, waits.

    Args:
        port: 0 takes a free one.

    Raises:
        OSError: the port is taken, or not this user's to take.
        OverflowError: there is no such port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol left at 0 asyncio does not set TCP_NODELAY, and every answer waits 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except BaseException:
        listener.close()
        raise
    return listener


def http_front(app: App, port: int) -> HttpFront:
    """The ASGI app of a gateway that listens on `port`."""
    settings = app.home.settings
    listen = settings.listen
    hosts = [f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", f"{listen.host}:{port}", *listen.allowed_hosts]
    if listen.public_url:
        hosts.append(urlsplit(listen.public_url).netloc)
    front = FrontSettings(
        allowed_hosts=tuple(hosts), allowed_origins=tuple(listen.allowed_origins), sessions=listen.sessions
    )
    limits = settings.limits
    sessions = Sessions(per_principal=limits.sessions, idle_seconds=limits.session_idle_seconds)
    kept = sessions if listen.sessions else None
    key = app.keyring.request_state
    server = build_server(app, sessions=kept, state_key=key, structured_content=settings.structured_content)
    return HttpFront(
        http_app(server, front, kept),
        front,
        authenticate=app.api_keys.authenticate,
        probes=Probes(app.ready, {HEADER: app.instance.id}, time.monotonic),
        delivered=app.delivered,
        direct=direct(app, server, structured_content=settings.structured_content),
    )


def _exporting(home: Home, *, scraped: bool) -> contextlib.AbstractContextManager[None]:
    """Telemetry as it is set. Over stdio there may be many of us, and the port for scrapes is not ours to take."""
    telemetry = home.settings.telemetry
    port = telemetry.prometheus if scraped else None
    if port is None and telemetry.otlp is None:
        return contextlib.nullcontext()
    # The exporters take a tenth of a second to import; who exports nothing need not wait for them.
    from gateway.telemetry.export import exporting

    return exporting(
        prometheus=(port.host, port.port) if port is not None else None, otlp=telemetry.otlp, file=str(home.file)
    )


def _dump_no_core() -> None:
    """A core file would hold every credential in use (semantics.md C-7)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _redact_logs(app: App) -> None:
    """Keep the credentials in use out of every log line (semantics.md C-6)."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(RedactingFilter(app.redactor))


class _Server(uvicorn.Server):
    """uvicorn, told to stop by us: its own signal handling would raise the signal again after shutdown."""

    def __init__(self, config: uvicorn.Config, front: HttpFront) -> None:
        super().__init__(config)
        self._front = front

    def stop(self) -> None:
        self.should_exit = True
        self._front.hang_up()

    async def answers(self, serving: asyncio.Task[None]) -> bool:
        """Whether it came up; False when it ended before."""
        while not self.started and not serving.done():  # noqa: ASYNC110 - uvicorn has a flag for it and no event
            await asyncio.sleep(0.005)
        return self.started

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone."""
        yield


def _listen(home: Home) -> socket.socket:
    listen = home.settings.listen
    try:
        return listening(listen.host, listen.port)
    except OSError as broken:
        raise StartupError(
            f"Port {listen.port} on {listen.host} cannot be used: {broken.strerror}.",
            file=str(home.file),
            remedy="Stop the program that has it, or choose another: `listen: port`, or `holdgate serve --port`.",
        ) from broken


def _local(app: App) -> Principal:
    """Whom a stdio process acts for. Its key is never presented, and can be revoked like any other."""
    name = app.home.settings.stdio_principal

    def look(tx: Transaction) -> tuple[Principal | None, str | None]:
        principal = tx.people.get(app.tenant, name)
        keys = [key for key in tx.people.keys(app.tenant, name) if key.usable(tx.now)]
        return principal, keys[-1].id if keys else None

    principal, key = app.store.look(look)
    if principal is None or key is None:
        verb = "create" if key is None else "enable"
        raise StartupError(
            f"There is no enabled principal {name!r} with an active key, and stdio has to act for somebody.",
            file=str(app.home.file),
            remedy=f"Run `holdgate keys {verb} {name}`, or name another under `stdio_principal`.",
        )
    return replace(principal, key_id=key)
