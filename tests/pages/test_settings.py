"""docs/settings.md says of each setting what gateway/settings.py says of it, and names no other."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from gateway import settings
from tests.pages.page import Page, told

PAGE = Page("docs/settings.md")
TOLD = told(settings)

SECTIONS: dict[str, type[BaseModel]] = {
    "At the top": settings.Settings,
    "Under `listen`": settings.Listen,
    "Under `connector`, by connector name": settings.ConnectorSettings,
    "Under `vault`, with `kind: local`": settings.LocalVaultSettings,
    "Under `vault`, with `kind: hashicorp`": settings.HashicorpVaultSettings,
    "Under `limits`": settings.LimitSettings,
    "Under `telemetry`": settings.TelemetrySettings,
    "Under `telemetry: prometheus`": settings.PrometheusSettings,
}
"""Heading of a section -> the model whose keys it lists."""


def rows(model: type[BaseModel]) -> list[str]:
    """The table's rows, as the code has them."""
    return [
        f"| `{name}` | {_default(field.is_required(), field.default)} | {TOLD[model.__name__][name]} |"
        for name, field in model.model_fields.items()
    ]


def _default(required: bool, value: object) -> str:
    if required:
        return "required"
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, bool) or value is None:
        return {True: "`true`", False: "`false`", None: "none"}[value]
    return f"`{value}`" if value not in ([], {}) else "none"


def test_every_part_of_the_settings_has_its_section() -> None:
    """A model that is added to the settings is added to the page."""
    models = {
        model
        for name, model in vars(settings).items()
        if isinstance(model, type) and issubclass(model, BaseModel) and model is not BaseModel and name[0] != "_"
    }
    assert models == set(SECTIONS.values())


@pytest.mark.parametrize("title", SECTIONS)
def test_a_section_lists_the_keys_of_its_part_and_no_other(title: str) -> None:
    """Key, default and text are those of the code: what is undocumented there, or differs here, fails."""
    model = SECTIONS[title]
    assert all(text for text in TOLD[model.__name__].values()), "every setting says what it does"
    section = PAGE.section(title)
    assert TOLD[model.__name__][""] in " ".join(section.split())
    assert [line for line in section.splitlines() if line.startswith("| `")] == rows(model)
