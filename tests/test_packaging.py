"""The wheel, the sdist and the list of parts: what an installation is made from."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from tests.locks import ROOT, declared, pinned

MINUTES = 60.0


def build(root: Path, folder: Path, **environment: str) -> dict[str, bytes]:
    """What `scripts/build.py` of a checkout leaves in `folder`, by name."""
    subprocess.run(
        [sys.executable, root / "scripts" / "build.py", str(folder)],
        cwd=folder.parent,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000", **environment},
        check=True,
        capture_output=True,
        timeout=2 * MINUTES,
    )
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dist")


@pytest.fixture(scope="module")
def built(folder: Path) -> dict[str, bytes]:
    return build(ROOT, folder)


@pytest.fixture(scope="module")
def wheel(folder: Path, built: dict[str, bytes]) -> Path:
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def sdist(folder: Path, built: dict[str, bytes]) -> Path:
    (sdist,) = folder.glob("*.tar.gz")
    return sdist


@pytest.fixture(scope="module")
def parts(folder: Path, built: dict[str, bytes]) -> dict[str, Any]:
    """The list of parts, which is valid by the published schema."""
    (text,) = (path.read_text(encoding="utf-8") for path in folder.glob("*.cdx.json"))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    listed: dict[str, Any] = json.loads(text)
    return listed


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


@pytest.fixture
def elsewhere(sdist: Path, tmp_path: Path) -> Path:
    """The same source in another place, from the sdist, with other times, and rights for nobody else."""
    with tarfile.open(sdist) as packed:
        packed.extractall(tmp_path, filter="data")
    (root,) = tmp_path.iterdir()
    for path in (root, *root.rglob("*")):
        path.chmod(0o700 if path.is_dir() or path.stat().st_mode & 0o100 else 0o600)
        os.utime(path, (1, 1))
    return root


def test_whoever_builds_a_commit_gets_the_same_bytes(built: dict[str, bytes], elsewhere: Path, tmp_path: Path) -> None:
    """Wheel, sdist and list of parts: in another folder, from the sdist, in another zone, with another hash seed."""
    again = build(elsewhere, tmp_path / "again", TZ="Pacific/Auckland", PYTHONHASHSEED="7")
    assert len(again) == 3
    assert {name for name, content in again.items() if content != built[name]} == set()


def test_the_sdist_is_the_checkout(sdist: Path) -> None:
    """All that git knows, so that it can be built, tested and packaged again; nothing that lies about."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout; `git clone` makes one")
    known = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(known, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    with tarfile.open(sdist) as packed:
        inside = {name.partition("/")[2] for name in packed.getnames()}
    assert inside == {name for name in listed if (ROOT / name).exists()} | {"PKG-INFO"}


def test_no_data_folder_is_packed(elsewhere: Path, tmp_path: Path) -> None:
    """What a gateway that was tried in a checkout has left there, keys among it, is in neither archive."""
    for place in ("holdgate-data/keys", "examples/hello/holdgate-data/keys", "gateway/holdgate-demo/data", ".venv/lib"):
        (elsewhere / place).mkdir(parents=True)
        (elsewhere / place / "left-behind.key").write_text("hg_secret")
    build(elsewhere, tmp_path / "dist")
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    (sdist,) = (tmp_path / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as packed:
        names = [*packed.getnames(), *zipfile.ZipFile(wheel).namelist()]
    assert [name for name in names if "left-behind" in name] == []


def test_the_list_of_parts_is_the_lock(parts: dict[str, Any], wheel: Path) -> None:
    """One part per entry with the hashes of its files, required or optional, beside a wheel it names by its hash."""
    product = pinned(ROOT / "requirements" / "holdgate.txt")
    extras = pinned(ROOT / "requirements" / "claude.txt")
    assert {part["purl"] for part in parts["components"]} == {
        f"pkg:pypi/{name}@{version}" for name, version in (extras | product).items()
    }
    locks = "".join((ROOT / "requirements" / lock).read_text() for lock in ("holdgate.txt", "claude.txt"))
    for part in parts["components"]:
        hashes = {made["content"] for reference in part["externalReferences"] for made in reference["hashes"]}
        entry = locks[locks.index(f"\n{part['name']}==") :].partition("# via")[0]
        assert hashes == set(re.findall(r"sha256:(\w+)", entry)) != set()
    required = {part["name"] for part in parts["components"] if part["scope"] == "required"}
    assert {"mcp", "cryptography"} <= required <= set(product)
    (own,) = parts["metadata"]["component"]["hashes"]
    assert own == {"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}


def test_every_part_is_there_because_of_another(parts: dict[str, Any]) -> None:
    """From the program one comes to each part; what it declares it needs directly."""
    needs = {entry["ref"]: entry.get("dependsOn", []) for entry in parts["dependencies"]}
    root = parts["metadata"]["component"]["bom-ref"]
    seen, open_ = set(), [root]
    while open_:
        ref = open_.pop()
        if ref not in seen:
            seen.add(ref)
            open_ += needs[ref]
    assert seen == {root} | {part["bom-ref"] for part in parts["components"]}
    direct = {ref.removeprefix("pkg:pypi/").partition("@")[0] for ref in needs[root]}
    assert direct == {canonicalize_name(requirement.name) for requirement in declared()} | {"anthropic"}


def test_the_list_of_parts_names_no_place(parts: dict[str, Any]) -> None:
    """Where a file is fetched from is the machine's affair; the schema's own name is the one address in it."""
    assert "://" not in json.dumps({name: value for name, value in parts.items() if name != "$schema"})


def test_the_wheel_runs_by_uvx(wheel: Path, tmp_path: Path) -> None:
    """`uvx --from WHEEL holdgate` in an environment that uv makes for it, with the versions of the lock."""
    uvx = shutil.which("uvx", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uvx is None:
        pytest.skip("uv is not installed; run `pip install uv`")
    lock = ROOT / "requirements" / "holdgate.txt"
    ran = subprocess.run(
        [uvx, "--python", sys.executable, "--constraints", lock, "--from", wheel, "holdgate", "demo", "--play"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")},
        capture_output=True,
        text=True,
        timeout=3 * MINUTES,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    assert "ledger" in ran.stdout


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


def test_a_connector_is_begun_from_the_wheel(python: Path, tmp_path: Path) -> None:
    """Templates and `gateway.testing` are in it: what `holdgate new connector` writes there passes its tests there."""
    for command, cwd in (
        ([python.parent / "holdgate", "new", "connector", "notes"], tmp_path),
        ([python, "-m", "pytest", "-q", "-p", "no:cacheprovider"], tmp_path / "notes"),
    ):
        ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=MINUTES)
        assert ended.returncode == 0, ended.stdout + ended.stderr
