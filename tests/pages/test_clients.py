"""docs/clients.md: the versions that were tried are those that `make test-clients` installs."""

from __future__ import annotations

import json

from tests.node import AGENTS
from tests.pages.page import Page

PAGE = Page("docs/clients.md")
NAMES = {"@anthropic-ai/claude-code": "Claude Code", "@google/gemini-cli": "Gemini CLI", "@openai/codex": "Codex"}


def test_the_agents_named_as_tried_are_those_that_are_installed() -> None:
    """Who takes newer agents looks at what their models are shown, and says so on the page."""
    wanted = json.loads((AGENTS / "package.json").read_text(encoding="utf-8"))["dependencies"]
    assert set(wanted) == set(NAMES)
    for package, version in wanted.items():
        assert f"{NAMES[package]} {version}" in PAGE.section("What is tested")
