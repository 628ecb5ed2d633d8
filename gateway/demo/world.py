"""The demo's folder: settings, policies to edit, people with keys, and Acme with a key that only two places know.

holdgate.yaml       written anew at each start
policies/           copied once; edit them while the demo runs
data/               the gateway's: ledger, vault, its own key, and keys/ with one file per person or agent
acme/               the company's: its records, the key it accepts, its port and its log
"""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway import setup
from gateway.equipment import open_vault
from gateway.errors import StartupError
from gateway.model import Kind, Principal, Role
from gateway.private import write_private
from gateway.settings import Home
from vault.local import LocalVault
from vault.reference import Reference

AGENT: Final = "support-bot"
APPROVER: Final = "fiona"
OWNER: Final = "olivia"

_HOST: Final = "127.0.0.1"
_PACKAGED_POLICIES: Final = Path(__file__).parents[2] / "policies"
_PEOPLE: Final = (
    # id, kind, groups, roles, who answers for it
    (AGENT, Kind.AGENT, {"support"}, {Role.CALLER}, OWNER),
    (APPROVER, Kind.HUMAN, {"finance"}, {Role.APPROVER}, None),
    # She could approve anybody's call but her own agent's.
    (OWNER, Kind.HUMAN, {"finance"}, {Role.APPROVER}, None),
    ("operator", Kind.HUMAN, {"operators"}, {Role.CALLER, Role.OPERATOR, Role.AUDITOR}, None),
)
_CONNECTORS: Final = ("billing", "crm", "tickets")
_SETTINGS: Final = """\
# Written by `holdgate demo` at each start. To change what agents may do, edit the files in policies/.
data: data
listen: {{port: {port}}}
policies: [policies]
connectors: [connectors.billing, connectors.crm, connectors.tickets]
connector: # the sandbox company, on this machine only
  billing: {{base_url: "{acme}", internal: true}}
  crm: {{base_url: "{acme}", internal: true}}
  tickets: {{base_url: "{acme}", internal: true}}
vault: # its passphrase lies beside it, so that the demo asks nothing; keep yours elsewhere
  kind: local
  passphrase_env: HOLDGATE_DEMO_PASSPHRASE
  passphrase_file: data/vault.passphrase
stdio_principal: {agent}
log_level: warning
"""


@dataclass(frozen=True)
class World:
    """A demo folder that is ready to serve."""

    folder: Path
    home: Home
    acme_url: str

    def key_file(self, name: str) -> Path:
        """Where the API key of a person or agent of the demo is kept."""
        return self.home.keys / f"{name}.key"

    def key(self, name: str) -> str:
        """The API key of a person or agent of the demo."""
        return self.key_file(name).read_text(encoding="utf-8").strip()


def build(folder: Path, port: int) -> World:
    """Make a demo folder, or what is missing of one; what it knows already stays.

    Args:
        port: for the gateway, on loopback; 0 takes a free one.

    Raises:
        StartupError: the port is taken, or the folder cannot be written. Nothing was made if it is the port.
    """
    # What stands beside a port that the kernel chose may be given to anybody.
    beside = port + 1 if port else _free_port()
    port = port or _free_port()
    _require_free(port)
    folder = folder.expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "acme").mkdir(exist_ok=True)
        acme_url = f"http://{_HOST}:{_acme_port(folder, port, beside)}"
        settings = _SETTINGS.format(port=port, acme=acme_url, agent=AGENT)
        write_private(folder / "holdgate.yaml", settings)
        _copy_policies(folder / "policies")
        home = Home(folder / "holdgate.yaml")
        setup.prepare(home)
        _give_acme_a_key(folder, home)
        _admit_people(home)
    except OSError as broken:
        raise StartupError(
            f"The demo's folder cannot be written: {broken.strerror}.",
            file=str(folder),
            remedy="Name another with `holdgate demo --data FOLDER`.",
        ) from broken
    return World(folder, home, acme_url)


def found(folder: Path) -> World | None:
    """The demo folder as it stands, running or not; None where there is none.

    Raises:
        StartupError: its settings cannot be read.
    """
    folder = folder.expanduser().absolute()
    if not (folder / "holdgate.yaml").exists() or not (folder / "acme" / "port").exists():
        return None
    port = (folder / "acme" / "port").read_text().strip()
    return World(folder, Home(folder / "holdgate.yaml"), f"http://{_HOST}:{port}")


@contextmanager
def running_acme(world: World) -> Iterator[None]:
    """Acme as a process of its own until the end of the block, or of this process, however that ends.

    Raises:
        StartupError: it did not come up; its log says why.
    """
    acme = world.folder / "acme"
    command = [sys.executable, "-P", "-m", "gateway.demo.acme", "--control", "--parent-watch"]
    command += ["--port", world.acme_url.rpartition(":")[2], "--data", str(acme / "data")]
    with (acme / "acme.log").open("ab") as log:
        # A session of its own: Ctrl-C is for the gateway, which still has calls under way to finish.
        process = subprocess.Popen(  # noqa: S603 - our own program, with paths of our own
            [*command, "--api-key-file", str(acme / "api-key")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    with process:
        assert process.stdin
        assert process.stdout
        try:
            if json.loads(process.stdout.readline() or "{}").get("url") != world.acme_url:
                raise StartupError(
                    "The sandbox company Acme did not start.",
                    file=str(acme / "acme.log"),
                    remedy="Read the end of that file, then start the demo again.",
                )
            yield
        finally:
            process.stdin.close()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()


def _copy_policies(target: Path) -> None:
    if target.exists():
        return
    scratch = target.with_name(f".policies.{secrets.token_hex(4)}")
    shutil.copytree(_PACKAGED_POLICIES, scratch, ignore=shutil.ignore_patterns("__pycache__"))
    scratch.rename(target)


def _give_acme_a_key(folder: Path, home: Home) -> None:
    """One key, in two places; either may have been removed by hand, or a start cut short between them."""
    key_file, vault = folder / "acme" / "api-key", open_vault(home)
    assert isinstance(vault, LocalVault)
    wanted = {f"kv/acme/{connector}#api_key" for connector in _CONNECTORS}
    if key_file.exists():
        wanted -= set(vault.names())
    else:
        write_private(key_file, secrets.token_urlsafe(32) + "\n")
    for name in sorted(wanted):
        vault.set(Reference.parse(name), key_file.read_text(encoding="utf-8").strip())


def _admit_people(home: Home) -> None:
    store = setup.open_store(home)
    try:
        for name, kind, groups, roles, owner in _PEOPLE:
            if (home.keys / f"{name}.key").exists():
                continue
            person = Principal(home.settings.tenant, name, kind, frozenset(groups), frozenset(roles), owner)
            setup.keep_key(home, name, setup.admit(store, person, by="demo"))
    finally:
        store.close()


def _acme_port(folder: Path, gateway_port: int, beside: int) -> int:
    """The port Acme had before, if it is still free: a hold is bound to the host that the reviewer saw."""
    note = folder / "acme" / "port"
    before = note.read_text().strip() if note.exists() else ""
    wanted = int(before) if before.isdecimal() else beside
    port = wanted if _is_free(wanted) and wanted != gateway_port else _free_port()
    note.write_text(f"{port}\n")
    return port


def _require_free(port: int) -> None:
    if not _is_free(port):
        raise StartupError(
            f"Port {port} on {_HOST} is taken, perhaps by a demo that still runs.",
            remedy=f"Stop what has it, or use another: `holdgate demo --port {port + 10 if port < 65_000 else 8420}`.",
        )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except (OSError, OverflowError):
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port
