"""`scripts/`: what a machine is set up with, and what it says where something is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "scripts"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MINUTES = 60.0


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
        [SCRIPTS / "setup"],
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


def test_tools_that_are_not_there_to_add_are_told_in_one_line() -> None:
    """`make play WHO=gpt` names what there is, and installs nothing."""
    told = subprocess.run([SCRIPTS / "setup", "gpt"], capture_output=True, text=True, timeout=MINUTES)
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == "holdgate: there is no requirements/gpt.txt; what can be added is dev or claude.\n"


def test_ci_runs_both_ends_of_what_is_supported() -> None:
    """The oldest and the newest Python that the metadata names are those that `.ci/run` asks for."""
    named = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if " Python :: 3." in line]
    oldest, newest = named[0], named[-1]
    assert PROJECT["requires-python"] == f">={oldest}"
    said = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.findall(r"3\.\d+", said) == [newest, oldest]


def _try_python(folder: Path, version: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The script in a folder of its own: in the checkout it would make .venv anew, for the Python of another PATH."""
    scripts = folder / "checkout" / "scripts"
    scripts.mkdir(parents=True, exist_ok=True)
    for name in ("try-python", "interpreter"):
        shutil.copy(SCRIPTS / name, scripts / name)
    (scripts / "setup").write_text("#!/bin/sh\n", encoding="utf-8")
    (scripts / "setup").chmod(0o755)
    return subprocess.run(
        [scripts / "try-python", version],
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environment},
        capture_output=True,
        text=True,
        timeout=MINUTES,
    )


def test_an_end_that_is_missing_is_told_and_fails_where_everything_is_required(tmp_path: Path) -> None:
    """A Python that the machine has not is one line with the command that installs it; in CI it is a failure."""
    told = _try_python(tmp_path, "3.99")
    assert told.returncode == 0
    assert "Skipped: Python 3.99 is not on this machine; run `apt install python3.99-venv`" in told.stdout
    failed = _try_python(tmp_path, "3.99", CI="true")
    assert failed.returncode == 1
    assert "Python 3.99 is not on this machine" in failed.stderr


def test_a_shim_without_a_python_behind_it_is_none(tmp_path: Path) -> None:
    """pyenv leaves a `python3.13` on PATH that only says that there is none; what pyenv has built is found."""
    shim = tmp_path / "python3.99"
    shim.write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")
    shim.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin"
    assert "Skipped" in _try_python(tmp_path, "3.99", PATH=path).stdout
    built = tmp_path / "pyenv" / "versions" / "3.99.1" / "bin" / "python3.99"
    built.parent.mkdir(parents=True)
    built.write_text(
        '#!/bin/sh\ncase "$*" in *ensurepip*) exit 0 ;; esac\necho "this one: $*"; exit 9\n', encoding="utf-8"
    )
    built.chmod(0o755)
    tried = _try_python(tmp_path, "3.99", PATH=path, PYENV_ROOT=str(tmp_path / "pyenv"))
    assert tried.returncode == 9
    assert "this one: -m venv" in tried.stdout
