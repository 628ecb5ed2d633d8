"""Plain calls answered without the SDK's app: in the very words of the app, and under the very same checks."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from mcp.types.methods import CLIENT_REQUESTS
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from tests.serving import served
from tests.shop import OUTCOMES, Shop
from tests.wire.raw import BOT, call_body, exchange, request

IDENTITY = {
    "claudecode/toolUseId": "toolu_1",
    "com.holdgate/task": "ticket-7",
    "com.holdgate/idempotency-key": "k" * 20,
}


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop()


@pytest.fixture(scope="module")
def ports(shop: Shop) -> Iterator[tuple[int, int]]:
    """Two fronts over one gateway: with direct calls, and without."""
    with served(shop) as quick, served(shop, direct=False) as plain:
        yield quick, plain


@pytest.fixture
def gateway(shop: Shop) -> Shop:
    shop.calls.clear()
    shop.delivered_ids.clear()
    return shop


def answered(port: int, raw: bytes) -> tuple[int, str, str]:
    """Status, content type and body; ids that were made for this answer alone do not count."""
    status, headers, body = exchange(port, raw)
    return status, headers.get("content-type", ""), re.sub(r"act_[0-9a-f]{32}", "act", json.dumps(body, sort_keys=True))


def changed(**change: Any) -> bytes:
    """A plain call with something else about it."""
    body = json.loads(call_body())
    body["params"] = {**body["params"], **{name: value for name, value in change.items() if name != "_meta"}}
    body["params"]["_meta"] |= change.get("_meta", {})
    return json.dumps(body).encode()


def without(name: str) -> bytes:
    """A call that lacks one of its parameters."""
    body = json.loads(call_body())
    del body["params"][name]
    return json.dumps(body).encode()


def told(**id: None) -> bytes:
    """A call that nobody waits for the answer of."""
    body = json.loads(call_body())
    del body["id"]
    return json.dumps(body | id).encode()


@pytest.mark.parametrize("invoice", [*OUTCOMES, "broken"])
def test_an_answer_is_the_same_as_the_apps(gateway: Shop, ports: tuple[int, int], invoice: str) -> None:
    """I-14, I-15: status, headers that matter, body, and what counts as delivered, whatever the outcome."""
    told = []
    for port in ports:
        answer = answered(port, request(call_body(invoice)))
        # What is noted after an answer is noted before the next one.
        answered(port, request(call_body("held")))
        told.append((answer, len(gateway.delivered_ids)))
        gateway.delivered_ids.clear()
    assert told[0] == told[1]


@pytest.mark.parametrize(
    "body",
    [
        call_body(name="shop_nothing"),
        call_body(name="x" * 70),
        changed(arguments=None),
        changed(arguments=[]),
        changed(name=7),
        without("name"),
        without("arguments"),
        without("_meta"),
        changed(extra=1),
        changed(_meta={"progressToken": {}}),
        changed(_meta={"progressToken": None}),
        changed(_meta={"progressToken": 1.5}),
        changed(_meta={"progressToken": True}),
        changed(_meta={"io.modelcontextprotocol/logLevel": "loud"}),
        changed(_meta={"io.modelcontextprotocol/clientInfo": {"name": "long" * 1_000, "version": "1"}}),
        changed(_meta={"io.modelcontextprotocol/clientInfo": {"name": 1}}),
        changed(_meta={"io.modelcontextprotocol/clientCapabilities": []}),
        changed(_meta={"io.modelcontextprotocol/protocolVersion": "2025-11-25"}),
        changed(_meta={"io.modelcontextprotocol/protocolVersion": None}),
        changed(_meta=IDENTITY),
        changed(_meta={"progressToken": "p"}),
        told(),
        told(id=None),
    ],
)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"accept": "application/json"},
        {"accept": "*/*"},
        {"content_type": "text/plain"},
        {"mcp_name": "=?base64?c2hvcF9yZWZ1bmQ=?="},
        {"mcp_name": ""},
        {"mcp_method": ""},
        {"mcp_protocol_version": "2027-01-01"},
    ],
)
def test_whatever_is_sent_is_answered_as_the_app_would(
    gateway: Shop, ports: tuple[int, int], body: bytes, headers: dict[str, str]
) -> None:
    """A-6, S38: a call that is in any way unlike a plain one is not understood otherwise than by the SDK."""
    name = json.loads(body)["params"].get("name")
    sent = request(body, **({"mcp_name": name} if isinstance(name, str) else {}) | headers)
    quick, app = (answered(port, sent) for port in ports)
    assert quick == app
    assert gateway.calls[:1] == gateway.calls[1:]


@pytest.mark.parametrize("method", ["tools/call", "tools/list"])
@pytest.mark.parametrize("version", MODERN_PROTOCOL_VERSIONS)
def test_of_meta_the_sdk_looks_at_what_a_client_says_of_itself(method: str, version: str) -> None:
    """S38: what it said of one call's `_meta` holds for the next only as long as it looks at nothing else in it."""
    params = CLIENT_REQUESTS[method, version].model_fields["params"].annotation
    meta = params.model_fields["meta"].annotation
    known = {field.alias for field in meta.model_fields.values()}
    assert {name for name in known if not name.startswith("io.modelcontextprotocol/")} == {"progressToken"}


