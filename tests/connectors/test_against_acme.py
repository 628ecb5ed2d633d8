"""The built-in connectors through a real gateway, against the real Acme process, with its journal as the witness."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from connectors.billing import billing
from connectors.crm import crm
from connectors.tickets import tickets
from gateway.connector import Tool
from gateway.testing import Harness, assert_no_credential_seen, assert_preview_is_pure, assert_single_effect, human
from tests.acme import API_KEY, Acme

pytestmark = pytest.mark.anyio

CONNECTORS = (billing, crm, tickets)
TOOLS: dict[str, Tool] = {name: tool for connector in CONNECTORS for name, tool in connector.tools.items()}
PART = {"invoice": "inv_1001", "cents": 1_600, "cause": "not_received"}
WHOLE = {"invoice": "inv_1002", "cents": 18_900, "cause": "duplicate"}
TOO_MUCH = {"invoice": "inv_1004", "cents": 100, "cause": "damaged"}
MOVED = {"customer": "cus_mei", "shipping_address": "1-1-1 Daizawa, Setagaya, Tokyo", "email": "mei@new.example"}
SAME = {"customer": "cus_mei", "name": "Mei Tanaka"}
ANSWER = {"ticket": "tic_2001", "text": "Your filters are on their way."}
TOO_LATE = {"ticket": "tic_2004", "text": "Hello?"}
ANOTHER = {
    "billing_refund": ("/invoices/inv_1001/refunds", {"cents": 1, "reason": "counter", "reference": "another"}),
    "tickets_reply": ("/tickets/tic_2001/replies", {"text": "Hello.", "reference": "another"}),
}
"""What somebody else writes to the same record."""

ATTEMPTS = {"billing_refund": 3, "tickets_reply": 1}
"""How often the door sends one dispatch: billing deduplicates."""
LONG_ENOUGH = 40.0
"""Seconds after which a lookup that finds nothing is definite, for every tool."""


@pytest.fixture
async def gate(acme: Acme) -> AsyncIterator[Harness[Acme]]:
    """A gateway that allows everything."""
    async with Harness(*CONNECTORS, upstream=acme, secret=API_KEY) as gate:
        yield gate
        await assert_no_credential_seen(gate)


def record(acme: Acme, args: dict[str, Any]) -> dict[str, Any]:
    """The record that a write changes, without what moves by itself."""
    kind = next(name for name in ("invoice", "customer", "ticket") if name in args)
    found: dict[str, Any] = acme.client.get(f"/{kind}s/{args[kind]}").json()
    if kind == "ticket":
        found |= {"messages": len(found["messages"]), "last_message": found["messages"][-1]["text"]}
    return {name: value for name, value in found.items() if name not in ("etag", "version")}


@pytest.mark.parametrize(
    ("tool", "args"),
    [
        ("billing_lookup_order", {"order": "ord_1001"}),
        ("billing_lookup_invoice", {"invoice": "inv_1001"}),
        ("crm_get_customer", {"customer": "cus_ada"}),
        ("tickets_get_ticket", {"ticket": "tic_2001"}),
    ],
)
async def test_a_read_gives_the_record_and_nothing_undeclared(
    gate: Harness[Acme], tool: str, args: dict[str, Any]
) -> None:
    """A read answers with its declared fields only: staff notes, warehouse and queue never leave the gateway."""
    answer = (await gate.call(tool, args)).data or {}
    assert answer["id"] in args.values()
    assert set(answer) == set(TOOLS[tool].output_model.model_fields)
    assert not {"staff_note", "warehouse", "card_last4", "queue", "etag"} & set(answer)


async def test_a_customer_is_found_by_email(gate: Harness[Acme]) -> None:
    """An address finds its one customer, and an unknown one finds nobody without failing."""
    found = await gate.call("crm_find_customer", {"email": "ada@lindqvist.example"})
    assert found.data == {"customers": [{"id": "cus_ada", "name": "Ada Lindqvist"}]}
    assert (await gate.call("crm_find_customer", {"email": "no@body.example"})).data == {"customers": []}


@pytest.mark.parametrize(
    ("tool", "args"),
    [
        ("billing_refund", PART),
        ("billing_refund", WHOLE),
        ("crm_update_customer", MOVED),
        ("tickets_reply", ANSWER),
    ],
)
async def test_what_is_previewed_is_what_happens(
    gate: Harness[Acme], acme: Acme, tool: str, args: dict[str, Any]
) -> None:
    """A preview changes nothing (V-8), shows the true state before, and the state after that the write then makes."""
    await assert_preview_is_pure(gate, tool, args, record=lambda: record(acme, args))
    assert len(acme.effects) == 1


@pytest.mark.parametrize("answer_lost", [False, True])
@pytest.mark.parametrize(
    ("tool", "args"), [("billing_refund", PART), ("crm_update_customer", MOVED), ("tickets_reply", ANSWER)]
)
async def test_an_equal_write_has_one_effect(
    gate: Harness[Acme], tool: str, args: dict[str, Any], answer_lost: bool
) -> None:
    """I-12: at once, again, and when the answer is lost; then the CRM, which cannot be asked, is unknown."""
    outcome = await assert_single_effect(gate, tool, args, answer_lost=answer_lost)
    assert outcome.status == ("unknown" if answer_lost and tool == "crm_update_customer" else "replayed")


@pytest.mark.parametrize(("tool", "args"), [("billing_refund", TOO_MUCH), ("tickets_reply", TOO_LATE)])
async def test_what_would_be_refused_previews_no_change(
    gate: Harness[Acme], acme: Acme, tool: str, args: dict[str, Any]
) -> None:
    """Where the upstream will refuse, the preview shows no change, and indeed nothing changes."""
    previewed = await gate.call(tool, args, dry_run=True)
    assert (previewed.status, previewed.diff) == ("previewed", [])
    refused = await gate.call(tool, args)
    assert (refused.status, refused.code) == ("failed", "upstream_rejected")
    assert [entry["status"] for entry in acme.writes] == [409]
    assert not acme.effects


async def test_an_update_to_the_same_values_previews_no_change(gate: Harness[Acme]) -> None:
    """Only fields that differ are in the diff."""
    assert (await gate.call("crm_update_customer", SAME, dry_run=True)).diff == []


@pytest.mark.parametrize("drifts", [False, True])
@pytest.mark.parametrize(
    ("tool", "args", "drift"),
    [
        ("billing_refund", PART, ("POST", "/invoices/inv_1001/refunds", {"cents": 1, "reason": "counter"})),
        ("crm_update_customer", MOVED, ("PATCH", "/customers/cus_mei", {"phone": "+81 3 5550 0000"})),
        ("tickets_reply", ANSWER, ("POST", "/tickets/tic_2001/replies", {"text": "A colleague was faster."})),
    ],
)
async def test_an_approval_is_for_the_record_as_it_was_shown(
    acme: Acme, tool: str, args: dict[str, Any], drift: tuple[str, str, Any], drifts: bool
) -> None:
    """The witness stays equal while the record does, and differs once somebody else changed it (semantics.md H-4)."""
    policy = {"tools": {tool: "hold"}, "approval": {"from": ["finance"], "count": 1}}
    async with Harness(*CONNECTORS, upstream=acme, secret=API_KEY, policy=policy) as gate:
        asked = await gate.call(tool, args)
        assert asked.diff
        if drifts:
            method, path, body = drift
            acme.client.request(method, path, json=body).raise_for_status()
        assert (await gate.approve(asked, as_=human("fay", "finance"))).accepted
        ended = await gate.settled(asked)
        assert (ended.status, ended.code) == (("refused", "hold_stale") if drifts else ("done", None))


async def test_an_update_sends_the_given_fields_on_the_version_it_read(gate: Harness[Acme], acme: Acme) -> None:
    """The PATCH carries only what was given, under If-Match."""
    await gate.call("crm_update_customer", MOVED)
    [patch] = acme.writes
    assert set(patch["body"]) == {"shipping_address", "email"}
    assert "if-match" in patch["header_names"]


async def test_an_update_never_overwrites_another_edit(gate: Harness[Acme], acme: Acme) -> None:
    """When the record moves between the read and the edit, the edit is refused with 412 and changes nothing."""
    acme.fault("wait_for_release", "before", method="PATCH")
    update = asyncio.create_task(gate.call("crm_update_customer", MOVED))
    await asyncio.to_thread(acme.wait_for_parked)
    acme.client.patch("/customers/cus_mei", json={"phone": "+81 3 5550 0000"}).raise_for_status()
    acme.release()
    assert (await update).code == "upstream_rejected"
    assert [entry["status"] for entry in acme.writes] == [412, 200]
    assert acme.client.get("/customers/cus_mei").json()["email"] == "mei@tanaka.example"


@pytest.mark.parametrize(("tool", "args"), [("billing_refund", PART), ("tickets_reply", ANSWER)])
@pytest.mark.parametrize("happened", [True, False])
async def test_a_lookup_tells_done_from_not_done(
    gate: Harness[Acme], acme: Acme, tool: str, args: dict[str, Any], happened: bool
) -> None:
    """A lookup finds its own write with the answer the caller would have had, and no other's (semantics.md I-11)."""
    path, body = ANOTHER[tool]
    acme.client.post(path, json=body).raise_for_status()
    acme.forget()
    acme.fault("drop_after" if happened else "drop_before", method="POST", times=ATTEMPTS[tool])
    lost = await gate.call(tool, args)
    assert lost.status == "unknown"
    await gate.advance(LONG_ENOUGH)
    ended = await gate.settled(lost)
    if happened:
        assert ended.status == "done"
        assert set(ended.data or {}) == set(TOOLS[tool].output_model.model_fields)
    else:
        assert (ended.status, ended.code) == ("failed", "upstream_failed")
    assert len(acme.effects) == happened


@pytest.mark.parametrize(("tool", "args"), [("billing_refund", PART), ("tickets_reply", ANSWER)])
async def test_a_lookup_that_finds_two_tells_nothing(
    gate: Harness[Acme], acme: Acme, tool: str, args: dict[str, Any]
) -> None:
    """Two writes under one reference are nothing to choose from: the outcome stays unknown, for an operator."""
    acme.fault("drop_after", method="POST", times=ATTEMPTS[tool])
    lost = await gate.call(tool, args)
    sent = acme.writes[0]
    acme.client.post(sent["path"], json=sent["body"]).raise_for_status()
    await gate.advance(LONG_ENOUGH)
    assert (await gate.call("get_action", {"action_id": lost.action_id})).status == "unknown"
