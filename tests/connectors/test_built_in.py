"""What every built-in connector keeps to, so that it may be copied."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

import connectors
from connectors.billing import Refund
from connectors.crm import CustomerUpdate
from gateway.connector import Connector, Risk, Tool

BUILT_IN = sorted(f"connectors.{file.stem}" for file in Path(str(connectors.__file__)).parent.glob("[!_]*.py"))
MAY_IMPORT = {"gateway.connector", "pydantic", "typing"}
ADDED_BY_THE_CATALOGUE = {"idempotency_key", "dry_run", "reason", "evidence"}
JAVASCRIPT_REFUSES = re.compile(r"\\[-AZz]|\(\?[a-zA-Z]|\(\?P")


def tools() -> list[Tool]:
    loaded = [value for name in BUILT_IN for value in vars(importlib.import_module(name)).values()]
    return [tool for value in loaded if isinstance(value, Connector) for tool in value.tools.values()]


def fields(model: type[BaseModel]) -> dict[str, dict[str, object]]:
    schema = model.model_json_schema()
    models = [schema, *schema.get("$defs", {}).values()]
    return {name: field for each in models for name, field in each["properties"].items()}


def test_the_tools_are_the_promised_ones() -> None:
    """Eight tools over three systems, three of them writes."""
    assert {tool.name: tool.writes for tool in tools()} == {
        "billing_lookup_order": False,
        "billing_lookup_invoice": False,
        "billing_refund": True,
        "crm_find_customer": False,
        "crm_get_customer": False,
        "crm_update_customer": True,
        "tickets_get_ticket": False,
        "tickets_reply": True,
    }


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_connector_imports_only_the_author_surface(name: str) -> None:
    """No HTTP, no secret, no part of the gateway but `gateway.connector`."""
    tree = ast.parse(Path(str(importlib.import_module(name).__file__)).read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported <= MAY_IMPORT


@pytest.mark.parametrize("tool", tools(), ids=lambda tool: tool.name)
def test_a_tool_says_all_that_a_model_needs(tool: Tool) -> None:
    """The description says when to call, every field is described, and patterns are read alike by JavaScript."""
    assert re.search(r"[Cc]all this", tool.description)
    for model in (tool.input_model, tool.output_model):
        for name, field in fields(model).items():
            described = field.get("description") or any("description" in arm for arm in field.get("anyOf", []))  # type: ignore[attr-defined]
            assert described, f"{model.__name__}.{name}"
            assert not JAVASCRIPT_REFUSES.search(str(field.get("pattern", "")))
    assert not ADDED_BY_THE_CATALOGUE & set(tool.input_model.model_fields)


@pytest.mark.parametrize("tool", [tool for tool in tools() if tool.writes], ids=lambda tool: tool.name)
def test_every_write_has_a_preview(tool: Tool) -> None:
    """A write can show what it would do before it does it, whatever its risk."""
    assert tool.previewer is not None


def test_money_is_declared_as_money() -> None:
    """The refund's cents are spend in USD, its risk is high, and it can be sent again under one upstream key."""
    [refund] = [tool for tool in tools() if tool.spend]
    assert (refund.name, refund.spend, refund.currency, refund.risk) == ("billing_refund", "cents", "USD", Risk.HIGH)
    assert refund.connector.idempotency_header == "Idempotency-Key"


def test_what_may_be_sent_twice_says_how_to_find_out() -> None:
    """Writes that append have a lookup by reference (semantics.md I-11); tickets offer no upstream key."""
    by_name = {tool.name: tool for tool in tools()}
    assert by_name["billing_refund"].looker is not None
    assert by_name["tickets_reply"].looker is not None
    assert by_name["tickets_reply"].connector.idempotency_header is None


def test_personal_arguments_are_marked() -> None:
    """Names, addresses and numbers of people are masked where an approver or a terminal sees arguments."""
    by_name = {tool.name: tool.sensitive for tool in tools()}
    assert by_name["crm_find_customer"] == {"email"}
    assert by_name["crm_update_customer"] == {"name", "email", "phone", "shipping_address"}


@pytest.mark.parametrize(
    "arguments",
    [
        {"invoice": "inv_1001/../inv_1002", "cents": 1, "cause": "damaged"},
        {"invoice": "inv_1001\n", "cents": 1, "cause": "damaged"},
        {"invoice": "inv_1001", "cents": 0, "cause": "damaged"},
        {"invoice": "inv_1001", "cents": 16.0, "cause": "damaged"},
        {"invoice": "inv_1001", "cents": "16", "cause": "damaged"},
        {"invoice": "inv_1001", "cents": 500_001, "cause": "damaged"},
        {"invoice": "inv_1001", "cents": 1, "cause": "because"},
        {"invoice": "inv_1001", "cents": 1, "cause": "damaged", "extra": 1},
    ],
)
def test_a_refund_takes_nothing_odd(arguments: dict[str, object]) -> None:
    """Ids hold no slash or newline, amounts are whole cents within bounds, and nothing is extra."""
    with pytest.raises(ValidationError):
        Refund.model_validate(arguments)


def test_an_update_changes_something() -> None:
    """An update that names no field is refused before anything is asked; after a round trip it is the same update."""
    with pytest.raises(ValidationError, match="give at least one of"):
        CustomerUpdate.model_validate({"customer": "cus_ada"})
    update = CustomerUpdate.model_validate({"customer": "cus_ada", "phone": "+46 70 555 01 13"})
    assert CustomerUpdate.model_validate(update.model_dump()).changes() == {"phone": "+46 70 555 01 13"}
