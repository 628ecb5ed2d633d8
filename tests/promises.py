"""The numbers that are promised in `docs/guarantees.md`, and those that tests cite."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
GUARANTEES = ROOT / "docs" / "guarantees.md"
NUMBER = re.compile(r"\b(?:S\d{1,2}|[ACDEFHILQRTV]-\d{1,2})\b")
LINE = re.compile(r"^\| (S\d+|[A-Z]-\d+) \| (.+) \| \[`(test_\w+)`\]\(\.\./(tests/[\w/]+\.py)\) \|$", re.MULTILINE)


@cache
def cited() -> dict[str, set[str]]:
    """Every number that a test's docstring cites, and those tests as `tests/file.py::test_name`."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                for number in NUMBER.findall(ast.get_docstring(node) or ""):
                    found[number].add(f"{path.relative_to(ROOT).as_posix()}::{node.name}")
    return found


@cache
def promised() -> dict[str, str]:
    """Every number of `docs/guarantees.md`, and the test that it names."""
    return {number: f"{file}::{name}" for number, _, name, file in LINE.findall(GUARANTEES.read_text(encoding="utf-8"))}
