"""The credential on its way into a request, and what of it may come back in the answer (semantics.md C-5, C-6)."""

from __future__ import annotations

from gateway.authorization import BASIC, header_of, presented, require_presentable
from gateway.outbound.template import Template
from gateway.redact import Redactor
from vault.secret import Secret


def learn(redactor: Redactor, auth: str, reference: str | None, secret: Secret) -> None:
    """Have the credential taken out of whatever comes back; of `user:password` the half that is secret by itself, too.

    That is the password, or the user where the password is under four characters: so some APIs take a key.

    Raises:
        CredentialUnavailable: it is not what `auth` says.
    """
    require_presentable(auth, reference, secret)
    if auth == BASIC and not redactor.learn(Secret(secret.expose().partition(":")[2])):
        redactor.learn(Secret(secret.expose().partition(":")[0]))
    redactor.learn(secret)


def signed(template: Template, auth: str, secret: Secret | None) -> list[tuple[str, str]]:
    """The headers with the credential among them, made for one attempt and kept by nobody."""
    headers = list(template.headers)
    if secret is not None:
        headers.append((header_of(auth), presented(auth, secret.expose())))
    return headers