@pytest.mark.parametrize("key", [BOT, "Bearer token-of-the-clerk"])
@pytest.mark.parametrize("change", [{}, {"cursor": None}, {"cursor": "shop_lookup"}, {"cursor": "no"}, {"more": 1}])
def test_a_list_is_the_same_as_the_apps(
    gateway: Shop, ports: tuple[int, int], key: str, change: dict[str, Any]
) -> None:
    """A-7, V-5: each sees what it may see, whoever asked before, and a list that is longer goes on at its cursor."""
    body = json.loads(call_body())
    body |= {"method": "tools/list", "params": {"_meta": body["params"]["_meta"], **change}}
    sent = request(json.dumps(body).encode(), mcp_method="tools/list", mcp_name="", authorization=key)
    quick, app = (answered(port, sent) for port in ports)
    assert quick == app
    assert ("shop_refund" in quick[2]) is (key == BOT and quick[0] == 200)


@pytest.mark.parametrize("name", ["mcp-name", "mcp-method", "mcp-protocol-version"])
def test_a_routing_header_that_comes_twice_is_refused(gateway: Shop, ports: tuple[int, int], name: str) -> None:
    """S38: who reads the first and who reads the last would not see the same call."""
    sent = request(call_body()).replace(b"\r\n\r\n", f"\r\n{name}: shop_lookup\r\n\r\n".encode(), 1)
    for port in ports:
        status, _, answer = exchange(port, sent)
        assert (status, answer["error"]["code"]) == (400, -32020)
    assert gateway.calls == []


def test_a_client_that_has_gone_was_not_answered(gateway: Shop, ports: tuple[int, int]) -> None:
    """I-15: it hung up before its answer was ready; the bytes went nowhere, and its repeat will be told again."""
    for port in ports:
        gateway.arrived.clear()
        gateway.proceed.clear()
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(request(call_body("slow")))
            assert gateway.arrived.wait(10)
        assert exchange(port, request(call_body("held")))[0] == 200
        gateway.proceed.set()
        assert exchange(port, request(call_body("previewed")))[0] == 200
        assert exchange(port, request(call_body("held")))[0] == 200
    assert gateway.delivered_ids == [OUTCOMES["previewed"].action_id] * 2


def test_the_caller_is_the_credentials(gateway: Shop, ports: tuple[int, int]) -> None:
    """A-1, A-8: the front has established who calls, and a direct call is made in that name."""
    for port in ports:
        exchange(port, request(call_body(), authorization=BOT))
        exchange(
            port, request(call_body(name="shop_lookup"), name="shop_lookup", authorization="Bearer token-of-the-clerk")
        )
    assert [call.principal.id for call in gateway.calls] == ["bot", "clerk"] * 2
