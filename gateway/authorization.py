"""How a credential is presented to its system of record: as `bearer`, as `basic`, or in a header of its own."""

from __future__ import annotations

from base64 import b64encode
from typing import Final, Protocol

from gateway.errors import CredentialUnavailable

BEARER: Final = "bearer"
BASIC: Final = "basic"
"""The credential is `user:password` (RFC 7617)."""
HEADER: Final = "Authorization"
"""Carries those two; any other `auth` names a header, whose whole value is the credential."""


class Presentable(Protocol):
    """What of a secret can be asked without seeing it."""

    def is_a_login(self) -> bool:
        """Whether it is `user:password`."""
        ...


def require_presentable(auth: str, reference: str | None, secret: Presentable) -> None:
    """Raises CredentialUnavailable: what the vault holds under `reference` is not what `auth` presents."""
    if auth == BASIC and not secret.is_a_login():
        raise CredentialUnavailable(f'The value of {reference} is not `user:password`, as `auth="basic"` wants it.')


def header_of(auth: str) -> str:
    """The name of the header that carries the credential."""
    return HEADER if auth in (BEARER, BASIC) else auth


def presented(auth: str, value: str) -> str:
    """What stands in that header, for a credential of this value."""
    if auth == BEARER:
        return f"Bearer {value}"
    return f"Basic {b64encode(value.encode()).decode()}" if auth == BASIC else value
