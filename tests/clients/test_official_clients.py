"""The official clients, unmodified, against a running gateway: what each hands on to its host (docs/clients.md).

A client that validates results throws away one that does not fit the listed schema, so a step that came back at all
passed that client's own validation.
"""

from __future__ import annotations

import json

import jsonschema
import pytest

from gateway.content import MAX_CONTENT_BYTES
from gateway.tools.own_tools import PUBLISHED
from tests.acme import Acme
from tests.clients.conftest import CENTS, Serving
from tests.clients.many_tools import COUNT
from tests.clients.players import CLIENTS, inspected
from tests.clients.story import ERRORS, SHORT, STATUSES, Played


def test_a_client_lists_every_tool_that_policy_grants(played: Played) -> None:
    """Rule 2: the list arrives whole, in the order of the names; one bad tool would have emptied it."""
    assert list(played.tools) == sorted(played.tools)
    assert {"billing_refund", "crm_find_customer", "tickets_reply", *PUBLISHED} <= set(played.tools)
    assert not any(name.startswith("shelf_") for name in played.tools)


def test_both_halves_of_every_answer_say_the_same(played: Played, client: str) -> None:
    """I-14: text and structured content are one envelope as the client hands it on, errors included."""
    steps = SHORT & set(STATUSES) if client == "inspector" else set(STATUSES)
    assert set(played.handed) == steps
    for step, handed in played.handed.items():
        assert handed.structured is not None, step
        assert json.loads(handed.text) == handed.structured, step
        assert handed.structured["status"] == STATUSES[step], handed
        assert handed.is_error is (STATUSES[step] in ERRORS), step


def test_every_answer_fits_the_schema_that_the_client_was_given(played: Played) -> None:
    """Rules 8 and 10: whatever came of a call, its envelope is valid against the output schema as it was listed."""
    tools = {"read": "billing_lookup_invoice", "later": "get_action", "mine": "list_my_actions"}
    for step, handed in played.handed.items():
        tool = played.tools[tools.get(step, "billing_refund")]
        jsonschema.Draft7Validator(tool["outputSchema"]).validate(handed.structured)
        jsonschema.Draft202012Validator(tool["outputSchema"]).validate(handed.structured)


def test_a_held_call_is_found_again_by_its_id(played: Played) -> None:
    """H-9: any client can hold on to the action and ask for it."""
    held, later = (played.handed[step].structured for step in ("held", "later"))
    assert held is not None
    assert later is not None
    assert later["action_id"] == held["action_id"]
    assert "get_action" in held["next"]


def test_a_list_of_actions_tells_a_preview_from_what_was_done(played: Played) -> None:
    """A model that lost an answer looks here, and must not take its preview for the write."""
    ids = {step: (played.handed[step].structured or {})["action_id"] for step in ("preview", "write")}
    listed = (played.handed["mine"].structured or {})["data"]["actions"]
    dry = {action["action_id"]: action.get("dry_run", False) for action in listed}
    assert (dry[ids["preview"]], dry[ids["write"]]) == (True, False)


def test_a_tool_that_is_not_there_is_an_error_of_the_protocol(played: Played, client: str) -> None:
    """T-5: the client raises it; the inspector knows by itself that the name was not listed."""
    assert played.raised == {"absent": "tool_not_found" if client == "inspector" else -32602}


def test_each_client_changed_the_record_once(played: Played, client: str, shared_acme: Acme) -> None:
    """V-1, V-8: one effect for the small write and its repeat; none for preview, hold, refusal or a bad argument."""
    amounts = [entry["body"]["cents"] for entry in shared_acme.mutating() if entry["path"].endswith("inv_1001/refunds")]
    assert amounts.count(CENTS[client]) == 1
    assert played.handed["write"].structured is not None
    assert set(amounts) <= set(CENTS.values())
    assert [e for e in shared_acme.mutating() if "inv_1002" in e["path"] or "inv_1003" in e["path"]] == []


def test_the_largest_answer_reaches_every_client(serving: Serving, client: str) -> None:
    """T-2: Python's client gives up on a message of 1 MiB, so what is larger fails at the gateway, in words."""
    largest = MAX_CONTENT_BYTES // 4 * 3
    story = [
        {"name": name, "tool": "gallery_show", "arguments": {"size": size}}
        for name, size in (("fits", largest), ("too-large", largest + 3))
    ]
    handed = CLIENTS[client](serving.gate.url, serving.keys[client], story).handed
    assert (handed["fits"].structured or {})["status"] == "done"
    assert handed["fits"].beside == 1
    assert (handed["too-large"].structured or {})["code"] == "answer_too_large"


@pytest.mark.parametrize("name", [name for name in CLIENTS if name != "inspector"])
@pytest.mark.parametrize(("agent", "count"), [("single", 1), ("crowd", COUNT)])
def test_a_list_of_one_or_a_thousand_tools_arrives_whole(serving: Serving, name: str, agent: str, count: int) -> None:
    """Rule 2: no client gives up on a long list, though one message of it may not pass 1 MiB in Python's."""
    listed = CLIENTS[name](serving.gate.url, serving.keys[agent], []).tools
    assert len(listed) == count + len(PUBLISHED)


@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize(("agent", "count"), [("single", 1), ("crowd", COUNT), ("inspector", None)])
def test_the_inspector_finds_no_schema_that_is_not_portable(
    serving: Serving, era: str, agent: str, count: int | None
) -> None:
    """Rules 3 to 5: the inspector's own portability check has nothing to say, in either era."""
    said = inspected(serving.gate.url, serving.keys[agent], "--method", "tools/list", "--strict", era=era)
    assert "schemaFindings" not in said
    assert count is None or len(said["result"]["tools"]) == count + len(PUBLISHED)
