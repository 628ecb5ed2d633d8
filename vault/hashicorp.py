"""HashiCorp Vault and OpenBao, KV version 2 (semantics.md C-1, C-2). The only module that imports hvac."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import hvac  # type: ignore[import-untyped]  # ships no types; `vault.trouble` checks what its calls return
import requests

from gateway.errors import CredentialUnavailable, StartupError
from vault.broker import Reading
from vault.reference import Reference
from vault.secret import Secret
from vault.session import AppRoleAuth, Session, SignedIn, TokenAuth
from vault.trouble import Trouble, found, seconds, strange

__all__ = ["AppRoleAuth", "HashicorpVault", "TokenAuth"]

_THREADS = 4


class HashicorpVault:
    """A backend on a Vault-compatible server; signs in at the first read and stays signed in by itself.

    Args:
        address: `https://host[:port]`; plain http only to this machine, or with `insecure`.
        auth: how to sign in.
        namespace: sent as `X-Vault-Namespace`.
        verify: True for the public authorities, or the path of a CA bundle. False only with `insecure`.
        timeout: seconds to connect, and to wait for bytes; a whole exchange may take twice as long.
        insecure: allow what an eavesdropper could read.

    Raises:
        StartupError: an address, a token or a combination that cannot be used.
    """

    def __init__(
        self,
        address: str,
        auth: TokenAuth | AppRoleAuth,
        *,
        namespace: str | None = None,
        verify: bool | str = True,
        timeout: float = 5.0,
        insecure: bool = False,
    ) -> None:
        self._address = _checked_address(address, insecure=insecure)
        if not verify and not insecure:
            raise StartupError(
                "The vault's certificate would not be verified.", remedy="Name its CA bundle, or say `insecure`."
            )
        self._how = _checked_auth(auth)
        self._line = _Line(self._address, namespace=namespace, verify=verify, timeout=timeout)
        self._signed_in = SignedIn(self._line, auth)

    async def read(self, reference: Reference) -> Reading:
        """The newest version of one field; see `Backend.read`."""
        try:
            return await self._read(reference)
        except Trouble as trouble:
            sentence = f"The vault gave no value for {reference}: {trouble.what}. {trouble.remedy}"
        raise CredentialUnavailable(sentence)

    async def check(self) -> str:
        """Whether the server answers and accepts the gateway; see `Backend.check`."""
        try:
            session = await self._signed_in.session()
            if not await self._signed_in.holds(session):
                session = await self._signed_in.session(instead_of=session)
        except Trouble as trouble:
            sentence = f"The vault at {self._address} gives no credentials: {trouble.what}. {trouble.remedy}"
        else:
            lasts = f"for {session.granted} s at a time" if session.granted else "without end"
            return f"The vault at {self._address} answers; signed in with {self._how}, {lasts}."
        raise CredentialUnavailable(sentence)

    async def close(self) -> None:
        """Stop renewing, and let go of threads and connections."""
        await self._signed_in.close()
        self._line.close()

    async def _read(self, reference: Reference) -> Reading:
        session = await self._signed_in.session()
        try:
            return await self._read_as(session, reference)
        except Trouble as trouble:
            if not trouble.refused or await self._signed_in.holds(session):
                raise
        return await self._read_as(await self._signed_in.session(instead_of=session), reference)

    async def _read_as(self, session: Session, reference: Reference) -> Reading:
        answer = await self._line.ask(
            lambda: session.client.secrets.kv.v2.read_secret_version(
                reference.path, mount_point=reference.mount, raise_on_deleted_version=True
            )
        )
        version, value = found(answer, "data", "metadata", "version"), found(answer, "data", "data", reference.field)
        if version is None:
            raise Trouble(
                f"{reference.mount!r} is no KV mount of version 2", "Correct the reference, or upgrade the mount."
            )
        if value is None:
            raise Trouble("the secret is there, but not that field", "Store the field, or correct the reference.")
        if not isinstance(value, str):
            raise Trouble("the field holds no text", "Store the credential as a string.")
        return Reading(Secret(value), str(version), seconds(answer, "lease_duration") or None, session.accessor)


class _Line:
    """The calls themselves: a bounded pool of threads, one HTTP session, nothing taken from the environment."""

    def __init__(self, address: str, *, namespace: str | None, verify: bool | str, timeout: float) -> None:
        self._address = address
        self._namespace = namespace
        self._verify = verify
        self._timeout = timeout
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.verify = verify
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="vault")

    def client(self, token: Secret | None) -> Any:
        # Every argument is given, because hvac looks for what is missing in the environment and the home folder.
        return hvac.Client(
            self._address,
            token="" if token is None else token.expose(),
            cert=(),
            verify=self._verify,
            timeout=self._timeout,
            allow_redirects=False,
            session=self._http,
            namespace=self._namespace,
        )

    async def ask(self, call: Callable[[], Any], *, refused: Trouble | None = None) -> dict[str, Any]:
        answer: dict[str, Any] | Trouble
        try:
            async with asyncio.timeout(2 * self._timeout):
                answer = await asyncio.get_running_loop().run_in_executor(self._pool, _attempt, call)
        except TimeoutError:
            answer = _slow()
        if isinstance(answer, Trouble):
            # Raised here and not where it was found: there it would chain to an exception that holds the request.
            raise refused if refused is not None and answer.refused else answer
        return answer

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._http.close()


def _attempt(call: Callable[[], Any]) -> dict[str, Any] | Trouble:
    try:
        answer = call()
    except hvac.exceptions.VaultError as error:
        return _judged(error)
    except requests.exceptions.SSLError:
        return Trouble("its certificate is not trusted", "Name the CA bundle that signed it.")
    except requests.exceptions.Timeout:
        return _slow()
    except requests.exceptions.RequestException:
        return Trouble("it cannot be reached", "See that it runs and that its address is right.")
    return answer if isinstance(answer, dict) else strange()


def _judged(error: hvac.exceptions.VaultError) -> Trouble:
    match error:
        case hvac.exceptions.Forbidden() | hvac.exceptions.Unauthorized():
            remedy = "Let the policy of the gateway's role read that path."
            return Trouble("it denies permission", remedy, refused=True)
        case hvac.exceptions.InvalidRequest():
            return Trouble("it rejects the request", "Correct the reference.", refused=True)
        case hvac.exceptions.InvalidPath():
            remedy = "Store it, or correct the reference; its mount must be KV version 2."
            return Trouble("there is no such secret, or its newest version was deleted", remedy)
        case hvac.exceptions.VaultDown() if any("sealed" in said for said in error.errors or ()):
            return Trouble("it is sealed", "Ask the holders of its keys to unseal it.")
        case hvac.exceptions.VaultDown() | hvac.exceptions.BadGateway():
            return Trouble("it is not ready", "Wait until it has a leader, or see why it has none.")
        case hvac.exceptions.VaultNotInitialized():
            return Trouble("it was never initialised", "Initialise and unseal it.")
        case hvac.exceptions.RateLimitExceeded():
            return Trouble("it limits how often it may be asked", "Raise the quota of the gateway's role.")
    return Trouble("it failed", "Read the vault's own log.")


def _slow() -> Trouble:
    return Trouble("it did not answer in time", "See that it runs and is not overloaded.")


def _checked_address(address: str, *, insecure: bool) -> str:
    remedy = "Give it as `https://host:port`."
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise StartupError("The vault's address is no URL.", remedy=remedy) from None
    if parts.scheme not in ("https", "http") or not host or parts.username is not None or parts.query or parts.fragment:
        raise StartupError("The vault's address is not a plain http(s) URL.", remedy=remedy)
    if parts.path not in ("", "/"):
        raise StartupError("The vault's address has a path.", remedy=remedy)
    if parts.scheme == "http" and not insecure and not _is_this_machine(host):
        raise StartupError(
            f"The vault at {host} would be asked over plain http, where anyone between can read credentials.",
            remedy="Use https; or say `insecure` for a network that you trust.",
        )
    return address.rstrip("/")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _checked_auth(auth: TokenAuth | AppRoleAuth) -> str:
    shown = auth.token if isinstance(auth, TokenAuth) else auth.secret_id
    if not shown.fits_a_header():
        raise StartupError(
            "The vault's token or secret_id is empty, or holds a space, a line break or another stray character.",
            remedy="Give it alone, on one line.",
        )
    return "a fixed token, for development only" if isinstance(auth, TokenAuth) else "an AppRole"
