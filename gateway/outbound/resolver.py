"""From a host's name to addresses that the gateway may connect to, and to no others (semantics.md C-8)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import httpx
from aiohttp.abc import AbstractResolver, ResolveResult

from gateway.outbound.egress import address_refusal

Resolve: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""Host and port to addresses. Raises OSError when there are none."""


class AddressRefused(httpx.ConnectError):
    """The host leads to an address that the gateway does not connect to (semantics.md C-8). Nothing was sent."""


class CheckedResolver(AbstractResolver):
    """Resolves a host and hands on nothing, unless the gateway may connect to each of its addresses.

    aiohttp connects to what is handed on and keeps the host's name for TLS and `Host`, so no second resolution
    can lead elsewhere.
    """

    def __init__(self, resolve: Resolve, *, internal: bool) -> None:
        self._resolve = resolve
        self._internal = internal

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = await self._resolve(host, port)
        if not addresses:
            raise OSError(f"{host} has no address")
        for address in addresses:
            refuse_unless_allowed(address, self._internal)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held open."""


def refuse_unless_allowed(address: str, internal: bool) -> None:
    """Nothing, for an address that the gateway may connect to.

    Raises:
        AddressRefused: it may not.
    """
    if reason := address_refusal(address, internal=internal):
        raise AddressRefused(f"The host's address {reason}.")


async def ask_the_system(host: str, port: int) -> list[str]:
    """A host's addresses, each once, as the system's resolver gives them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
