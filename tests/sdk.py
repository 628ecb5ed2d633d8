"""The SDK's own client, connected to a gateway over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

ERAS = ("legacy", "auto")
"""Its modes: the handshake era, and the newest that the server speaks."""


@asynccontextmanager
async def sdk_client(
    url: str, token: str, era: str, *, headers: Mapping[str, str] | None = None, **hears: Any
) -> AsyncIterator[Client]:
    """A client of an era, with an API key.

    Args:
        headers: further ones, of each request.
        hears: the callbacks of `Client`, for what it is asked and told.
    """
    sent = {"authorization": f"Bearer {token}", **(headers or {})}
    async with (
        httpx2.AsyncClient(headers=sent, timeout=20, trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http), mode=era, **hears) as client,
    ):
        yield client
