"""The pages of words an operator or an agent meets: no code and no setting is missing, and none is made up."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel

from gateway import settings
from gateway.errors import CODES

DOCS = Path(__file__).resolve().parents[1] / "docs"
MODELS = [
    model
    for name, model in vars(settings).items()
    if isinstance(model, type)
    and issubclass(model, BaseModel)
    and model.__module__ == settings.__name__
    and name[0] != "_"
]


def first_column(page: str) -> set[str]:
    """The words at the beginning of a table's rows."""
    return set(re.findall(r"^\| `(\w+)` \|", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE))


def test_every_code_is_on_its_page_and_no_other() -> None:
    """An agent's author finds each stable code, and no code that is never sent."""
    assert first_column("codes.md") == set(CODES)


def test_a_code_is_told_as_it_is() -> None:
    """Retry and next step stand on the page as an agent gets them."""
    page = (DOCS / "codes.md").read_text(encoding="utf-8")
    for code in CODES.values():
        assert f"| `{code.name}` | {code.retry} | {code.next} |" in page


def test_every_setting_is_on_its_page_and_no_other() -> None:
    """What holdgate.yaml may hold is on the page, and nothing that would stop the start."""
    assert first_column("settings.md") == {name for model in MODELS for name in model.model_fields}
