"""Where a host's name may lead (semantics.md C-8, S30)."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.connector import Connector
from gateway.outbound.egress import address_refusal, base_of
from gateway.outbound.engine import AiohttpEngine
from gateway.outbound.lane import EngineFor
from gateway.outbound.resolver import AddressRefused
from tests.doorway import doorway, failure, sent, soon
from tests.misbehaving import wire

pytestmark = pytest.mark.anyio

PRIVATE = [
    "127.0.0.1",
    "127.9.9.9",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "::1",
    "fc00::1",
    "fd12:3456::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "2002:7f00:1::",
    "2002:c0a8:101::",
    "64:ff9b::127.0.0.1",
    "64:ff9b:1::10.0.0.1",
]
NEVER = [
    "169.254.169.254",
    "169.254.170.2",
    "::ffff:169.254.169.254",
    "64:ff9b::169.254.169.254",
    "2002:a9fe:a9fe::",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "fd20:ce::254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "0.0.0.0",
    "::",
    "::ffff:0.0.0.0",
    "224.0.0.1",
    "::ffff:224.0.0.1",
    "ff02::1",
    "255.255.255.255",
    "240.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "2001:db8::1",
    "2001::1",
    "3fff::1",
    "fec0::1",
    "100::1",
    "not an address",
    "127.1",
    "0x7f.0.0.1",
    "2130706433",
]


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize("internal", [False, True])
def test_no_connector_reaches_metadata_or_special_addresses(address: str, internal: bool) -> None:
    """C-8, S30: `internal` never opens link-local, metadata, multicast or reserved addresses."""
    assert address_refusal(address, internal=internal)


@pytest.mark.parametrize("address", PRIVATE)
def test_only_an_internal_connector_reaches_a_private_address(address: str) -> None:
    """C-8, S30: however it is wrapped."""
    assert address_refusal(address, internal=False)
    assert address_refusal(address, internal=True) is None


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"])
@pytest.mark.parametrize("internal", [False, True])
def test_a_public_address_is_reached(address: str, internal: bool) -> None:
    """C-8: the rule costs no public host, and `internal` does not close them."""
    assert address_refusal(address, internal=internal) is None


def resolving(*answers: list[str], tls: ssl.SSLContext | None = None) -> tuple[EngineFor, list[str]]:
    """An engine whose resolver gives these answers in turn, and the names it was asked for."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    def engine(connector: Connector) -> AiohttpEngine:
        return AiohttpEngine(base_of(connector), internal=connector.internal, resolve=resolve, tls=tls)

    return engine, asked


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["169.254.169.254"], ["::ffff:127.0.0.1"], ["::1"], ["8.8.8.8", "127.0.0.1"], ["fe80::1%2"]],
)
async def test_a_name_that_leads_inside_is_blocked(addresses: list[str]) -> None:
    """S30: also when only one of its addresses does; nothing is sent, and it is not tried again."""
    async with wire() as upstream:
        engine, asked = resolving(addresses)
        async with doorway(0, base_url=f"https://api.example:{upstream.port}", internal=False, engine=engine) as at:
            error = await failure(at.write().post("/orders"))
        assert (error.code, error.effect, error.sent) == ("egress_blocked", "none", False)
        assert (asked, upstream.connections) == (["api.example"], 0)
        assert not any(address in error.message for address in addresses)


async def test_localhost_is_blocked_by_the_system_resolver_as_well() -> None:
    """S30: the hook stands behind whatever the system answers."""
    async with (
        wire() as upstream,
        doorway(0, base_url=f"https://localhost:{upstream.port}", internal=False) as at,
    ):
        assert (await failure(at.write().post("/orders"))).code == "egress_blocked"
        assert upstream.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "2130706433", "127.1"])
async def test_an_address_in_the_url_is_checked_too(host: str) -> None:
    """C-8: addresses do not pass by the resolver."""
    async with wire() as upstream:
        engine = AiohttpEngine(f"http://{host}:{upstream.port}")
        with pytest.raises(AddressRefused):
            await sent(engine, "GET", "/", [], b"", deadline=soon())
        assert upstream.connections == 0
        await engine.aclose()


@pytest.mark.parametrize("host", ["0x7f000001", "0x7f.1"])
async def test_an_address_in_disguise_is_never_connected_to(host: str) -> None:
    """C-8: spellings that only a C library understands."""
    async with wire() as upstream:
        engine = AiohttpEngine(f"http://{host}:{upstream.port}")
        with pytest.raises((httpx.ConnectError, httpx.ConnectTimeout)):
            await sent(engine, "GET", "/", [], b"", deadline=soon())
        assert upstream.connections == 0
        await engine.aclose()


async def test_an_internal_connector_is_still_kept_from_metadata() -> None:
    """S30: a private name that points at the metadata service."""
    engine, _ = resolving(["169.254.169.254"])
    async with doorway(0, base_url="http://billing.internal", engine=engine) as at:
        assert (await failure(at.read().get("/latest/meta-data"))).code == "egress_blocked"


async def test_a_name_that_changes_its_mind_is_followed_only_to_what_was_checked() -> None:
    """C-8, DNS rebinding: resolved once per connection, and connected to that answer."""
    async with wire() as upstream:
        engine, asked = resolving(["127.0.0.1"], ["169.254.169.254"])
        async with doorway(0, base_url=f"http://billing.internal:{upstream.port}", engine=engine) as at:
            await at.read().get("/orders")
        assert asked == ["billing.internal"]
        assert upstream.arrivals[0].headers["host"] == f"billing.internal:{upstream.port}"


Certified = Callable[[str], tuple[ssl.SSLContext, ssl.SSLContext]]


@pytest.fixture
def certified(tmp_path: Path) -> Certified:
    """TLS contexts of a server with a certificate for this name, and of a client that trusts it."""

    def make(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        chain = tmp_path / "chain.pem"
        chain.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(chain)
        return server, ssl.create_default_context(cafile=str(chain))

    return make


async def tls_write(certified: Certified, name: str, seen: list[str | None]) -> None:
    """Write once to https://billing.internal at a server that is certified as `name`."""
    server, client = certified(name)
    server.sni_callback = lambda _socket, asked, _context: seen.append(asked)
    async with wire(tls=server) as upstream:
        engine, _ = resolving(["127.0.0.1"], tls=client)
        async with doorway(0, base_url=f"https://billing.internal:{upstream.port}", engine=engine) as at:
            if name == "billing.internal":
                await at.write().post("/orders")
                assert upstream.arrivals[0].headers["host"] == f"billing.internal:{upstream.port}"
            else:
                error = await failure(at.write(seconds=1.0).post("/orders"))
                assert (error.code, error.effect, error.sent) == ("upstream_unreachable", "none", False)
                assert upstream.arrivals == []


async def test_the_original_name_is_what_tls_checks(certified: Certified) -> None:
    """C-8: connected to the checked address, with the host's own name for SNI, certificate and Host."""
    seen: list[str | None] = []
    await tls_write(certified, "billing.internal", seen)
    assert seen == ["billing.internal"]


async def test_a_certificate_for_another_name_gets_nothing(certified: Certified) -> None:
    """C-8: a handshake that fails is not sent; the credential stays here."""
    await tls_write(certified, "evil.internal", [])
