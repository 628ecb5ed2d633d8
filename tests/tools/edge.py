"""A connector of one writing tool, made around an Input model: for what a catalogue takes, and what it refuses."""

from __future__ import annotations

from typing import Any

from gateway.connector import Connector, Input, Output, Risk, Upstream


class Sentence(Output):
    text: str


def connector_with(
    model: type[Input], *, risk: Risk = Risk.LOW, name: str = "edge", function: str = "act"
) -> Connector:
    """Its tool is `edge_act` unless it is named otherwise."""
    connector = Connector(name, base_url="https://edge.example")

    async def act(args: Any, upstream: Any) -> Any: ...

    act.__doc__ = "Act."
    act.__name__ = function
    act.__annotations__ = {"args": model, "upstream": Upstream, "return": Sentence}
    connector.write(risk=risk)(act)
    return connector
