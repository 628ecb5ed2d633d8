"""Where the gateway may go: base URLs, paths and addresses (semantics.md C-8). Pure rules; nothing here connects."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, TypeAlias
from urllib.parse import quote, unquote, urlencode, urlsplit

from gateway.authorization import BASIC, BEARER, HEADER, header_of
from gateway.connector import Connector
from gateway.errors import StartupError
from gateway.tool import Fields

Address: TypeAlias = IPv4Address | IPv6Address

_INSIDE: Final = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "::1/128",
        "fc00::/7",
    )
)
_METADATA: Final = tuple(
    ip_network(text)
    for text in (
        "169.254.0.0/16",  # the link-local endpoint of every large cloud, and of container task roles
        "100.100.100.200/32",  # Alibaba Cloud
        "168.63.129.16/32",  # Azure; a global address that only answers from inside
        "192.0.0.192/32",  # Oracle Cloud
        "fd00:ec2::/32",  # AWS
        "fd20:ce::254/128",  # Google Cloud
    )
)
_GLOBAL_UNICAST: Final = ip_network("2000::/3")
_DOCUMENTATION: Final = ip_network("3fff::/20")
_NAT64: Final = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
_IPV4_COMPATIBLE: Final = ip_network("::/96")

_PATH: Final = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@/-]*(?:%[0-9A-Fa-f]{2}[A-Za-z0-9._~!$&'()*+,;=:@/-]*)*")
"""Runs of plain characters between percent codes, so written that there is one way to match and no going back."""
_NOWHERE: Final = re.compile(r"/\.{0,2}(?:[/;]|\Z)")
"""A segment that names nothing of its own; `..;v=1` is `..` to servers that know path parameters."""
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9a-f:.]{2,45}")
_RESERVED_HEADERS: Final = frozenset(
    {"accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "cookie"}
    | {"expect", "host", "if-match", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "user-agent"}
    # These make another verb of a GET, and so a write of what may only read (semantics.md D-3).
    | {"x-http-method", "x-http-method-override", "x-method-override"}
)


class EgressRefused(ValueError):
    """A request that must not leave. `str()` is one sentence and holds no argument."""


@lru_cache(maxsize=1024)
def address_refusal(text: str, *, internal: bool) -> str | None:
    """Why the gateway does not connect to this address, as the end of a sentence; None when it may.

    Args:
        text: an address as the resolver or a URL spells it, with or without a zone.
        internal: whether private and loopback addresses are meant. Never opens link-local or metadata addresses.
    """
    try:
        address = _innermost(ip_address(text))
    except ValueError:
        return "is not an IP address"
    if any(address in network for network in _METADATA) or address.is_link_local:
        return "is a link-local or metadata address"
    if address.is_multicast or address.is_unspecified:
        return "is not the address of one host"
    if any(address in network for network in _INSIDE):
        return None if internal else "is a private or loopback address"
    if not address.is_global:
        return "is not a public address"
    if isinstance(address, IPv6Address) and (address not in _GLOBAL_UNICAST or address in _DOCUMENTATION):
        return "is not a public address"
    return None


def _innermost(address: Address) -> Address:
    """The address that a packet would reach in the end, when this one only wraps it."""
    if isinstance(address, IPv4Address):
        return address
    embedded = address.ipv4_mapped or address.sixtofour
    if embedded is None and any(address in network for network in _NAT64):
        embedded = IPv4Address(int(address) & 0xFFFFFFFF)
    if embedded is None and address in _IPV4_COMPATIBLE and int(address) > 1:
        embedded = IPv4Address(int(address))
    return embedded or address


def base_of(connector: Connector) -> str:
    """The base URL of `connector`, without a slash at its end, once it and the header names are checked.

    For start-up, so that a mistake is found there, and for the door.

    Raises:
        StartupError: the URL has no host, user info, a query or a fragment, an address that is refused, or is
            plain http without `internal`; or a header is named that the gateway sets itself.
    """
    problem = "is not `https://host[:port][/prefix]`"
    try:
        parts = urlsplit(connector.base_url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise _bad_base(connector, problem, "Correct it.") from None
    if not _HOST.fullmatch(host) or "@" in parts.netloc or parts.query or parts.fragment:
        raise _bad_base(connector, problem, "Correct it; credentials go to the vault.")
    if parts.scheme not in ("https", "http") or (parts.scheme == "http" and not connector.internal):
        raise _bad_base(connector, "is not https", "Use https, or set internal=True for a host of your own network.")
    literal = host if ":" in host or host.replace(".", "").isdigit() else None
    if literal and (reason := address_refusal(literal, internal=connector.internal)):
        raise _bad_base(connector, f"names {literal}, which {reason}", "Name the host, or set internal=True.")
    prefix = parts.path.rstrip("/")
    if prefix:
        try:
            checked_path(prefix)
        except EgressRefused as refused:
            raise _bad_base(connector, f"has a prefix that is refused: {refused}", "Correct it.") from None
    check_headers(connector)
    return f"{parts.scheme}://{parts.netloc}{prefix}"


def check_headers(connector: Connector) -> None:
    """Each is named once, and is none that the gateway sets itself.

    Raises:
        StartupError: one is not, or has a value that is not one line; or `auth` is a scheme in capitals.
    """
    scheme = connector.auth.lower()
    if scheme in (BEARER, BASIC) and connector.auth != scheme:
        # Taken at its word, it would be the name of a header.
        raise StartupError(f"Connector {connector.name} has auth={connector.auth!r}.", remedy=f"Write it {scheme!r}.")
    key = () if connector.idempotency_header is None else (connector.idempotency_header,)
    taken = set(_RESERVED_HEADERS)
    for header in (header_of(connector.auth), *key, *connector.headers):
        if not _HEADER_NAME.fullmatch(header) or header.lower() in taken:
            raise StartupError(
                f"Connector {connector.name} names the header {header!r}, which it cannot set.",
                remedy="Leave it out: it is no name of one, it is named already, or the gateway sets it.",
            )
        # A credential is named, and its value is in the vault: neither code nor a key is one.
        taken |= {header.lower(), HEADER.lower()}
    for header, value in connector.headers.items():
        try:
            checked_header(value)
        except EgressRefused as refused:
            raise StartupError(f"Connector {connector.name}, header {header!r}: {refused}") from None


def _bad_base(connector: Connector, problem: str, remedy: str) -> StartupError:
    return StartupError(f"The base_url of connector {connector.name} {problem}.", remedy=remedy)


def checked_path(path: str) -> str:
    """`path` itself, when no reading of it can lead outside of what the connector wrote.

    Raises:
        EgressRefused: it does not start with a slash, has an empty, `.` or `..` segment (also one that is hidden
            by a percent code or by a path parameter), or a character that RFC 3986 does not allow in a path.
    """
    if not path.startswith("/"):
        raise EgressRefused("A path starts with a slash.")
    if not _PATH.fullmatch(path):
        raise EgressRefused("A path holds a character that is not allowed in one.")
    if _NOWHERE.search(path):
        raise EgressRefused("A path has no empty, `.` or `..` segment.")
    if "%" in path:
        _check_codes(path)
    return path


def _check_codes(path: str) -> None:
    """Percent codes spell data, never structure: not a slash, a dot, a control character, or another code."""
    for code in re.findall(r"%..", path):
        byte = unquote(code, encoding="latin-1")
        if byte in "/\\.%" or byte < " " or byte == "\x7f":
            raise EgressRefused("A path hides structure behind a percent code.")


def encoded(fields: Fields) -> str:
    """Fields as they stand after the question mark of a URL, or in a form; booleans as `true` and `false`.

    Raises:
        EgressRefused: a value that is not text, an integer or a boolean.
    """
    spelled = {name: _spelled(value) for name, value in fields.items()}
    try:
        return urlencode(spelled, quote_via=quote, safe="")
    except UnicodeEncodeError:
        raise EgressRefused("A value of a query or a form holds half of a surrogate pair.") from None


def _spelled(value: object) -> str:
    """As JSON has it: an enum of texts is its value, where `str` gives its name."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return str.__str__(value)
        case int():
            return int.__repr__(value)
    raise EgressRefused("A value of a query or a form is text, an integer or a boolean.")


def checked_header(value: str) -> str:
    """`value` itself, when it can be sent as one header.

    Raises:
        EgressRefused: it is no text, empty, longer than 256 characters, or not printable ASCII.
    """
    one_line = isinstance(value, str) and value.isascii() and value.isprintable() and value.strip() == value
    if not (one_line and 0 < len(value) <= 256):
        raise EgressRefused("A header value is 1 to 256 printable ASCII characters.")
    return value
