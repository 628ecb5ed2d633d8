"""`holdgate.yaml`: everything an operator may set, strictly read. Relative paths start at the file's folder.

The sentence under each key is the one in docs/settings.md; a test keeps the page equal to this module.
"""

from __future__ import annotations

import os
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from gateway.documents import load
from gateway.errors import StartupError

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")
_URL: Final = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")


def _is_host(text: str) -> str:
    if not _NAME.fullmatch(text):
        try:
            ip_address(text)
        except ValueError:
            raise PydanticCustomError(
                "host", "Input should be an address or a name alone", {"remedy": "Write the port under `port`."}
            ) from None
    return text


def _is_url(text: str) -> str:
    if not _URL.fullmatch(text):
        raise PydanticCustomError(
            "url", "Input should be a URL", {"remedy": "Write it such as https://tools.example.com."}
        )
    return text


_Host = Annotated[str, AfterValidator(_is_host)]
_Url = Annotated[str, AfterValidator(_is_url)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Listen(_Strict):
    """Where the HTTP server listens."""

    host: _Host = "127.0.0.1"
    """Address to listen on. The gateway speaks no TLS: leave it at loopback behind a proxy that does."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8420
    """TCP port; 0 takes any free one, which `serve` then prints."""
    public_url: _Url | None = None
    """How clients reach it, when not at `http://host:port`; its host is then an allowed one."""
    allowed_hosts: list[str] = []
    """Further Host headers to answer to, e.g. behind a proxy: `tools.example.com` or `tools.example.com:*`."""
    allowed_origins: list[str] = []
    """Origin headers to answer to, for clients in a browser."""
    sessions: bool = False
    """Keep sessions for clients of 2025-11-25 and older: changed lists reach them. Only where one process serves."""


class LocalVaultSettings(_Strict):
    """An encrypted file. The passphrase comes from a variable, or from a file that only its owner can read."""

    kind: Literal["local"] = "local"
    """Credentials are in an encrypted file of this machine."""
    file: str = "vault.enc"
    """The file, in the data folder."""
    passphrase_env: str = "HOLDGATE_VAULT_PASSPHRASE"
    """Name of the environment variable with the passphrase. When it is set, it wins over the file."""
    passphrase_file: str | None = None
    """File with the passphrase, mode 0600; made by `init`. Keep it out of the back-up that holds the vault."""


class HashicorpVaultSettings(_Strict):
    """HashiCorp Vault or OpenBao. Secrets of authentication come from variables, never from this file."""

    kind: Literal["hashicorp"]
    """Credentials are on a server, in KV version 2."""
    address: str
    """`https://host:port`, without a path. Plain http only to this machine, or with `insecure`."""
    namespace: str | None = None
    """Vault Enterprise or OpenBao namespace, sent with every request."""
    auth: Literal["token", "approle"] = "approle"
    """How the gateway signs in: `approle`, or `token` for development."""
    token_env: str = "VAULT_TOKEN"
    """Name of the variable with the token, for `auth: token`."""
    role_id_env: str = "VAULT_ROLE_ID"
    """Name of the variable with the AppRole's role_id."""
    secret_id_env: str = "VAULT_SECRET_ID"
    """Name of the variable with the AppRole's secret_id, or with the token that wraps it."""
    secret_id_wrapped: bool = False
    """The variable holds a wrapping token: it is opened once, at the first sign-in; each start needs a new one."""
    approle_mount: str = "approle"
    """Where AppRole is mounted on the server."""
    ca_file: str | None = None
    """PEM file of the authority that signed the server's certificate; without it the public ones count."""
    timeout: Annotated[float, Field(gt=0, le=60, strict=False)] = 5.0
    """Seconds to connect, and to wait for bytes; a whole exchange may take twice as long."""
    insecure: bool = False
    """Allow plain http to a host that is not this one."""


class ConnectorSettings(_Strict):
    """What this installation sets about one connector."""

    base_url: str | None = None
    """Instead of the connector's own: `https://host[:port][/prefix]`. Agents never choose a host."""
    credential: str | None = None
    """Instead of the connector's own: where the credential is in the vault, e.g. `kv/billing/refunds#token`."""
    headers: dict[str, str] = {}
    """Sent with every request, beside or instead of the connector's own: tenants, versions. No secret."""
    internal: bool | None = None
    """Whether the host may be a private or loopback address and use plain http; else both are refused."""
    calls_per_second: Annotated[float, Field(gt=0, strict=False)] | None = None
    """Pace of outbound calls of one process, kept by waiting. Set it below what the system of record allows."""
    max_concurrent: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Outbound calls of one process at the same time; 64 unless the connector says otherwise."""


class LimitSettings(_Strict):
    """Bounds of the gateway itself; what an agent may do is in its policy."""

    calls_per_minute: Annotated[int, Field(ge=1)] = 600
    """Attempts of one principal per minute, over all tools, refused ones too; counted per process."""
    pending_holds: Annotated[int, Field(ge=1)] = 20
    """Questions of one principal that may wait for humans at once (H-13). Lower it when approvers drown."""
    repeat_window_seconds: Annotated[int, Field(ge=0)] = 600
    """Seconds in which an identical write without a key is answered from the first (I-4); a policy may override it."""
    task_idle_seconds: Annotated[int, Field(ge=1)] = 900
    """Seconds of silence after which a task that nobody named has ended, and its budget with it (I-16)."""
    keep_answers_hours: Annotated[int, Field(ge=24)] = 72
    """Hours for which arguments and answers are kept, sealed, for replays; then their keys are refused (I-13)."""
    drain_seconds: Annotated[int, Field(ge=0)] = 20
    """Seconds that a stopping gateway waits for calls under way; give its supervisor more before it kills."""
    sessions: Annotated[int, Field(ge=1, le=1000)] = 32
    """Sessions that one principal may have open at once, with `listen: sessions`; the next one is refused."""
    session_idle_seconds: Annotated[int, Field(ge=1)] = 1800
    """Seconds without a request or an open stream after which a session has ended."""


class PrometheusSettings(_Strict):
    """Metrics as Prometheus text, on a port of their own. There is no credential on it: keep it inside."""

    host: _Host = "127.0.0.1"
    """Address of the metrics port."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """TCP port, with metrics at `/metrics`. Another one than the gateway's."""


class TelemetrySettings(_Strict):
    """Where metrics and traces go; nowhere by default (docs/metrics.md)."""

    prometheus: PrometheusSettings | None = None
    """A port that Prometheus scrapes. Not taken by `serve --stdio`."""
    otlp: Annotated[str, Field(pattern=r"^https?://[^\s?#@]+$")] | None = None
    """Base URL of an OTLP/HTTP collector, e.g. `http://127.0.0.1:4318`."""


class Settings(_Strict):
    """One gateway."""

    data: str = "holdgate-data"
    """Folder of the database, the gateway's key, the local vault and kept keys: all that is backed up."""
    tenant: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")] = "default"
    """The name on every person, call and ledger line. Choose it before `init`: commands see no other tenant's."""
    listen: Listen = Listen()
    """Where the HTTP server listens."""
    policies: list[str] = ["policies"]
    """Policy files, or folders of them. Edits are picked up while the gateway runs (docs/policy.md)."""
    connectors: list[str] = []
    """Dotted modules, `.py` files, folders of them, or `holdgate.connectors` for installed packages. At least one."""
    connector: dict[str, ConnectorSettings] = {}
    """Per connector name: what this installation sets about it."""
    vault: Annotated[LocalVaultSettings | HashicorpVaultSettings, Field(discriminator="kind")] = LocalVaultSettings()
    """Where credentials are: `kind: local` or `kind: hashicorp`."""
    limits: LimitSettings = LimitSettings()
    """Bounds of the gateway itself."""
    stdio_principal: str = "local"
    """Whom a `serve --stdio` process acts for: a principal with an active key."""
    structured_content: bool = True
    """Send results as structured content too. Turn off for a host that shows its model both copies."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """From which level on the gateway's own log lines are written to stderr, as JSON."""
    telemetry: TelemetrySettings = TelemetrySettings()
    """Where metrics and traces go."""


class Home:
    """A settings file, and the paths that follow from it.

    Args:
        file: `holdgate.yaml`.

    Raises:
        StartupError: with file, line and remedy.
    """

    def __init__(self, file: Path) -> None:
        self.file = file.absolute()
        if not self.file.exists():
            raise StartupError(
                "There is no settings file.",
                file=str(file),
                remedy="Run `holdgate init` to write one, or name one with --config or in $HOLDGATE_CONFIG.",
            )
        self.document = load(self.file, Settings)
        self.settings = self.document.value

    def path(self, text: str) -> Path:
        """A path of the settings file, absolute."""
        return self.file.parent / os.path.expanduser(text)

    @property
    def data(self) -> Path:
        """The folder of everything that must be backed up."""
        return self.path(self.settings.data)

    @property
    def database(self) -> Path:
        return self.data / "holdgate.db"

    @property
    def gateway_key(self) -> Path:
        return self.data / "gateway.key"

    @property
    def checkpoints(self) -> Path:
        return self.data / "checkpoints.notes"

    @property
    def instances(self) -> Path:
        """A locked file per living process that serves this data folder."""
        return self.data / "instances"

    @property
    def keys(self) -> Path:
        """API keys that `init` and `demo` keep for this user: one file per principal, mode 0600."""
        return self.data / "keys"

    @property
    def policies(self) -> list[Path]:
        return [self.path(text) for text in self.settings.policies]

    @property
    def url(self) -> str:
        """Where clients find the MCP endpoint."""
        return self.url_on(self.settings.listen.port)

    @property
    def ready_url(self) -> str:
        """Where a gateway tells whether it is up, and which one it is; see `instances.HEADER`."""
        return self.url.removesuffix("/mcp") + "/readyz"

    def url_on(self, port: int) -> str:
        """The same for the port that was really bound: they differ where the settings say 0, any free one."""
        listen = self.settings.listen
        host = f"[{listen.host}]" if ":" in listen.host else listen.host
        return (listen.public_url or f"http://{host}:{port}").rstrip("/") + "/mcp"
