"""Every schema that goes out, against the rules that clients are known to break on; read from the wire."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from mcp import MCPError

from gateway.tools.own_tools import PUBLISHED
from gateway.wire.pages import MAX_PAGE_BYTES, page, paged
from tests.clients.conftest import Serving
from tests.clients.players import CLIENTS, STATELESS
from tests.clients.story import Tool

SUBSET = {"type", "properties", "required", "items", "enum", "description", "additionalProperties"}
LIMITS = {"minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "pattern"}
"""What a client that validates arguments may use; what it means is said in words as well."""

Node = dict[str, Any]


@pytest.fixture(scope="module", params=["support", "shelf"])
def tools(request: pytest.FixtureRequest, serving: Serving) -> list[Tool]:
    """What two agents are offered: Acme's tools and the gateway's own; a thousand of one kind, of which a few."""
    agent = "inspector" if request.param == "support" else "crowd"
    listed = CLIENTS[f"python-{STATELESS}"](serving.gate.url, serving.keys[agent], []).tools
    return [*listed.values()][:40]


def nodes(schema: Node, path: str = "", level: int = 0) -> Iterator[tuple[str, int, Node]]:
    """Every schema inside a schema, where it is, and how many layers of properties lie above it."""
    yield path, level, schema
    for name, member in schema.get("properties", {}).items():
        yield from nodes(member, f"{path}.{name}", level + 1)
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]", level)


def test_names_are_short_and_plain_and_unique(tools: list[Tool]) -> None:
    """Rule 1: behind the longest prefix that a client adds, a name still passes in every client."""
    names = [tool["name"] for tool in tools]
    assert len(set(names)) == len(names)
    for name in names:
        assert re.fullmatch(r"[a-z][a-z0-9_]{0,47}", name)
        assert "__" not in name
        assert len(f"mcp__holdgate__{name}") <= 60


def test_roots_are_plain_objects_and_no_member_is_null(tools: list[Tool]) -> None:
    """Rules 2 and 3: one bad root or null empties the list in the TypeScript clients."""
    for tool in tools:
        assert None not in tool.values()
        for schema in (tool["inputSchema"], tool["outputSchema"]):
            assert schema["type"] == "object"
            assert not {"oneOf", "anyOf", "allOf", "not", "if", "enum", "$schema", "$id", "$ref"} & set(schema)


def test_every_node_is_of_the_subset_that_all_clients_read(tools: list[Tool]) -> None:
    """Rules 3 to 5: one plain type, properties on objects, items on lists, text enums, names of plain letters."""
    for tool in tools:
        for kind, allowed in (("inputSchema", SUBSET | LIMITS), ("outputSchema", SUBSET)):
            for path, _, node in nodes(tool[kind]):
                where = f"{tool['name']} {kind}{path}"
                assert set(node) <= allowed, where
                assert isinstance(node["type"], str), where
                assert node["type"] != "null", where
                assert ("properties" in node) is (node["type"] == "object"), where
                assert ("items" in node) is (node["type"] == "array"), where
                assert all(isinstance(choice, str) for choice in node.get("enum", [])), where
                assert all(re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) for name in node.get("properties", {})), where


def test_arguments_stay_within_what_codex_keeps(tools: list[Tool]) -> None:
    """Rule 6: under 4,000 bytes and two levels, and each argument is described."""
    for tool in tools:
        schema = tool["inputSchema"]
        assert len(json.dumps(schema, separators=(",", ":")).encode()) < 4_000
        assert schema["additionalProperties"] is False
        assert max(level for _, level, _ in nodes(schema)) <= 2
        assert all(member.get("description") for member in schema["properties"].values()), tool["name"]


def test_limits_are_said_in_words_too(tools: list[Tool]) -> None:
    """Rule 6: no keyword of a limit reaches Codex's model."""
    for tool in tools:
        for path, _, node in nodes(tool["inputSchema"]):
            words = node.get("description", "").replace(",", "")
            for keyword in LIMITS & set(node) - {"pattern"}:
                near = {str(node[keyword]), str(node[keyword] - 1), str(node[keyword] + 1)}
                assert any(number in words for number in near) or "pattern" in node, f"{tool['name']}{path}: {keyword}"


def test_all_four_hints_are_given(tools: list[Tool]) -> None:
    """Rule 15: a missing hint counts as the worst."""
    hints = {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
    assert all(hints <= set(tool["annotations"]) for tool in tools)


def test_descriptions_are_short_enough(tools: list[Tool]) -> None:
    """Rule 17: VS Code cuts longer ones for some models, Claude Code at 2 KB."""
    assert all(0 < len(tool["description"]) <= 1_024 for tool in tools)


def test_schemas_are_valid_in_both_dialects(tools: list[Tool]) -> None:
    """Rule 5: without `$schema` some clients read draft-07, some 2020-12."""
    for tool in tools:
        for schema in (tool["inputSchema"], tool["outputSchema"]):
            jsonschema.Draft7Validator.check_schema(schema)
            jsonschema.Draft202012Validator.check_schema(schema)
            for _, _, node in nodes(schema):
                assert not re.search(r"\\-|\(\?[a-zP]|\\A|\\Z", node.get("pattern", "")), tool["name"]


def test_a_list_is_one_page_until_it_is_too_long_for_one_message() -> None:
    """Rule 13: most clients read one page, so there is a second one only where the first could not arrive."""
    tools = [{"name": f"shelf_look_{number}", "description": "x" * 900} for number in range(2_500)]
    assert [len(part) for part in paged(tools[:1_000])] == [1_000]
    assert paged([]) == [[]]
    pages = paged(tools)
    assert [tool for part in pages for tool in part] == tools
    assert all(len(json.dumps(part)) < MAX_PAGE_BYTES * 1.02 for part in pages)
    read, cursor = [], None
    for _ in pages:
        answer = page(pages, cursor)
        read += answer["tools"]
        cursor = answer.get("nextCursor")
    assert (read, cursor) == (tools, None)


def test_a_cursor_that_no_page_gave_is_refused() -> None:
    """A made-up cursor is an invalid request and never an empty list, over which a client would find no tool."""
    with pytest.raises(MCPError, match="Unknown cursor") as raised:
        page(paged([{"name": name} for name in PUBLISHED]), "nonsense")
    assert raised.value.error.code == -32602
