"""The smallest honest Upstream: JSON over a loopback connection, for one connector's tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from gateway.errors import UpstreamError


class Loopback:
    """An upstream that can change things. Sends no idempotency key: what a connector does alone is what is seen."""

    def __init__(self, url: str, api_key: str, reference: str = "act-1") -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._reference = reference

    @property
    def reference(self) -> str:
        return self._reference

    async def get(self, path: str, query: Mapping[str, str | int | bool] | None = None) -> Any:
        return await self._send("GET", path, params=query)

    async def post(self, path: str, body: Any = None) -> Any:
        return await self._send("POST", path, json=body)

    async def put(self, path: str, body: Any = None, *, if_match: str | None = None) -> Any:
        return await self._send("PUT", path, json=body, if_match=if_match)

    async def patch(self, path: str, body: Any = None, *, if_match: str | None = None) -> Any:
        return await self._send("PATCH", path, json=body, if_match=if_match)

    async def delete(self, path: str, *, if_match: str | None = None) -> Any:
        return await self._send("DELETE", path, if_match=if_match)

    async def _send(self, method: str, path: str, *, if_match: str | None = None, **request: Any) -> Any:
        headers = self._headers | ({"If-Match": if_match} if if_match else {})
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            answer = await client.request(method, f"{self._url}{path}", headers=headers, **request)
        if answer.is_error:
            raise UpstreamError(
                "upstream_rejected", answer.json()["error"]["message"], effect="none", status=answer.status_code
            )
        return answer.json()


class ReadsOnly(Loopback):
    """What a preview, a lookup and a read hold (semantics.md D-3)."""

    async def _send(self, method: str, path: str, *, if_match: str | None = None, **request: Any) -> Any:
        assert method == "GET", f"{method} {path} from a read"
        return await super()._send(method, path, if_match=if_match, **request)
