"""Whether the SDK takes the parameters of a plain request for well-formed; it is asked once about each client."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from mcp.types.methods import validate_client_request
from pydantic import ValidationError
from pydantic_core import to_json

from gateway.strict_json import loads

_LIST: Final = "tools/list"
_PROTOCOLS_OWN: Final = "io.modelcontextprotocol/"
_REMEMBERED: Final = 256
_LONGEST: Final = 2_048
"""Bytes of what is remembered of one client."""


def well_formed(method: str, version: str, params: Mapping[str, Any]) -> bool:
    """Whether the SDK finds nothing wrong with the parameters of a list, or of a call with a name and arguments.

    Most of what it looks at is what a client says about itself, the same with every call. Of the rest of `_meta` it
    looks at the `progressToken`; what else is there belongs to others.
    """
    meta = params["_meta"]
    about_itself = to_json({name: said for name, said in meta.items() if name.startswith(_PROTOCOLS_OWN)})
    if type(meta.get("progressToken", "")) not in (str, int):
        return False  # its models let a null pass that its app refuses
    usual_call = type(params.get("name")) is str and type(params.get("arguments")) is dict
    if not (usual_call or method == _LIST) or len(about_itself) > _LONGEST:
        return _accepted(method, version, params)
    return _accepted_client(method, version, about_itself)


@lru_cache(maxsize=_REMEMBERED)
def _accepted_client(method: str, version: str, about_itself: bytes) -> bool:
    called = {} if method == _LIST else {"name": "", "arguments": {}}
    return _accepted(method, version, {**called, "_meta": loads(about_itself)})


def _accepted(method: str, version: str, params: Mapping[str, Any]) -> bool:
    try:
        validate_client_request(method, version, params)
    except ValidationError:
        return False
    return True
