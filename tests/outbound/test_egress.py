"""Where a request may go, and what of it may be said: paths, bodies, headers, base addresses (semantics.md C-8)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.connector import Connector
from gateway.errors import StartupError
from gateway.outbound.egress import EgressRefused, base_of, checked_path
from tests.doorway import doorway, failure
from tests.misbehaving import wire

pytestmark = pytest.mark.anyio


PATHS = [
    "",
    "orders",
    "/",
    "//other.host/x",
    "/orders/",
    "/orders//1",
    "/orders/./1",
    "/orders/../admin",
    "/..",
    "/orders/..;v=1/admin",
    "/orders/;v=1",
    "/orders/%2e%2e/admin",
    "/orders/.%2E/admin",
    "/orders%2fadmin",
    "/orders%5cadmin",
    "/orders%00",
    "/orders%0d%0ax",
    "/orders%252e",
    "/orders%zz",
    "/orders%2",
    "/orders?all=1",
    "/orders#x",
    "/orders\\admin",
    "/orders\r\nHost: other",
    "/orders 1",
    "/ordérs",
    "http://other.host/x",
    "/@other.host:1/../x",
    "/a" * 4_001,
]


@pytest.mark.parametrize("path", PATHS)
async def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    """C-8: agents supply path parameters only, and none of them can change the path's structure."""
    async with wire() as upstream, doorway(upstream.port) as at:
        error = await failure(at.write().delete(path))
        assert (error.code, error.effect, error.sent) == ("egress_blocked", "none", False)
        assert (upstream.connections, at.vault.reads) == (0, 0)


@pytest.mark.parametrize("path", ["/a", "/a/b.c", "/a..b", "/...", "/v1:run", "/a%C3%A9", "/~u/$x,y=z&w+v*"])
def test_an_ordinary_path_passes_unchanged(path: str) -> None:
    """C-8: the rule costs no legitimate path."""
    assert checked_path(path) == path


@given(
    st.lists(st.sampled_from(["/", ".", ";", "a", "%2F", "%2e", "%5c", "%25", "%7F", "%C3", "%", "é", " ", "\n"])).map(
        "".join
    )
)
def test_a_path_passes_when_each_of_its_segments_does(path: str) -> None:
    """C-8: none is empty, or dots, or holds what is not allowed in one; read segment by segment."""
    first, *segments = path.split("/")
    good = all(
        re.fullmatch(r"(?:[a.;]|%2F|%2e|%5c|%25|%7F|%C3)+", segment)
        and segment.split(";")[0] not in ("", ".", "..")
        and not re.search("%(2F|2e|5c|25|7F)", segment)
        for segment in segments
    )
    try:
        passed = checked_path(path) == path
    except EgressRefused:
        passed = False
    assert passed == (first == "" and bool(segments) and good)


@pytest.mark.parametrize("body", [float("nan"), float("inf"), {1, 2}, b"x", "\ud800", {"a": object()}])
async def test_a_body_that_is_not_plain_json_is_not_sent(body: object) -> None:
    """I-5: what another parser might read differently does not leave."""
    async with wire() as upstream, doorway(upstream.port) as at:
        assert (await failure(at.write().post("/orders", body))).code == "egress_blocked"
        assert upstream.connections == 0


@pytest.mark.parametrize("value", [1.5, None, b"x", ["a"], "\ud800"])
async def test_a_query_that_cannot_be_spelled_is_not_sent(value: Any) -> None:
    """C-8: what a connector did not mean to say, like `None`, does not leave as a text."""
    async with wire() as upstream, doorway(upstream.port) as at:
        assert (await failure(at.read().get("/orders", {"which": value}))).code == "egress_blocked"
        assert upstream.connections == 0


@pytest.mark.parametrize("etag", ["", '"1"\r\nX-Admin: 1', "é", "a" * 300, " x"])
async def test_an_etag_cannot_smuggle_a_header(etag: str) -> None:
    """C-8: a header's value is one line of printable ASCII."""
    async with wire() as upstream, doorway(upstream.port) as at:
        assert (await failure(at.write().put("/orders/1", {}, if_match=etag))).code == "egress_blocked"
        assert upstream.connections == 0


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "https://",
        "https:///x",
        "http://api.example",
        "ftp://api.example",
        "https://user:pass@api.example",
        "https://api.example?x=1",
        "https://api.example/#x",
        "https://api.example:x",
        "https://api.exa mple",
        "https://api.example/v1/../v2",
        "https://127.0.0.1",
        "https://10.0.0.1",
        "https://169.254.169.254",
        "https://[::1]",
        "https://[::ffff:127.0.0.1]",
        "https://2130706433",
        "https://127.1",
        "https://0177.0.0.1",
        "https://[::zz]",
    ],
)
def test_a_base_url_that_cannot_be_trusted_stops_the_start(base_url: str) -> None:
    """C-8: https, a host, no user info, no query, no private address."""
    with pytest.raises(StartupError):
        base_of(Connector("shop", base_url=base_url))


@pytest.mark.parametrize(
    "named",
    [
        {"auth": "Host"},
        {"auth": "X Key"},
        {"idempotency_header": "Content-Length"},
        {"idempotency_header": "authorization"},
        {"headers": {"Content-Type": "text/plain"}},
        {"headers": {"AUTHORIZATION": "Bearer x"}},
        {"headers": {"X-Api-Key": "x"}, "auth": "x-api-key"},
        {"headers": {"Request-Id": "x"}, "idempotency_header": "request-id"},
        {"headers": {"X-Tenant": "a", "x-tenant": "b"}},
        {"headers": {"Authorization": "Bearer x"}, "auth": "X-Api-Key"},
        {"headers": {"X-HTTP-Method-Override": "DELETE"}},
    ],
)
def test_a_header_that_frames_the_request_cannot_be_named(named: dict[str, Any]) -> None:
    """C-5: a credential never goes where it would change what the request says."""
    with pytest.raises(StartupError, match="cannot set"):
        base_of(Connector("shop", base_url="https://api.example", **named))


@pytest.mark.parametrize("value", ["", "a\r\nX-Admin: 1", " a", "é", "a" * 257, 7])
def test_a_header_of_the_connectors_own_is_one_line_of_ascii(value: Any) -> None:
    """C-8: found at start-up, and not with the first call."""
    with pytest.raises(StartupError, match="header 'X-Tenant'"):
        base_of(Connector("shop", base_url="https://api.example", headers={"X-Tenant": value}))


@pytest.mark.parametrize("auth", ["Basic", "BEARER"])
def test_a_scheme_in_capitals_is_no_header_of_that_name(auth: str) -> None:
    """The credential would go out as it is, in a header that nobody reads."""
    with pytest.raises(StartupError, match=f"auth='{auth}'.*Write it '{auth.lower()}'"):
        base_of(Connector("shop", base_url="https://api.example", auth=auth))


def test_a_base_url_loses_its_last_slash() -> None:
    """Paths start with one."""
    assert base_of(Connector("shop", base_url="https://api.example/v1/")) == "https://api.example/v1"


def test_a_refusal_repeats_no_argument() -> None:
    """C-6: a path may hold a customer's data; what refuses it does not say it again."""
    with pytest.raises(EgressRefused) as caught:
        checked_path("/customers/jane doe")
    assert "jane" not in str(caught.value)
