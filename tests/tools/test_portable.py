"""The projection of schemas to what every client takes (docs/clients.md)."""

from __future__ import annotations

import datetime
import json
from enum import Enum
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from pydantic import BaseModel, ConfigDict, Field

from gateway.connector import Input
from gateway.tools.portable import NotPortable, project
from gateway.tools.rules import MAX_BYTES


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Address(Input):
    street: Annotated[str, Field(max_length=80, description="Street and number")]
    country: Literal["de", "fr"] | None = None


class Everything(Input):
    name: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^\w+$")]
    cents: Annotated[int, Field(gt=0, lt=100)]
    share: Annotated[float, Field(gt=0)] = 0.5
    colour: Colour = Colour.RED
    always: Literal["yes"] = "yes"
    day: datetime.date | None = None
    address: Address | None = None
    tags: Annotated[list[str], Field(max_length=3)] = Field(default_factory=list)
    sure: bool = False


def projected(model: type[BaseModel], **options: Any) -> dict[str, Any]:
    return project(model.model_json_schema(), tool="shop_everything", **options)


def keywords(schema: Any) -> set[str]:
    """Every schema keyword in use, names of properties left out."""
    if not isinstance(schema, dict):
        return set()
    below = [*schema.get("properties", {}).values(), schema.get("items")]
    return set(schema) | {word for node in below for word in keywords(node)}


def test_only_keywords_of_the_portable_subset_remain() -> None:
    """Rules 3 and 5: no reference, union, constant, default, title or format goes out."""
    schema = projected(Everything)
    assert keywords(schema) <= {
        *("type", "properties", "required", "items", "enum", "description", "additionalProperties"),
        *("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "pattern"),
    }
    assert schema["required"] == ["name", "cents"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["address"]["additionalProperties"] is False
    assert schema["properties"]["colour"]["enum"] == ["red", "blue"]
    assert schema["properties"]["always"]["enum"] == ["yes"]
    assert all(isinstance(member["type"], str) for member in schema["properties"].values())


def test_what_the_model_accepts_the_projection_accepts() -> None:
    """A client that validates must not stop a good call."""
    good = Everything(name="a", cents=5, day=datetime.date(2026, 11, 21), address=Address(street="x"), tags=["t"])
    jsonschema.validate(json.loads(good.model_dump_json(exclude_none=True)), projected(Everything))


def test_limits_are_said_in_words_too() -> None:
    """Rule 6: some clients pass only the description on to the model."""
    properties = projected(Everything)["properties"]
    assert "1 to 40 characters." in properties["name"]["description"]
    assert r"Must match `^\w+$`." in properties["name"]["description"]
    assert "More than 0. Less than 100." in properties["cents"]["description"]
    assert (properties["cents"]["minimum"], properties["cents"]["maximum"]) == (1, 99)
    assert "Format: date." in properties["day"]["description"]
    assert "At most 3 items." in properties["tags"]["description"]
    assert properties["address"]["properties"]["street"]["description"] == "Street and number. At most 80 characters."


def test_a_limit_of_one_is_said_of_one() -> None:
    """A model reads `At most 1 character.`, and not `1 characters`."""

    class Few(Input):
        name: Annotated[str, Field(max_length=1)]
        tags: Annotated[list[str], Field(min_length=1, max_length=2)]

    properties = projected(Few)["properties"]
    assert "At most 1 character." in properties["name"]["description"]
    assert "At least 1 item. At most 2 items." in properties["tags"]["description"]


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        (r"^inv_\w+$", True),
        (r"^[A-Z]{2}\d+$", True),
        (r"^(?:a|b)$", True),
        (r"(?i)abc", False),
        (r"\Aabc", False),
        (r"a\-b", False),
        (r"(?P<x>a)", False),
        (r"a++", False),
        (r"\p{L}+", False),
    ],
)
def test_a_pattern_goes_out_only_when_javascript_reads_it_alike(pattern: str, kept: bool) -> None:
    """Rule 7: one pattern that throws kills the whole list; the words say it in any case."""
    schema = {"type": "object", "properties": {"x": {"type": "string", "pattern": pattern}}}
    member = project(schema)["properties"]["x"]
    assert ("pattern" in member) is kept
    assert pattern in member["description"]


class Tree(Input):
    children: list[Tree]


class Level3(Input):
    x: str


class Level2(Input):
    level3: Level3


class Level1(Input):
    level2: Level2


class Number(Enum):
    ONE = 1


def model_with(annotation: Any) -> type[BaseModel]:
    return type("Model", (BaseModel,), {"__annotations__": {"field": annotation}, "model_config": ConfigDict()})


@pytest.mark.parametrize(
    ("annotation", "path", "client"),
    [
        (str | int, "field", "Cursor"),
        (Tree, "field.children[]", "Gemini"),
        (dict[str, str], "field", "OpenAI"),
        (Any, "field", "OpenAI"),
        (list, "field", "Copilot"),
        (tuple[int, str], "field", "Cursor"),
        (Number, "field", "Gemini"),
        (Literal[1], "field", "Gemini"),
        (str | None, "field", "Gemini"),
        (Level1, "field.level2", "Codex"),
        (Annotated[str, Field(description="long " * 1_000)], "", "Codex"),
        (Annotated[str, Field(alias="no spaces please")], "no spaces please", "Anthropic"),
    ],
)
def test_what_cannot_be_projected_stops_the_start_and_says_who_would_break(
    annotation: Any, path: str, client: str
) -> None:
    """Rules 3-6: tool, path, reason and client are named, before any agent meets the tool."""
    with pytest.raises(NotPortable) as raised:
        projected(model_with(annotation))
    (finding,) = raised.value.findings
    assert finding.tool == "shop_everything"
    assert (finding.part, finding.path) == ("arguments", path)
    assert any(client in name for name in finding.rule.breaks)
    assert finding.remedy in str(raised.value)


def test_a_union_at_the_root_is_refused() -> None:
    """Rule 3: Claude Code drops such a tool silently."""
    with pytest.raises(NotPortable, match="union"):
        project({"anyOf": [{"type": "object"}, {"type": "string"}]}, tool="shop_x")


def test_a_result_schema_says_types_only_and_leaves_out_what_may_be_null() -> None:
    """Rule 8: an answer that was cut or masked is still valid, and null members are dropped from it."""
    schema = project(Everything.model_json_schema(mode="serialization"), tool="x", result=True, levels=3)
    assert keywords(schema) <= {"type", "properties", "required", "items", "description"}
    assert "One of: red, blue." in schema["properties"]["colour"]["description"]
    nullable = project(model_with(str | None).model_json_schema(mode="serialization"), result=True)
    assert "required" not in nullable
    with pytest.raises(NotPortable, match="null"):
        project(model_with(list[str | None]).model_json_schema(), result=True)


def test_an_empty_model_still_has_properties() -> None:
    """Rule 4: an object without `properties` makes OpenAI refuse the whole request."""
    assert projected(type("Empty", (Input,), {})) == {"type": "object", "properties": {}, "additionalProperties": False}
    assert MAX_BYTES == 4_000
