"""The built-in connectors against the real Acme process, with its journal as the witness."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connectors.billing import InvoiceQuery, OrderQuery, Refund, billing
from connectors.crm import CustomerQuery, CustomerUpdate, EmailQuery, crm
from connectors.tickets import Reply, TicketQuery, tickets
from gateway.connector import Input, Preview, Tool, Upstream
from gateway.errors import UpstreamError
from tests.acme import API_KEY, Acme
from tests.connectors.loopback import Loopback, ReadsOnly

TOOLS: dict[str, Tool] = {**billing.tools, **crm.tools, **tickets.tools}
PART = Refund(invoice="inv_1001", cents=1_600, cause="not_received")
WHOLE = Refund(invoice="inv_1002", cents=18_900, cause="duplicate")
TOO_MUCH = Refund(invoice="inv_1004", cents=100, cause="damaged")
MOVED = CustomerUpdate(customer="cus_mei", shipping_address="1-1-1 Daizawa, Setagaya, Tokyo", email="mei@new.example")
SAME = CustomerUpdate(customer="cus_mei", name="Mei Tanaka")
ANSWER = Reply(ticket="tic_2001", text="Your filters are on their way.")
TOO_LATE = Reply(ticket="tic_2004", text="Hello?")


def doing(acme: Acme, reference: str = "act-1") -> Upstream:
    return Loopback(acme.url, API_KEY, reference)


def looking(acme: Acme, reference: str = "act-1") -> Upstream:
    return ReadsOnly(acme.url, API_KEY, reference)


def run(tool: str, args: Input, upstream: Upstream) -> dict[str, Any]:
    answer: dict[str, Any] = asyncio.run(_awaited(TOOLS[tool].run(args, upstream))).model_dump()
    return answer


def preview(tool: str, args: Input, upstream: Upstream) -> Preview:
    previewer = TOOLS[tool].previewer
    assert previewer
    seen: Preview = asyncio.run(_awaited(previewer(args, upstream)))
    return seen


def look_up(tool: str, args: Input, upstream: Upstream) -> tuple[str, Any]:
    looker = TOOLS[tool].looker
    assert looker
    found = asyncio.run(_awaited(looker(args, upstream)))
    return found.state, found.output and found.output.model_dump()


async def _awaited(answer: Any) -> Any:
    return await answer


@pytest.mark.parametrize(
    ("tool", "args", "id"),
    [
        ("billing_lookup_order", OrderQuery(order="ord_1001"), "ord_1001"),
        ("billing_lookup_invoice", InvoiceQuery(invoice="inv_1001"), "inv_1001"),
        ("crm_get_customer", CustomerQuery(customer="cus_ada"), "cus_ada"),
        ("tickets_get_ticket", TicketQuery(ticket="tic_2001"), "tic_2001"),
    ],
)
def test_a_read_gives_the_record_and_nothing_undeclared(acme: Acme, tool: str, args: Input, id: str) -> None:
    """A read answers with its declared fields only: staff notes, warehouse and queue never leave the gateway."""
    answer = run(tool, args, looking(acme))
    assert answer["id"] == id
    assert set(answer) == set(TOOLS[tool].output_model.model_fields)
    assert not {"staff_note", "warehouse", "card_last4", "queue", "etag"} & set(answer)


def test_a_customer_is_found_by_email(acme: Acme) -> None:
    """An address finds its one customer, and an unknown one finds nobody without failing."""
    found = run("crm_find_customer", EmailQuery(email="ada@lindqvist.example"), looking(acme))
    assert found == {"customers": [{"id": "cus_ada", "name": "Ada Lindqvist"}]}
    assert run("crm_find_customer", EmailQuery(email="no@body.example"), looking(acme)) == {"customers": []}


def record(acme: Acme, args: Input) -> dict[str, Any]:
    match args:
        case Refund(invoice=invoice):
            found: dict[str, Any] = acme.client.get(f"/invoices/{invoice}").json()
        case CustomerUpdate(customer=customer):
            found = acme.client.get(f"/customers/{customer}").json()
        case Reply(ticket=ticket):
            found = acme.client.get(f"/tickets/{ticket}").json()
            found = found | {"messages": len(found["messages"]), "last_message": found["messages"][-1]["text"]}
    return found


@pytest.mark.parametrize(
    ("tool", "args"),
    [
        ("billing_refund", PART),
        ("billing_refund", WHOLE),
        ("crm_update_customer", MOVED),
        ("tickets_reply", ANSWER),
    ],
)
def test_what_is_previewed_is_what_happens(acme: Acme, tool: str, args: Input) -> None:
    """A preview changes nothing (V-8), shows the true state before, and the state after that the write then makes."""
    seen = preview(tool, args, looking(acme))
    assert acme.mutating() == []
    before = record(acme, args)
    assert seen.changes
    assert {change.field: change.before for change in seen.changes}.items() <= before.items()
    run(tool, args, doing(acme))
    after = record(acme, args)
    assert {change.field: change.after for change in seen.changes}.items() <= after.items()
    moved = {name for name in after if after[name] != before[name]} - {"etag", "version"}
    assert moved == {change.field for change in seen.changes}
    [arrival] = acme.mutating()
    assert arrival["committed"]


@pytest.mark.parametrize(("tool", "args"), [("billing_refund", TOO_MUCH), ("tickets_reply", TOO_LATE)])
def test_what_would_be_refused_previews_no_change(acme: Acme, tool: str, args: Input) -> None:
    """Where the upstream will refuse, the preview shows no change, and indeed nothing changes."""
    assert preview(tool, args, looking(acme)).changes == ()
    with pytest.raises(UpstreamError) as refused:
        run(tool, args, doing(acme))
    assert refused.value.status == 409
    assert not any(entry["committed"] for entry in acme.journal())


def test_an_update_to_the_same_values_previews_no_change(acme: Acme) -> None:
    """Only fields that differ are in the diff."""
    assert preview("crm_update_customer", SAME, looking(acme)).changes == ()


@pytest.mark.parametrize(
    ("tool", "args", "drift"),
    [
        ("billing_refund", PART, ("POST", "/invoices/inv_1001/refunds", {"cents": 1, "reason": "counter"})),
        ("crm_update_customer", MOVED, ("PATCH", "/customers/cus_mei", {"phone": "+81 3 5550 0000"})),
        ("tickets_reply", ANSWER, ("POST", "/tickets/tic_2001/replies", {"text": "A colleague was faster."})),
    ],
)
def test_drift_shows_in_the_witness(acme: Acme, tool: str, args: Input, drift: tuple[str, str, Any]) -> None:
    """The witness stays equal while the record does, and differs once somebody else changed it (semantics.md H-4)."""
    first, again = preview(tool, args, looking(acme)), preview(tool, args, looking(acme))
    assert first.witness == again.witness
    method, path, body = drift
    acme.client.request(method, path, json=body).raise_for_status()
    assert preview(tool, args, looking(acme)).witness != first.witness


def test_an_update_sends_the_given_fields_on_the_version_it_read(acme: Acme) -> None:
    """The PATCH carries only what was given, under If-Match."""
    run("crm_update_customer", MOVED, doing(acme))
    [patch] = acme.mutating()
    assert set(patch["body"]) == {"shipping_address", "email"}
    assert "if-match" in patch["header_names"]


def test_an_update_never_overwrites_another_edit(acme: Acme) -> None:
    """When the record moves between the read and the edit, the edit is refused with 412 and changes nothing."""

    class Raced(Loopback):
        async def patch(self, path: str, body: Any = None, *, if_match: str | None = None) -> Any:
            await super().patch(path, {"phone": "+81 3 5550 0000"})
            return await super().patch(path, body, if_match=if_match)

    with pytest.raises(UpstreamError) as refused:
        run("crm_update_customer", MOVED, Raced(acme.url, API_KEY))
    assert refused.value.status == 412
    assert acme.client.get("/customers/cus_mei").json()["email"] == "mei@tanaka.example"


@pytest.mark.parametrize(("tool", "args"), [("billing_refund", PART), ("tickets_reply", ANSWER)])
def test_a_lookup_tells_done_from_not_done(acme: Acme, tool: str, args: Input) -> None:
    """A lookup finds its own write with the answer the caller would have had, and no other's (semantics.md I-11)."""
    assert look_up(tool, args, looking(acme)) == ("not_done", None)
    made = run(tool, args, doing(acme))
    assert look_up(tool, args, looking(acme)) == ("done", made)
    assert look_up(tool, args, looking(acme, "act-2")) == ("not_done", None)
    run(tool, args, doing(acme))
    assert look_up(tool, args, looking(acme)) == ("ambiguous", None)
