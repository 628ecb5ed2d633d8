"""The wheel, the locks, the container and the set-up: what an installation is made from."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MINUTES = 60.0


def build(folder: Path) -> Path:
    """Build the wheel of this checkout into `folder`."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=ROOT,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"},
        check=True,
        capture_output=True,
        timeout=2 * MINUTES,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the wheel, sees our dependencies, and not this checkout."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "--quiet", "install", "--no-deps", "--no-index", str(wheel)],
        check=True,
        timeout=2 * MINUTES,
    )
    # A path file is not followed from a path file, so the editable install of the checkout stays out of sight.
    (site,) = (folder / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return python


def pinned(lock: Path) -> dict[str, str]:
    """Normalised name to version, of every requirement of a lock."""
    return {
        canonicalize_name(name): version
        for name, version in re.findall(r"^([\w.-]+)==([^ \\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    }


def declared() -> list[Requirement]:
    return [Requirement(text) for text in PROJECT["project"]["dependencies"]]


def test_the_wheel_carries_the_program_and_its_data(wheel: Path) -> None:
    """Every module, policy and migration of the checkout is in it, and nothing else of the checkout."""
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    written = {
        str(path.relative_to(ROOT))
        for package in ("gateway", "vault", "connectors", "policies")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert inside == written
    assert {"policies/README.md", "policies/support-agents.yaml"} <= inside
    assert any(name.startswith("gateway/store/migrations/") for name in inside)


def test_two_builds_are_one_file(wheel: Path, tmp_path: Path) -> None:
    """Whoever builds this commit gets the same bytes."""
    assert build(tmp_path).read_bytes() == wheel.read_bytes()


def test_the_wheel_runs_where_there_is_no_checkout(python: Path, tmp_path: Path) -> None:
    """Its command answers, and the policies it ships load over the connectors it ships."""
    helped = subprocess.run(
        [python.parent / "holdgate", "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=MINUTES
    )
    assert helped.returncode == 0, helped.stderr
    assert "serve" in helped.stdout
    script = (
        "import gateway, policies\n"
        "from pathlib import Path\n"
        "from connectors.billing import billing\n"
        "from connectors.crm import crm\n"
        "from connectors.tickets import tickets\n"
        "from gateway.policy.live import load\n"
        "load([Path(policies.__path__[0])], {**billing.tools, **crm.tools, **tickets.tools})\n"
        "print(gateway.__file__)\n"
    )
    loaded = subprocess.run([python, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=MINUTES)
    assert loaded.returncode == 0, loaded.stderr
    assert Path(loaded.stdout.strip()).is_relative_to(python.parents[1])


def test_every_library_that_is_imported_is_declared() -> None:
    """No module lives on what a library happens to bring along, unless that is its other half, or an extra."""
    halves = ("mcp-types", "pydantic-core", "opentelemetry-api", "anthropic")
    named = {canonicalize_name(name) for name in (*halves, *(requirement.name for requirement in declared()))}
    ours = {"gateway", "vault", "connectors", "policies"}
    homes = packages_distributions()
    for path in (path for package in ("gateway", "vault", "connectors") for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            imported += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            for top in {name.partition(".")[0] for name in imported} - ours - set(sys.stdlib_module_names):
                brought_by = {canonicalize_name(name) for name in homes.get(top, [top])}
                assert brought_by & named, f"{path.relative_to(ROOT)} imports {top}, of {brought_by}"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_holds_hashes_and_no_address(lock: Path) -> None:
    """Each requirement is one version with its hashes; where it is fetched from is the machine's affair."""
    text = lock.read_text(encoding="utf-8")
    entries = re.split(r"^(?=[A-Za-z])", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(pinned(lock)) > 0
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    assert not re.search(r"://|--(extra-)?index|--find-links|(^|\s)/", text)


def test_the_locks_agree_with_each_other_and_with_the_metadata() -> None:
    """What is tested is what is installed: one version per package, within what pyproject.toml allows."""
    assert {lock.name for lock in LOCKS} == {"build.txt", "claude.txt", "dev.txt", "holdgate.txt"}
    product = pinned(ROOT / "requirements" / "holdgate.txt")
    for requirement in declared():
        assert requirement.specifier.contains(product[canonicalize_name(requirement.name)]), requirement
    for lock in LOCKS:
        for name, version in pinned(lock).items():
            assert product.get(name, version) == version, f"{name} in {lock.name}"


def test_the_container_runs_as_nobody_and_holds_nothing_secret() -> None:
    """Pinned by hashes, not root, its data on a volume, its health asked for, and no secret built in."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    steps = re.findall(r"^([A-Z]+) (.+)$", text.replace("\\\n", " "), re.MULTILINE)
    final = steps[max(number for number, (verb, _) in enumerate(steps) if verb == "FROM") :]
    said = dict(final)
    assert re.match(r"[1-9]\d*:[1-9]\d*$", said["USER"])
    assert [verb for verb, _ in final].index("USER") > max(i for i, (verb, _) in enumerate(final) if verb == "RUN")
    assert said["ENTRYPOINT"] == '["holdgate"]'
    assert said["CMD"] == '["serve"]'
    assert said["EXPOSE"] == "8420"
    assert said["VOLUME"] == said["WORKDIR"]
    assert "/healthz" in said["HEALTHCHECK"]
    assert all("--require-hashes" in step or "--no-index" in step for _, step in steps if "pip install" in step)
    assert not any(verb in ("ARG", "ADD") for verb, _ in steps)
    assert not re.search(r"PASSPHRASE=|TOKEN=|SECRET", text)


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        ("exit 1", "Python 3.11 or newer is needed"),
        ('case "$2" in *ensurepip*) exit 1 ;; *%d*) echo 3.12 ;; esac', "run `apt install python3.12-venv`"),
    ],
)
def test_a_machine_that_lacks_something_is_told_what_in_one_line(tmp_path: Path, script: str, answer: str) -> None:
    """A Python that is too old, or that cannot make environments, ends the set-up before it has changed anything."""
    interpreter = tmp_path / "a python"
    interpreter.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    interpreter.chmod(0o755)
    before = (ROOT / ".venv").exists()
    told = subprocess.run(
        [ROOT / "scripts" / "setup"],
        env={**os.environ, "PYTHON": str(interpreter)},
        capture_output=True,
        text=True,
        timeout=MINUTES,
    )
    assert told.returncode != 0
    assert told.stdout == ""
    assert answer in told.stderr
    assert told.stderr.count("\n") == 1
    assert (ROOT / ".venv").exists() == before
