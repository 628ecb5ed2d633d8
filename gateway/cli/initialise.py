"""`init`: a folder with settings, policies, keys and an empty ledger, ready to serve; or what settings still lack."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.invocation import CONFIG_FILE, CONFIG_VARIABLE, AsJson
from gateway.errors import StartupError

if TYPE_CHECKING:
    from gateway.settings import Home

OPERATOR = "operator"
AGENT = "support-agent"
POLICIES = ("support-agents.yaml", "operators.yaml")

SETTINGS = """\
# Holdgate's settings. Relative paths start at this file's folder. An unknown or misspelled key stops the start.
# `holdgate doctor` checks what this file leads to.

# Everything that must be backed up: the ledger, the gateway's key, the vault's file. Belongs to one user only.
data: holdgate-data

listen:
  host: 127.0.0.1
  port: 8420
  # public_url: https://tools.example.com   # how clients reach it, behind a proxy that speaks TLS

# Who may make which call: files, or folders of them. Edits are picked up without a restart.
policies: [policies]

# Modules, .py files, folders of them, or `holdgate.connectors` for installed packages. These three are examples,
# for the sandbox company of `holdgate demo`; put your own beside or instead of them.
connectors:
  - connectors.billing
  - connectors.crm
  - connectors.tickets

# What this installation sets about a connector. Agents never choose a host.
# connector:
#   billing: {base_url: "https://billing.example.com", credential: "kv/billing/refunds#token"}

# Credentials of the systems of record; `holdgate secret set` fills it. Keep the passphrase's file out of the back-up
# that holds the vault's file, or set HOLDGATE_VAULT_PASSPHRASE instead.
vault:
  kind: local
  passphrase_file: vault.passphrase

# Whom `holdgate serve --stdio` acts for.
stdio_principal: support-agent

# limits: {calls_per_minute: 600, pending_holds: 20}
log_level: info
"""

GITIGNORE = "# Keys, credentials and the ledger are nobody else's business.\n/holdgate-data/\n/vault.passphrase\n"


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where; made if missing.")] = Path("."),
    json_output: AsJson = False,
) -> None:
    """Write settings, policies and keys for a new gateway. Settings that are there get a data folder if they have none.

    Overwrites nothing.
    """
    from gateway.cli.output import emit, say
    from gateway.settings import Home
    from gateway.setup import prepare

    settings = folder / CONFIG_FILE
    new = not settings.exists()
    if new:
        _write_files(folder)
    home = Home(settings)
    if not new:
        _require_no_data(home)
    prepare(home)
    kept = _people(home) if new else {}
    if json_output:
        emit({"config": str(home.file), "data": str(home.data), "url": home.url, "keys": kept})
        return
    # Where the variable names another gateway, its settings would be found before those of this folder.
    found = folder == Path(".") and not os.environ.get(CONFIG_VARIABLE)
    command = "holdgate" if found else f"holdgate --config {settings}"
    say(*(_about_all(home, settings, command) if new else _about_the_data(home, settings, command)))


def _write_files(folder: Path) -> None:
    from gateway.setup import write_new

    write_new({folder / CONFIG_FILE: SETTINGS} | {folder / "policies" / name: _packaged(name) for name in POLICIES})
    if not (folder / ".gitignore").exists():
        write_new({folder / ".gitignore": GITIGNORE})


def _require_no_data(home: Home) -> None:
    """A gateway's key must never be made anew beside a database that the lost one has sealed."""
    if home.gateway_key.exists() or home.database.exists():
        raise StartupError(
            f"There is a gateway already, with its data in {home.data}, and nothing is overwritten.",
            file=str(home.file),
            remedy="Choose another folder; or move the data folder away, to begin with an empty one.",
        )


def _about_all(home: Home, settings: Path, command: str) -> tuple[str, ...]:
    return (
        f"Wrote {settings}, {len(POLICIES)} policies, and a data folder.",
        f"Keys were made and kept for {OPERATOR} (you) and {AGENT} (a first agent), in {home.keys}.",
        "",
        "Next:",
        f"  {command} secret set 'kv/acme/billing#api_key' # a credential for each connector",
        f"  {command} doctor                               # what is still missing",
        f"  {command} keys create NAME --kind human --group finance --role approver --keep",
        f"  {command} serve",
        f"  {command} connect claude                       # how an agent gets in",
    )


def _about_the_data(home: Home, settings: Path, command: str) -> tuple[str, ...]:
    return (
        f"Left {settings} as it is, and made its data folder {home.data}. Nobody has a key yet.",
        "",
        "Next:",
        f"  {command} keys create NAME --group GROUP --keep # an agent; people with --kind human --role ROLE",
        f"  {command} doctor                                # what is still missing",
        f"  {command} serve",
    )


def _packaged(name: str) -> str:
    return resources.files("policies").joinpath(name).read_text(encoding="utf-8")


def _people(home: Home) -> dict[str, str]:
    """An operator and a first agent: name -> the file of the kept key."""
    from gateway.cli.invocation import opened_store
    from gateway.cli.whoami import os_user
    from gateway.model import Kind, Principal, Role
    from gateway.setup import admit, keep_key

    tenant = home.settings.tenant
    roles = frozenset({Role.CALLER, Role.OPERATOR, Role.AUDITOR})
    people = (
        Principal(tenant, OPERATOR, Kind.HUMAN, groups=frozenset({"operators"}), roles=roles),
        Principal(tenant, AGENT, Kind.AGENT, groups=frozenset({"support"}), owner=OPERATOR),
    )
    with opened_store(home) as store:
        return {person.id: str(keep_key(home, person.id, admit(store, person, by=os_user()))) for person in people}
