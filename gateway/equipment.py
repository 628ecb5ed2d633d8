"""What the settings name from outside: the connectors, and the vault with their credentials."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from gateway.connector import Connector
from gateway.errors import StartupError
from gateway.outbound.egress import base_of, check_headers
from gateway.passphrase import passphrase
from gateway.settings import HashicorpVaultSettings, Home, LocalVaultSettings
from gateway.tools.catalogue import Catalogue, load_connectors
from vault.broker import Backend


def load_catalogue(home: Home, connectors: Sequence[Connector] | None = None) -> Catalogue:
    """The connectors that the settings name, or those given, with what the settings say about each.

    Raises:
        StartupError: a connector is missing or broken, or settings speak of one that is not loaded.
    """
    if connectors is None:
        connectors = named_connectors(home)
    known = {connector.name: connector for connector in connectors}
    for name, given in home.settings.connector.items():
        connector = known.get(name)
        if connector is None:
            raise home.document.problem(
                f"There are settings for a connector {name}, and none of that name is loaded.",
                "connector",
                name,
                remedy=f"Loaded are: {', '.join(sorted(known))}.",
            )
        for field, value in given.model_dump(exclude_none=True, exclude={"headers"}).items():
            setattr(connector, field, value)
        connector.headers = {**connector.headers, **given.headers}
    _check_hosts(home, connectors)
    return Catalogue(connectors)


def named_connectors(home: Home) -> list[Connector]:
    """The connectors that the settings name, as their authors wrote them.

    Raises:
        StartupError: none is named, or one is missing or broken.
    """
    if not home.settings.connectors:
        raise home.document.problem(
            "No connector is named, so there would be no tool.",
            "connectors",
            remedy="Name one under `connectors`, e.g. `- connectors.billing`.",
        )
    return load_connectors(home.settings.connectors, home.file.parent)


def require_sound_headers(connectors: Iterable[Connector]) -> None:
    """Tell an author of what would stop the start whatever an installation's settings say.

    Raises:
        StartupError: a connector names a header that it cannot set; see `egress.check_headers`.
    """
    for connector in connectors:
        check_headers(connector)


def _check_hosts(home: Home, connectors: Sequence[Connector]) -> None:
    for connector in connectors:
        if not connector.base_url.startswith("https://") and not connector.internal:
            raise StartupError(
                f"Connector {connector.name} talks plain http to a host that is not internal.",
                file=str(home.file),
                remedy="Use https, or set `internal: true` for it when its host is inside.",
            )
        base_of(connector)


def open_vault(home: Home) -> Backend:
    """The secret store that the settings name.

    Raises:
        StartupError: it is missing, locked or misconfigured.
    """
    settings = home.settings.vault
    if isinstance(settings, LocalVaultSettings):
        from vault.local import LocalVault

        return LocalVault(home.data / settings.file, passphrase(home, settings))
    return _open_hashicorp(home, settings)


def _open_hashicorp(home: Home, settings: HashicorpVaultSettings) -> Backend:
    # hvac and requests take a third of a second to import; who uses the local vault need not wait for them.
    from vault.hashicorp import AppRoleAuth, HashicorpVault, TokenAuth
    from vault.secret import Secret

    def variable(name: str) -> str:
        value = os.environ.get(name)
        if not value:
            raise StartupError(
                f"The vault needs {name}, which is not set.", file=str(home.file), remedy="Set it in the environment."
            )
        return value

    auth: TokenAuth | AppRoleAuth
    if settings.auth == "token":
        auth = TokenAuth(Secret(variable(settings.token_env)))
    else:
        auth = AppRoleAuth(
            role_id=variable(settings.role_id_env),
            secret_id=Secret(variable(settings.secret_id_env)),
            wrapped=settings.secret_id_wrapped,
            mount=settings.approle_mount,
        )
    return HashicorpVault(
        settings.address,
        auth,
        namespace=settings.namespace,
        verify=str(home.path(settings.ca_file)) if settings.ca_file else True,
        timeout=settings.timeout,
        insecure=settings.insecure,
    )
