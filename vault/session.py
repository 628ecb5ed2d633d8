"""Being signed in to a Vault server, and staying so (semantics.md C-1). Imports no hvac: it is handed its clients."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from vault.secret import Secret
from vault.trouble import Trouble, found, seconds, text

log = logging.getLogger("holdgate.vault")
_LAST_ATTEMPT = 1.0
"""Seconds before a session's end from which it is not renewed any more, but replaced at the next read."""


@dataclass(frozen=True, slots=True)
class TokenAuth:
    """A token somebody made by hand. For development only (semantics.md C-1)."""

    token: Secret


@dataclass(frozen=True, slots=True)
class AppRoleAuth:
    """An AppRole (semantics.md C-1).

    With `wrapped`, `secret_id` is the wrapping token of a secret_id. It is opened once, after its creation path was
    found to be this AppRole's, so that a forged or already opened one is noticed.
    """

    role_id: str
    secret_id: Secret
    wrapped: bool = False
    role: str | None = None
    """The role's name, when the wrapping token must have been made for it and for no other role."""
    mount: str = "approle"


class Line(Protocol):
    """The way to the server."""

    def client(self, token: Secret | None) -> Any:
        """An `hvac.Client` that shows `token`, or none."""
        ...

    async def ask(self, call: Callable[[], Any], *, refused: Trouble | None = None) -> dict[str, Any]:
        """Make one hvac call off the event loop.

        Args:
            refused: raised in place of the plain words when the vault refuses.

        Raises:
            Trouble: whatever kept an answer from coming.
        """
        ...


@dataclass(frozen=True, slots=True)
class Session:
    """One token of the vault's, and the client that shows it."""

    client: Any
    accessor: str | None
    """The token's name in the vault's audit log."""
    renewable: bool
    granted: int
    """Seconds it was given at sign-in; 0: it does not end."""
    ends: float
    """By the monotonic clock."""


class SignedIn:
    """Keeps one session alive: signs in when it is first needed, renews it, and replaces it when it is spent."""

    def __init__(self, line: Line, auth: TokenAuth | AppRoleAuth) -> None:
        self._line = line
        self._auth = auth
        self._unwrapped: Secret | None = None
        self._session: Session | None = None
        self._signing: asyncio.Task[Session] | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def session(self, *, instead_of: Session | None = None) -> Session:
        """A session that has not ended, and is not `instead_of`.

        Raises:
            Trouble: the vault cannot be asked, or does not let us in.
        """
        session = self._session
        if session is not None and session is not instead_of and time.monotonic() < session.ends:
            return session
        if self._signing is None or self._signing.done():
            self._signing = asyncio.create_task(self._sign_in(), name="vault sign-in")
        # Shielded: a caller that gives up in between would lose a secret_id that can be unwrapped only once.
        return await asyncio.shield(self._signing)

    async def holds(self, session: Session) -> bool:
        """Whether the vault still accepts the session: a refusal was then about what was asked, not who asked.

        Raises:
            Trouble: the vault cannot be asked.
        """
        try:
            await self._line.ask(session.client.auth.token.lookup_self)
        except Trouble as trouble:
            if not trouble.refused:
                raise
            return False
        return True

    async def close(self) -> None:
        """Stop renewing. The vault's session runs out by itself."""
        tasks = [task for task in (self._keeper, self._signing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _sign_in(self) -> Session:
        began = time.monotonic()
        if isinstance(self._auth, TokenAuth):
            client = self._line.client(self._auth.token)
            answer = await self._line.ask(
                client.auth.token.lookup_self,
                refused=Trouble("it does not accept the gateway's token", "Give the gateway a new one."),
            )
            about, granted = found(answer, "data"), seconds(answer, "data", "ttl")
        else:
            answer = await self._log_in(self._auth)
            about, granted = found(answer, "auth"), seconds(answer, "auth", "lease_duration")
            client = self._line.client(Secret(text(about, "client_token")))
        ends = began + granted if granted else float("inf")
        session = Session(client, found(about, "accessor"), bool(found(about, "renewable")), granted, ends)
        if self._keeper is not None:
            self._keeper.cancel()
        self._keeper = asyncio.create_task(self._keep(session), name="vault renewal") if granted else None
        self._session = session
        return session

    async def _log_in(self, role: AppRoleAuth) -> dict[str, Any]:
        secret_id = await self._secret_id(role)
        anonymous = self._line.client(None)
        return await self._line.ask(
            lambda: anonymous.auth.approle.login(
                role.role_id, secret_id.expose(), use_token=False, mount_point=role.mount
            ),
            refused=Trouble("it does not accept the gateway's AppRole", "Issue the gateway a new secret_id."),
        )

    async def _secret_id(self, role: AppRoleAuth) -> Secret:
        if not role.wrapped:
            return role.secret_id
        if self._unwrapped is None:
            self._unwrapped = await self._unwrap(role)
        return self._unwrapped

    async def _unwrap(self, role: AppRoleAuth) -> Secret:
        spent = Trouble(
            "the wrapped secret_id was opened before, or has expired",
            "Issue a new one; if nobody of yours opened it, treat it as stolen and revoke it.",
        )
        anonymous = self._line.client(None)
        looked = await self._line.ask(
            lambda: anonymous.adapter.post("/v1/sys/wrapping/lookup", json={"token": role.secret_id.expose()}),
            refused=spent,
        )
        name = "[^/]+" if role.role is None else re.escape(role.role)
        if not re.fullmatch(
            f"auth/{re.escape(role.mount)}/role/{name}/secret-id", text(looked, "data", "creation_path")
        ):
            raise Trouble(
                "the wrapped secret_id was not made for the gateway's AppRole",
                "Do not use it: somebody may have exchanged it on its way. Issue a new one.",
            )
        opened = await self._line.ask(self._line.client(role.secret_id).sys.unwrap, refused=spent)
        return Secret(text(opened, "data", "secret_id"))

    async def _keep(self, session: Session) -> None:
        """Renew at two thirds of what is left, with jitter, and sign in anew when that gains nothing."""
        while (left := session.ends - time.monotonic()) > _LAST_ATTEMPT:
            await asyncio.sleep(left * 2 / 3 * random.uniform(0.9, 1.0))  # noqa: S311 - spreads load, guards nothing
            try:
                renewed = await self._renewed(session)
                if renewed is None:
                    await self.session(instead_of=session)  # which starts a keeper of its own
                    return
            except Trouble as trouble:
                log.warning("vault_session_not_renewed", extra={"why": trouble.what, "remedy": trouble.remedy})
            else:
                self._session = session = renewed

    async def _renewed(self, session: Session) -> Session | None:
        """The session with a later end; None when it cannot get one worth having."""
        if not session.renewable:
            return None
        began = time.monotonic()
        try:
            answer = await self._line.ask(session.client.auth.token.renew_self)
        except Trouble as trouble:
            if trouble.refused:
                return None
            raise
        granted = seconds(answer, "auth", "lease_duration")
        # Less than at first: its maximal age is near, and each renewal now gives less than the one before.
        return None if granted < session.granted else replace(session, ends=began + granted)
