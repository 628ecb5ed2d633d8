"""Making the demo's folder, with the two ports that it names already held, and starting Acme in it."""

from __future__ import annotations

import contextlib
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
from gateway.demo.world import AGENT, APPROVER, HOST, OWNER, World
from gateway.equipment import open_vault
from gateway.errors import StartupError
from gateway.model import Kind, Principal, Role
from gateway.private import write_private
from gateway.serve import listening
from gateway.settings import Home
from vault.local import LocalVault
from vault.reference import Reference

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
class Site(World):
    """A demo folder that is ready to serve. Its two ports are held: nobody can take one before it is served."""

    gateway: socket.socket
    acme: socket.socket


@contextmanager
def built(folder: Path, port: int) -> Iterator[Site]:
    """A demo folder, made, or what was missing of one; what it knows already stays. Its ports are let go of at the end.

    Args:
        port: for the gateway, on loopback; 0 takes a free one.

    Raises:
        StartupError: the port is taken, or the folder cannot be written. Nothing was made if it is the port.
    """
    folder = folder.expanduser().absolute()
    with _gateways_door(port) as gateway, contextlib.ExitStack() as doors:
        port = gateway.getsockname()[1]
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            (folder / "acme").mkdir(exist_ok=True)
            acme = doors.enter_context(_acmes_door(folder, port + 1))
            acme_url = f"http://{HOST}:{acme.getsockname()[1]}"
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
        yield Site(folder, home, acme_url, gateway, acme)


@contextmanager
def running_acme(site: Site) -> Iterator[None]:
    """Acme as a process of its own until the end of the block, or of this process, however that ends.

    Raises:
        StartupError: it did not come up; its log says why.
    """
    acme = site.folder / "acme"
    command = [sys.executable, "-P", "-m", "gateway.demo.acme", "--control", "--parent-watch"]
    command += ["--listener", str(site.acme.fileno()), "--data", str(acme / "data")]
    with (acme / "acme.log").open("ab") as log:
        # A session of its own: Ctrl-C is for the gateway, which still has calls under way to finish.
        process = subprocess.Popen(  # noqa: S603 - our own program, with paths of our own
            [*command, "--api-key-file", str(acme / "api-key")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            pass_fds=[site.acme.fileno()],
        )
    # Acme alone answers there, so that nobody waits at the door of one that has ended.
    site.acme.close()
    with process:
        assert process.stdin
        assert process.stdout
        try:
            if json.loads(process.stdout.readline() or "{}").get("url") != site.acme_url:
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


def _gateways_door(port: int) -> socket.socket:
    try:
        return listening(HOST, port)
    except OSError as taken:
        other = port + 10 if port < 65_000 else 8420
        raise StartupError(
            f"Port {port} on {HOST} is taken, perhaps by a demo that still runs.",
            remedy=f"Stop what has it, or use another: `holdgate demo --port {other}`.",
        ) from taken


def _acmes_door(folder: Path, beside: int) -> socket.socket:
    """At the port Acme had before, if it is still free: a hold is bound to the host that the reviewer saw."""
    note = folder / "acme" / "port"
    before = note.read_text().strip() if note.exists() else ""
    try:
        door = listening(HOST, int(before) if before.isdecimal() else beside)
    except (OSError, OverflowError):
        door = listening(HOST, 0)
    note.write_text(f"{door.getsockname()[1]}\n")
    return door
