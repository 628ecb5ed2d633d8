"""The front, spoken to over a bare socket: what it lets in, and what it answers."""

from __future__ import annotations

import gzip
import socket

import pytest
from mcp_types.version import KNOWN_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from gateway.wire.http_limits import FailureLimit, host_matches
from tests.serving import served
from tests.shop import Shop
from tests.wire.raw import MODERN, call_body, exchange, request


def test_blanks_around_a_header_do_not_count(port: int) -> None:
    """A header agrees with the body whatever blanks stand around its value, as HTTP has it."""
    status, _, answer = exchange(port, request(call_body(), name="  shop_refund  "))
    assert (status, answer["result"]["structuredContent"]["status"]) == (200, "done")


def test_only_one_says_whether_the_connection_stays(port: int) -> None:
    """RFC 9110, 7.6.1: the server, that closes it; who keeps to what the SDK's app says would wait for nothing."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request(call_body(era="2025-06-18"), era="2025-06-18", connection="close"))
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65_536)
    fields = head.lower().partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert [field for field in fields if field.startswith(b"connection:")] == [b"connection: close"]


@pytest.mark.parametrize(
    ("body", "id", "code", "says"),
    [
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "method": "tools/call"}', 1, -32700, "same name"),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": NaN}}', 1, -32700, "NaN"),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": 1e999}}', 1, -32700, "finite"),
        (b'{"jsonrpc": "2.0", "id": 1, "meth', None, -32700, "not JSON"),
        (b"[" * 100 + b"]" * 100, None, -32700, "deep"),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": "\\ud800"}}', 1, -32700, "surrogate"),
        (b"[]", None, -32600, "exactly one"),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "ping"}', 1, -32600, "exactly one"),
        (b'{"jsonrpc": "2.0", "id": true, "method": "ping"}', None, -32600, "`id`"),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []}', 1, -32600, "`params`"),
        (b'{"jsonrpc": "2.0", "id": 1}', None, -32600, "`method`"),
    ],
)
def test_a_body_that_two_parsers_could_read_differently_is_refused(
    gateway: Shop, port: int, body: bytes, id: int | None, code: int, says: str
) -> None:
    """I-5, T-4: 400 and a JSON-RPC error that names the rule, and the request if it has one; nothing reaches a tool."""
    status, _, answer = exchange(port, request(body, mcp_method="", mcp_name=""))
    assert (status, answer["id"], answer["error"]["code"]) == (400, id, code)
    assert says in answer["error"]["message"]
    assert gateway.calls == []


def test_a_body_above_one_mebibyte_is_refused(gateway: Shop, port: int) -> None:
    """T-4: by its declared length, before it is read, and by its real one when none is declared."""
    status, _, _ = exchange(port, request(b"", content_length="1048577"))
    assert status == 413
    chunk = b"100001\r\n" + b" " * 0x100001 + b"\r\n0\r\n\r\n"
    head = request(b"", content_length="", transfer_encoding="chunked")
    status, _, _ = exchange(port, head + chunk)
    assert status == 413
    assert gateway.calls == []


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer wrong", "Bearer ", "Basic token-of-the-bot", "Bearer " + "x" * 5_000, "token-of-the-bot"],
)
def test_a_credential_that_is_missing_or_wrong_gets_one_challenge(gateway: Shop, port: int, authorization: str) -> None:
    """A-1: 401 with `WWW-Authenticate: Bearer` and a body that an MCP client can show."""
    status, headers, answer = exchange(port, request(call_body(), authorization=authorization))
    assert status == 401
    assert headers["www-authenticate"].startswith("bearer")
    assert answer["error"]["code"] == -31_401
    assert gateway.calls == []


def test_failed_authentications_are_limited_before_any_key_is_checked(gateway: Shop) -> None:
    """R-3: per address and only failures count; then even a good key has to wait, and is told how long."""
    with served(gateway, failures=2) as port:
        for _ in range(5):
            assert exchange(port, request(call_body()))[0] == 200
        assert [exchange(port, request(b"", authorization="Bearer wrong"))[0] for _ in range(3)] == [401, 401, 429]
        status, headers, _ = exchange(port, request(call_body()))
    assert status == 429
    assert 0 < int(headers["retry-after"]) <= 60


def test_the_failure_limit_refills_evenly_and_forgets_the_longest_unseen() -> None:
    """R-3: two per minute mean one more after thirty seconds; memory stays bounded."""
    now = 0.0
    limit = FailureLimit(2, 60.0, lambda: now)
    limit.record("a")
    assert limit.wait("a") == 0
    limit.record("a")
    assert limit.wait("a") == 30
    now = 30.0
    assert limit.wait("a") == 0
    limit.record("a")
    for number in range(4_096):
        limit.record(str(number))
    assert limit.wait("a") == 0


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:80"}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_a_foreign_host_or_origin_is_refused_before_the_credential(
    port: int, headers: dict[str, str], expected: int
) -> None:
    """A-6: DNS rebinding ends here, whatever key comes along."""
    assert exchange(port, request(call_body(), **headers))[0] == expected


def test_one_host_header_is_needed_and_a_star_allows_any_port_only() -> None:
    """A-6: no Host header, or a name that merely starts alike, does not match."""
    assert host_matches("localhost:80", ["localhost:*"])
    assert host_matches("gate.example", ["gate.example"])
    for value in (None, "", "localhost", "localhost:evil", "localhost:80.evil", "localhost:80:80"):
        assert not host_matches(value, ["localhost:*"])


def test_the_name_in_the_header_must_be_the_name_in_the_body(gateway: Shop, port: int) -> None:
    """S38, A-6: 400 and -32020 in either era; the tool in the body is not called."""
    for era in (MODERN, "2025-06-18"):
        body = call_body(era=era)
        status, _, answer = exchange(port, request(body, era=era, name="shop_lookup"))
        assert (status, answer["error"]["code"]) == (400, -32020)
        status, _, answer = exchange(port, request(body, era=era, mcp_method="tools/list"))
        assert (status, answer["error"]["code"]) == (400, -32020)
    assert gateway.calls == []


@pytest.mark.parametrize("era", [MODERN, "2025-06-18"])
@pytest.mark.parametrize(
    "header", [b"mcp-name: shop_lookup", b"mcp-method: tools/list", b"mcp-protocol-version: 2025-03-26"]
)
def test_a_routing_header_given_twice_is_refused(gateway: Shop, port: int, era: str, header: bytes) -> None:
    """A-6: 400 and -32020 in either era; who routes by one of them must not have read the other."""
    raw = request(call_body(era=era), era=era)
    for twice in (
        raw.replace(b"\r\n\r\n", b"\r\n" + header + b"\r\n\r\n", 1),
        raw.replace(b"host:", header + b"\r\nhost:"),
    ):
        status, _, answer = exchange(port, twice)
        assert (status, answer["id"], answer["error"]["code"]) == (400, 1, -32020)
    assert gateway.calls == []


def test_a_control_header_given_twice_is_refused(gateway: Shop, port: int) -> None:
    """I-3: of two idempotency keys neither may win silently."""
    raw = request(call_body(), idempotency_key="k" * 16).replace(
        b"host:", b"idempotency-key: " + b"j" * 16 + b"\r\nhost:"
    )
    assert exchange(port, raw)[0] == 400
    assert gateway.calls == []


@pytest.mark.parametrize(
    ("method", "path", "expected"), [("GET", "/mcp", 405), ("DELETE", "/mcp", 405), ("POST", "/", 404)]
)
def test_anything_but_a_post_to_the_one_path_is_refused(port: int, method: str, path: str, expected: int) -> None:
    """Without sessions there is no stream to GET and nothing to DELETE."""
    status, _, answer = exchange(port, request(method=method, path=path))
    assert status == expected
    assert answer["error"]["message"]


@pytest.mark.parametrize("era", [MODERN, "2025-06-18"])
@pytest.mark.parametrize(
    ("headers", "expected", "says"),
    [
        ({"content_type": "text/plain"}, 415, "Content-Type: application/json"),
        ({"content_type": ""}, 415, "Content-Type: application/json"),
        ({"accept": "application/json"}, 406, "text/event-stream"),
        ({"accept": "text/*;q=0.5"}, 406, "application/json"),
        ({"accept": ""}, 406, "application/json"),
    ],
)
def test_a_client_that_takes_or_sends_something_else_is_told_what_to_say(
    gateway: Shop, port: int, era: str, headers: dict[str, str], expected: int, says: str
) -> None:
    """A-6: a JSON-RPC error of the request itself, in either era, and nothing is called."""
    status, _, answer = exchange(port, request(call_body(era=era), era=era, **headers))
    assert (status, answer["id"], answer["error"]["code"]) == (expected, 1, -31_000 - expected)
    assert says in answer["error"]["message"]
    assert gateway.calls == []


def test_a_refused_answer_is_not_answered_by_its_id(port: int) -> None:
    """I-5: its id is of a question of ours, and the client may have a request of the same one under way."""
    answered = request(b'{"jsonrpc": "2.0", "id": 1, "result": {}}', era="2025-06-18", accept="text/html")
    for raw in (answered, answered.replace(b"host:", b"mcp-name: a\r\nmcp-name: b\r\nhost:")):
        status, _, refusal = exchange(port, raw)
        assert (status, refusal["id"]) in {(406, None), (400, None)}


@pytest.mark.parametrize("era", [MODERN, "2025-06-18"])
@pytest.mark.parametrize("encoding", ["gzip", "br", "GZIP", "identity, gzip", "identity\r\ncontent-encoding: gzip"])
def test_a_body_that_is_encoded_is_refused_before_it_is_read(gateway: Shop, port: int, era: str, encoding: str) -> None:
    """RFC 9110, 15.5.16: also where it looks as if it were not, and with what to send in its place."""
    body = call_body(era=era)
    for sent in (gzip.compress(body), body):
        status, headers, answer = exchange(port, request(sent, era=era, content_encoding=encoding))
        assert (status, answer["error"]["code"], headers["accept-encoding"]) == (415, -31_415, "identity")
        assert "without `Content-Encoding`" in answer["error"]["message"]
    assert gateway.calls == []
    assert exchange(port, request(body, era=era, content_encoding="Identity"))[0] == 200


@pytest.mark.parametrize("era", [MODERN, "2025-06-18"])
@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "application/*, text/*",
        "TEXT/event-stream;q=0.1 , application/json",
        "application/json\r\naccept: text/event-stream",
    ],
)
def test_what_a_client_accepts_may_be_said_as_http_has_it(port: int, era: str, accept: str) -> None:
    """Ranges, parameters, capitals and several lines mean what they mean."""
    assert exchange(port, request(call_body(era=era), era=era, accept=accept))[0] == 200


@pytest.mark.parametrize(
    ("body", "spoken"),
    [
        (call_body().replace(MODERN.encode(), b"1999-01-01"), MODERN_PROTOCOL_VERSIONS),
        (call_body(era="2025-06-18"), KNOWN_PROTOCOL_VERSIONS),
    ],
    ids=["in each message", "in a header alone"],
)
def test_a_client_of_another_revision_is_told_those_that_are_spoken(
    gateway: Shop, port: int, body: bytes, spoken: tuple[str, ...]
) -> None:
    """2026-07-28, versioning: -32022 lists what is supported where the client says its own, so that it can go on."""
    status, _, answer = exchange(port, request(body, era="1999-01-01"))
    assert (status, answer["id"], answer["error"]["code"]) == (400, 1, -32022)
    assert answer["error"]["data"] == {"requested": "1999-01-01", "supported": list(spoken)}
    for revision in spoken:
        assert exchange(port, request(call_body(era=revision), era=revision))[0] == 200
    assert len(gateway.calls) == len(spoken)
