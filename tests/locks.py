"""What the locks pin, and what the metadata declares."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pinned(lock: Path) -> dict[str, str]:
    """Normalised name to version, of every requirement of a lock."""
    return {
        canonicalize_name(name): version
        for name, version in re.findall(r"^([\w.-]+)==([^ \\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    }


def declared() -> list[Requirement]:
    return [Requirement(text) for text in PROJECT["project"]["dependencies"]]
