"""What the tests of the vault room share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gateway.model import Mode
from gateway.permit import Permit
from tests.services import OpenBao
from vault.hashicorp import AppRoleAuth, HashicorpVault, TokenAuth
from vault.reference import Reference
from vault.secret import Secret

CANARY = "canary-4f1d2c-do-not-show"
"""A credential that no text but a request may ever hold."""


def at(path: str, field: str = "token") -> Reference:
    """A reference below the folder that the tests' roles may read."""
    return Reference("kv", f"billing/{path}", field)


@asynccontextmanager
async def opened(server: OpenBao, auth: TokenAuth | AppRoleAuth, **settings: Any) -> AsyncIterator[HashicorpVault]:
    """A backend that is closed again."""
    vault = HashicorpVault(server.address, auth, **settings)
    try:
        yield vault
    finally:
        await vault.close()


def approle(server: OpenBao, name: str, **settings: Any) -> AppRoleAuth:
    """Auth as a fresh AppRole."""
    return AppRoleAuth(server.role(name, **settings), Secret(server.secret_id(name)))


@pytest.fixture(scope="session")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """An OpenBao for tests that leave it running and unsealed."""
    server = OpenBao(tmp_path_factory.mktemp("openbao"))
    yield server
    server.kill()


@pytest.fixture
def own_openbao(tmp_path: Path) -> Iterator[OpenBao]:
    """An OpenBao for one test, which may seal or kill it."""
    server = OpenBao(tmp_path)
    yield server
    server.kill()


@pytest.fixture
def https_openbao(tmp_path: Path, authority: tuple[Path, Path]) -> Iterator[OpenBao]:
    """An OpenBao that serves https with the certificate of `authority`."""
    server = OpenBao(tmp_path, certificate=authority[0], key=authority[1])
    yield server
    server.kill()


@pytest.fixture
def permit() -> Callable[[str | None], Permit]:
    """Mints permits for a credential, as the transaction that writes the intent line does."""

    def mint(credential: str | None) -> Permit:
        return Permit(
            action_id="act_" + "0" * 32,
            tool="billing_refund",
            mode=Mode.RUN,
            credential=credential,
            upstream_key="key",
            fence=1,
            intent="hash",
        ).minted()

    return mint


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key, as PEM files."""
    folder = tmp_path_factory.mktemp("authority")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test vault")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths
