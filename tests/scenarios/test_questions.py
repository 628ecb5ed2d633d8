"""Questions of a tool to its caller's client: whom they reach, and what they can never do."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.context import ClientRequestContext
from mcp.client.stdio import stdio_client
from mcp_types import CreateMessageResult, ElicitRequestParams, ElicitResult, TextContent

from gateway.connector import Askable, Connector, Nothing, Output, Risk, Upstream
from gateway.errors import StartupError
from tests.acme import API_KEY, Acme
from tests.gate import gate, request
from tests.house import house
from tests.place import ROOT, Place
from tests.scenarios.asking import ANSWERED, asked, granting, put, told
from tests.sdk import ERAS, sdk_client

pytestmark = pytest.mark.anyio


class Done(Output):
    """That is all."""


@pytest.mark.parametrize("era", ERAS)
async def test_one_tool_asks_clients_of_both_eras(asking: Place, acme: Acme, era: str) -> None:
    """Q-3: over a session the gateway asks; in the modern era the client calls again. The tool cannot tell."""
    heard: list[str] = []

    async def form(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        heard.append(params.message)
        return ElicitResult(action="accept", content={"invoice": "inv_1001"})

    async def model(context: ClientRequestContext, params: Any) -> CreateMessageResult:
        heard.append(params.messages[0].content.text)
        return CreateMessageResult(role="assistant", content=TextContent(text="Not much."), model="none")

    with gate(asking) as gateway:
        callbacks = {"elicitation_callback": form, "sampling_callback": model}
        async with sdk_client(gateway.url, asking.keys["bot"], era, **callbacks) as client:
            one = (await client.call_tool("ask_invoice", {})).structured_content
            assert (one["status"], one["data"]["id"]) == ("done", "inv_1001")
            two = (await client.call_tool("ask_twice", {})).structured_content
            assert two["data"] == {"id": "inv_1001", "said": "Not much."}
    assert heard == ["Which invoice?", "Which invoice?", "What of it?"]


def test_a_question_ends_a_call_without_effect_and_its_answer_is_a_call_of_its_own(asking: Place) -> None:
    """Q-3: on the ledger stand an end that asked, and an intent that names it; neither holds an answer."""
    with gate(asking) as gateway:
        question = asked(gateway)
        assert question["resultType"] == "input_required"
        assert question["inputRequests"]["which"]["method"] == "elicitation/create"
        envelope = told(asked(gateway, inputResponses=ANSWERED, requestState=question["requestState"]))
        assert (envelope["status"], envelope["data"]["id"]) == ("done", "inv_1001")
        known = gateway.call("get_action", {"action_id": asking.lines(event="INTENT")[0]["action"]})
        assert (known["status"], known["code"]) == ("asked", "input_required")
        (intent, again), (asks, done) = asking.lines(event="INTENT"), asking.lines(event="OUTCOME")
        assert asking.verify().findings == []
    assert (asks["status"], asks["state"], asks["code"]) == ("asked", "failed", "input_required")
    assert again["continues"] == asks["action"] == intent["action"]
    assert again["action"] == done["action"] == envelope["action_id"]
    assert done["status"] == "done"
    assert "inv_1001" not in json.dumps([intent, again, asks, done])


def test_what_people_must_agree_to_is_never_asked_through_the_agents_client(asking: Place) -> None:
    """Q-1: a held call waits for a human, whatever its client could be asked and answers."""
    asking.write_policy(granting({"plain_refund": "hold"}, approval={"from": ["finance"]}))
    with gate(asking) as gateway:
        refund = {"invoice": "inv_1001", "cents": 5, "reason": "goodwill"}
        held = told(asked(gateway, "plain_refund", refund, inputResponses=ANSWERED))
        assert held["status"] == "held"


def test_a_write_that_would_ask_is_refused_at_load() -> None:
    """Q-2: what a write needs to know it is told as arguments, where policy and people see it."""
    shop = Connector("shop", base_url="https://shop.example")

    async def pay(args: Nothing, upstream: Upstream, caller: Askable) -> Done:
        """Pay."""
        return Done()

    with pytest.raises(StartupError, match="shop_pay is a write, and would ask its caller"):
        shop.write(risk=Risk.LOW)(pay)
    assert shop.read()(pay).asks


async def test_a_write_that_asks_all_the_same_is_refused_and_its_effect_is_told_truly(
    asking: Place, acme: Acme
) -> None:
    """Q-2: no question leaves a write, whether anything was sent or not; what was done is done, once."""
    async with house(asking) as gateway:
        before = await put(gateway, "ask_before_paying", {"invoice": "inv_1001"})
        assert (before.status, before.code, dict(before.asks)) == ("failed", "question_refused", {})
        assert acme.mutating() == []
        after = await put(gateway, "ask_after_paying", {"invoice": "inv_1001"})
        assert (after.status, after.code, dict(after.asks)) == ("done", "question_refused", {})
        again = await put(gateway, "ask_after_paying", {"invoice": "inv_1001"})
        assert again.status == "replayed"
    assert len(acme.mutating()) == 1


def test_a_client_is_asked_only_what_it_has_declared(asking: Place) -> None:
    """Q-6: on the modern wire 400 and -32021 with what is missing; over a session an answer that says so."""
    with gate(asking) as gateway:
        undeclared = ({}, {"sampling": {}}, {"elicitation": {"url": {}}})
        for can in undeclared:
            assert asked(gateway, can=can)["error"]["data"] == {"requiredCapabilities": {"elicitation": {}}}
        headers, body = request("ask_invoice", {}, key=asking.keys["bot"])
        answer = httpx2.post(gateway.url, headers=headers, content=body, trust_env=False)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32021)
        ends = asking.lines(event="OUTCOME")
    assert {(line["status"], line["code"]) for line in ends} == {("failed", "cannot_ask")}


@pytest.mark.parametrize("era", ERAS)
async def test_over_a_pipe_the_client_can_be_asked_too(asking: Place, era: str) -> None:
    """Q-3: a stdio client of either era, without any setting."""

    async def form(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        return ElicitResult(action="accept", content={"invoice": "inv_1001"})

    program, *arguments = asking.holdgate
    server = StdioServerParameters(command=program, args=[*arguments, "serve", "--stdio"], cwd=ROOT)
    async with Client(stdio_client(server), mode=era, elicitation_callback=form) as client:
        answer = (await client.call_tool("ask_invoice", {})).structured_content
    assert (answer["status"], answer["data"]["id"]) == ("done", "inv_1001")


@pytest.mark.parametrize("sessions", [True, False])
async def test_where_nobody_can_be_asked_the_call_says_so(asking: Place, sessions: bool) -> None:
    """Q-6: a handshake client that declared nothing, or that has no session, gets an envelope and no hanging call."""
    asking.write_settings(listen={"port": asking.port, "sessions": sessions})

    async def form(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        raise AssertionError("nobody was to be asked")

    with gate(asking) as gateway:
        callback = None if sessions else form
        async with sdk_client(gateway.url, asking.keys["bot"], "legacy", elicitation_callback=callback) as client:
            result = await client.call_tool("ask_invoice", {})
    assert result.is_error
    assert (result.structured_content["status"], result.structured_content["code"]) == ("failed", "cannot_ask")


async def test_a_tool_that_goes_on_asking_comes_to_an_end(asking: Place) -> None:
    """Q-6, T-4: after eight times the call fails."""
    async with house(asking) as gateway:
        outcome, rounds = await put(gateway, "ask_endless"), 0
        while outcome.asks:
            rounds += 1
            answers = dict.fromkeys(outcome.asks, ANSWERED["which"])
            outcome = await put(gateway, "ask_endless", after=outcome.action_id, answers=answers)
        assert (rounds, outcome.status, outcome.code) == (8, "failed", "question_refused")


async def test_a_question_that_the_connector_swallows_is_asked_all_the_same(asking: Place) -> None:
    """Q-3: what it went on to answer without one is not handed over."""
    async with house(asking) as gateway:
        outcome = await put(gateway, "ask_deaf")
        assert (outcome.status, outcome.data) == ("asked", None)
        assert (await put(gateway, "ask_deaf", after=outcome.action_id, answers=ANSWERED)).data == {
            "id": "",
            "said": "Answered.",
        }


def test_a_question_is_cleaned_as_an_answer_is(asking: Place) -> None:
    """C-6: no credential in it, on the wire or on the disk."""
    with gate(asking) as gateway:
        question = asked(gateway, "ask_leak")
    assert question["inputRequests"]["which"]["params"]["message"] == "Is [redacted] the key?"
    assert API_KEY not in json.dumps(question)
