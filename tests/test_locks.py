"""The locks, and what is declared: one version of everything, with its hashes and no address."""

from __future__ import annotations

import ast
import json
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.locks import LOCKS, ROOT, declared, pinned
from tests.node import AGENTS, SMALL


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


@pytest.mark.parametrize("manifest", [SMALL, AGENTS], ids=lambda manifest: manifest.name)
def test_a_lock_of_npm_is_what_its_manifest_names_with_hashes_and_no_address(manifest: Path) -> None:
    """The clients that are tried are of one version each, and a version that is changed by hand is locked anew."""
    wanted = json.loads((manifest / "package.json").read_text(encoding="utf-8"))["dependencies"]
    packages = json.loads((manifest / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert packages.pop("")["dependencies"] == wanted
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert not any("resolved" in package for package in packages.values())


def test_the_locks_agree_with_each_other_and_with_the_metadata() -> None:
    """What is tested is what is installed: one version per package, within what pyproject.toml allows."""
    assert {lock.name for lock in LOCKS} == {
        "build.txt",
        "claude.txt",
        "dev.txt",
        "examples.txt",
        "holdgate.txt",
        "test.txt",
    }
    product = pinned(ROOT / "requirements" / "holdgate.txt")
    for requirement in declared():
        assert requirement.specifier.contains(product[canonicalize_name(requirement.name)]), requirement
    for lock in LOCKS:
        if lock.name == "examples.txt":
            continue  # other people's programs, in an environment of their own
        for name, version in pinned(lock).items():
            assert product.get(name, version) == version, f"{name} in {lock.name}"
