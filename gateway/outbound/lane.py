"""What the calls to one connector share: its connections, and the pace that its upstream is spared by."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from gateway import strict_json
from gateway.connector import Connector
from gateway.outbound.egress import base_of
from gateway.outbound.engine import AiohttpEngine
from gateway.outbound.pacing import Pace

EngineFor: TypeAlias = Callable[[Connector], AiohttpEngine]


def engine_for(connector: Connector) -> AiohttpEngine:
    """The engine that a connector's requests go through.

    Raises:
        StartupError: its base URL or a header name is not allowed; see `egress.base_of`.
    """
    return AiohttpEngine(base_of(connector), internal=connector.internal, max_body=strict_json.MAX_BYTES)


class Lane:
    """One connector's."""

    def __init__(self, connector: Connector, engine: AiohttpEngine) -> None:
        self.engine = engine
        self.headers = tuple(connector.headers.items())
        self.pace = Pace(calls_per_second=connector.calls_per_second, max_concurrent=connector.max_concurrent)
