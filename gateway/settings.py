"""`holdgate.yaml`: everything an operator may set, strictly read. Relative paths start at the file's folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.documents import load
from gateway.errors import StartupError


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Listen(_Strict):
    """Where the HTTP server listens."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8420
    public_url: str | None = None
    """How clients reach it, when not at `http://host:port`; its host is then an allowed one."""
    allowed_hosts: list[str] = []
    """Further Host headers to answer to, e.g. behind a proxy: `tools.example.com` or `tools.example.com:*`."""
    allowed_origins: list[str] = []
    """Origin headers to answer to, for clients in a browser."""


class LocalVaultSettings(_Strict):
    """An encrypted file. The passphrase comes from a variable, or from a file that only its owner can read."""

    kind: Literal["local"] = "local"
    file: str = "vault.enc"
    passphrase_env: str = "HOLDGATE_VAULT_PASSPHRASE"
    passphrase_file: str | None = None


class HashicorpVaultSettings(_Strict):
    """HashiCorp Vault or OpenBao. Secrets of authentication come from variables, never from this file."""

    kind: Literal["hashicorp"]
    address: str
    namespace: str | None = None
    auth: Literal["token", "approle"] = "approle"
    token_env: str = "VAULT_TOKEN"
    role_id_env: str = "VAULT_ROLE_ID"
    secret_id_env: str = "VAULT_SECRET_ID"
    secret_id_wrapped: bool = False
    approle_mount: str = "approle"
    ca_file: str | None = None
    timeout: Annotated[float, Field(gt=0, le=60, strict=False)] = 5.0
    insecure: bool = False
    """Allow plain http to a host that is not this one."""


class ConnectorSettings(_Strict):
    """What this installation sets about one connector."""

    base_url: str | None = None
    credential: str | None = None
    internal: bool | None = None
    calls_per_second: Annotated[float, Field(gt=0, strict=False)] | None = None
    max_concurrent: Annotated[int, Field(ge=1, le=1000)] | None = None


class LimitSettings(_Strict):
    """Bounds of the gateway itself; what an agent may do is in its policy."""

    calls_per_minute: Annotated[int, Field(ge=1)] = 600
    """Attempts of one principal, over all tools."""
    pending_holds: Annotated[int, Field(ge=1)] = 20
    """Questions of one principal that may wait for humans at once (semantics.md H-13)."""
    repeat_window_seconds: Annotated[int, Field(ge=0)] = 600
    """How long an identical keyless write is answered from the first one (semantics.md I-4)."""
    task_idle_seconds: Annotated[int, Field(ge=1)] = 900
    """Silence after which an unnamed task has ended (semantics.md I-16)."""
    keep_answers_hours: Annotated[int, Field(ge=24)] = 72
    """How long arguments and answers are kept for replays (semantics.md I-13)."""
    drain_seconds: Annotated[int, Field(ge=0)] = 20
    """How long a stopping gateway waits for calls under way."""


class PrometheusSettings(_Strict):
    """Metrics as Prometheus text, on a port of their own. There is no credential on it: keep it inside."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)]


class TelemetrySettings(_Strict):
    """Where metrics and traces go; nowhere by default (docs/metrics.md)."""

    prometheus: PrometheusSettings | None = None
    otlp: Annotated[str, Field(pattern=r"^https?://[^\s?#@]+$")] | None = None
    """Base URL of an OTLP/HTTP collector, e.g. `http://127.0.0.1:4318`."""


class Settings(_Strict):
    """One gateway."""

    data: str = "holdgate-data"
    tenant: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")] = "default"
    listen: Listen = Listen()
    policies: list[str] = ["policies"]
    """Files, or folders of them."""
    connectors: list[str] = []
    """Dotted modules, `.py` files, folders of them, or `holdgate.connectors` for installed packages."""
    connector: dict[str, ConnectorSettings] = {}
    """Per connector name: what this installation sets about it."""
    vault: Annotated[LocalVaultSettings | HashicorpVaultSettings, Field(discriminator="kind")] = LocalVaultSettings()
    limits: LimitSettings = LimitSettings()
    stdio_principal: str = "local"
    """Whom a `serve --stdio` process acts for."""
    structured_content: bool = True
    """Send results as structured content too. Turn off for a host that shows its model both copies."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    telemetry: TelemetrySettings = TelemetrySettings()


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
                remedy="Run `holdgate init` to write one, or name one with --config.",
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

    def url_on(self, port: int) -> str:
        """The same for the port that was really bound: they differ where the settings say 0, any free one."""
        listen = self.settings.listen
        host = f"[{listen.host}]" if ":" in listen.host else listen.host
        return (listen.public_url or f"http://{host}:{port}").rstrip("/") + "/mcp"
