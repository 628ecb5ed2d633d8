"""The client's side of a call in a test: what it hears, what it answers, and what it would ask for again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.caller import Level
from gateway.model import Principal, Surface


class Listening:
    """A client that asked for progress, keeps a log, and can be asked anything."""

    can: Final = frozenset({"elicitation", "sampling", "roots"})

    def __init__(self, progress: list[tuple[float, float | None, str]], told: list[tuple[str, str]]) -> None:
        self._progress = progress
        self._told = told

    def progress(self, done: float, total: float | None, message: str) -> None:
        """See `gateway.caller.Client`."""
        self._progress.append((done, total, message))

    def tell(self, level: Level, tool: str, message: str) -> None:
        """See `gateway.caller.Client`."""
        self._told.append((level, message))


@dataclass(frozen=True, slots=True)
class Made:
    """A call, as it can be made again."""

    caller: Principal
    surface: Surface
    name: str
    arguments: dict[str, Any]


def spelled(question: Mapping[str, Any], answer: Any) -> dict[str, Any] | None:
    """An answer as MCP spells it; None where the client has none."""
    match question["method"]:
        case "elicitation/create":
            return {"action": "decline"} if answer is None else {"action": "accept", "content": dict(answer)}
        case "sampling/createMessage" if answer is not None:
            return {"role": "assistant", "content": {"type": "text", "text": answer}, "model": "test"}
        case "roots/list" if answer is not None:
            return {"roots": [{"uri": uri} for uri in answer]}
        case _:
            return None
