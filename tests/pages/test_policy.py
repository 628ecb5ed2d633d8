"""docs/policy.md: every block loads and keeps its examples, every key stands in one, every command runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from connectors.billing import billing
from connectors.crm import crm
from connectors.tickets import tickets
from gateway.documents import parse
from gateway.errors import StartupError
from gateway.policy import document, load
from gateway.policy.document import Part, PolicyDocument
from tests.pages.conftest import Played
from tests.pages.page import Page

PAGE = Page("docs/policy.md")
BLOCKS = PAGE.blocks("yaml")
MISTAKES = re.findall(r"^\| `(.+?)` \| (.+?) \| (.+?) \|$", PAGE.section("What it says when something is wrong"), re.M)
TOOLS = {**billing.tools, **crm.tools, **tickets.tools}


def whole(block: str) -> str:
    """A block as a policy of its own, as the page says to complete it."""
    head = "" if block.startswith("policy:") else "policy: page\napplies_to: {groups: [support]}\n"
    return head + block


def known() -> set[str]:
    """Every key of the language, as `Model.key`."""
    return {
        f"{name}.{key}"
        for name, model in vars(document).items()
        if isinstance(model, type) and issubclass(model, Part) and model is not Part
        for key in model.model_fields
    }


def written(part: object) -> Iterator[str]:
    """Every key that a parsed policy sets, wherever it stands, as `Model.key`."""
    if isinstance(part, BaseModel):
        for key in part.model_fields_set:
            yield f"{type(part).__name__}.{key}"
            yield from written(getattr(part, key))
    elif isinstance(part, dict | list | tuple):
        for inner in part.values() if isinstance(part, dict) else part:
            yield from written(inner)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0][:40])
def test_what_readers_copy_loads_and_keeps_its_examples(block: str, tmp_path: Path) -> None:
    """Through the gateway's own loader, over the tools of the sandbox company."""
    (tmp_path / "policy.yaml").write_text(whole(block), encoding="utf-8")
    load([tmp_path], TOOLS)


def test_every_key_of_the_language_stands_in_a_block() -> None:
    """A key that the code accepts and no example shows does not exist for its readers."""
    shown = {
        key for block in BLOCKS for key in written(parse(whole(block).encode(), PolicyDocument, Path("page")).value)
    }
    assert known() - shown == set()


@pytest.mark.parametrize(("text", "message", "remedy"), MISTAKES, ids=[text for text, _, _ in MISTAKES])
def test_a_mistake_is_told_as_the_page_says(text: str, message: str, remedy: str, tmp_path: Path) -> None:
    """What is wrong, and what to do about it."""
    (tmp_path / "policy.yaml").write_text(whole(text), encoding="utf-8")
    with pytest.raises(StartupError) as caught:
        load([tmp_path], TOOLS)
    assert any(message in problem.message and remedy in problem.remedy for problem in caught.value.problems), str(
        caught.value
    )


def test_a_policy_is_tried_and_changed_as_the_page_says(reader: Played) -> None:
    """Checked, tested, edited hot, and kept when an edit is broken: on a running demo."""
    reader.console.play(*PAGE.blocks("console"))
