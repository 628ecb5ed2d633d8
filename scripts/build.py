"""Build what is published: `build.py [FOLDER]` leaves wheel, sdist and list of parts there, in `dist` by default.

One commit makes the same bytes, whoever builds it and where: times are SOURCE_DATE_EPOCH, or those of the commit.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import sbom  # beside this file

ROOT = Path(__file__).resolve().parents[1]
BUILD = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--target", "wheel", "--directory"]


def commit_time() -> dict[str, str]:
    """When the commit was made, for the environment; nothing outside of a checkout, where hatchling has a constant."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        return {}
    asked = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603 - git itself
    return {"SOURCE_DATE_EPOCH": said} if said.isdecimal() else {}


def main(folder: Path) -> None:
    """Build into `folder`, and print what is new there."""
    os.environ.update(commit_time() | os.environ)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([*BUILD, scratch], cwd=ROOT, check=True)  # noqa: S603 - our own interpreter
        (wheel,) = Path(scratch).glob("*.whl")
        sbom.write(wheel)
        for made in sorted(Path(scratch).iterdir()):
            print(shutil.copy(made, folder))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "dist"))
