"""Questions of a tool to its caller's client: whom they reach, what they are good for, and what they can never do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.context import ClientRequestContext
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CreateMessageResult, ElicitRequestParams, ElicitResult, TextContent

from gateway.connector import Answer, Askable, Connector, Form, Nothing, Output, Risk, Upstream
from gateway.errors import StartupError
from gateway.model import Call, Outcome
from gateway.tools.catalogue import UnknownTool
from tests.acme import API_KEY, Acme
from tests.house import Clock, House, house, run
from tests.living import ROOT, Gate, Place, gate, message, policy, request
from tests.shop import ERAS

EVERYTHING = {"elicitation": {}, "sampling": {}, "roots": {}}
TOOLS = ("invoice", "twice", "endless", "deaf", "leak", "before_paying", "after_paying")
ANSWERED = {"which": {"action": "accept", "content": {"invoice": "inv_1001"}}}


@pytest.fixture
def asking(place: Place) -> Place:
    """The place, with the connector that asks, and sessions."""
    place.load("acme_ask", "ask", listen={"port": place.port, "sessions": True})
    place.write_policy(granting())
    return place


def granting(tools: Mapping[str, Any] | None = None, **more: Any) -> str:
    """A policy that lets the agents call the tools that ask."""
    return policy({f"ask_{name}": "allow" for name in TOOLS} | dict(tools or {}), **more)


class Done(Output):
    """That is all."""


# -- the modern wire, bare


def asked(
    gateway: Gate,
    tool: str = "ask_invoice",
    args: Mapping[str, Any] | None = None,
    *,
    as_: str = "bot",
    can: Mapping[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """One message of a client that can do everything: the result, or `{"error": ...}`."""
    meta = {"io.modelcontextprotocol/clientCapabilities": EVERYTHING if can is None else can}
    params = {"name": tool, "arguments": dict(args or {}), **more}
    headers, body = message("tools/call", params, name=tool, key=gateway.place.keys[as_], meta=meta)
    answer = gateway.post(headers, body)
    return answer.get("result") or {"error": answer["error"]}


def told(result: Mapping[str, Any]) -> dict[str, Any]:
    """The envelope of a complete result."""
    assert result["resultType"] == "complete", result
    envelope: dict[str, Any] = result["structuredContent"]
    return envelope


# -- the core, without a wire


class Present:
    """A client that can be asked anything."""

    can = frozenset(EVERYTHING)

    def progress(self, done: float, total: float | None, message: str) -> None: ...

    def tell(self, level: str, tool: str, message: str) -> None: ...


async def put(
    gateway: House,
    tool: str = "ask_invoice",
    args: Mapping[str, Any] | None = None,
    *,
    after: str | None = None,
    answers: Mapping[str, Any] | None = None,
    as_: str = "bot",
) -> Outcome:
    """One call straight into the gateway, perhaps as the answer to the action `after`."""
    principal = await gateway.app.api_keys.authenticate(gateway.place.keys[as_])
    assert principal is not None
    call = Call(principal, tool, dict(args or {}), client=Present(), continues=after, answers=answers or {})
    return await gateway.app.handle(call)


@pytest.mark.anyio
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
        sent = {"authorization": f"Bearer {asking.keys['bot']}"}
        async with (
            httpx2.AsyncClient(headers=sent, timeout=20, trust_env=False) as http,
            Client(
                streamable_http_client(gateway.url, http_client=http),
                mode=era,
                elicitation_callback=form,
                sampling_callback=model,
            ) as client,
        ):
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


def test_a_write_that_asks_all_the_same_is_told_off_and_its_effect_is_told_truly(asking: Place, acme: Acme) -> None:
    """Q-2: no question leaves a write, whether anything was sent or not; what was done is done, once."""

    async def scenario() -> None:
        async with house(asking) as gateway:
            before = await put(gateway, "ask_before_paying", {"invoice": "inv_1001"})
            assert (before.status, before.code, dict(before.asks)) == ("failed", "question_refused", {})
            assert acme.mutating() == []
            after = await put(gateway, "ask_after_paying", {"invoice": "inv_1001"})
            assert (after.status, after.code, dict(after.asks)) == ("done", "question_refused", {})
            again = await put(gateway, "ask_after_paying", {"invoice": "inv_1001"})
            assert again.status == "replayed"
        assert len(acme.mutating()) == 1

    run(scenario)


def test_an_answer_goes_the_whole_road_again(asking: Place) -> None:
    """Q-3: rate, budget and policy count it as a call; the question itself spends no budget."""

    async def scenario() -> None:
        async with house(asking) as gateway:
            first = await put(gateway)
            done = await put(gateway, after=first.action_id, answers=ANSWERED)
            assert done.status == "done"
            second = await put(gateway)
            assert second.code == "over_budget"

    asking.write_policy(granting(budgets={"task": {"tool_calls": 1}}))
    run(scenario)


@pytest.mark.parametrize("as_", ["bot", "clerk"])
def test_an_answer_under_a_policy_that_has_tightened_is_refused(asking: Place, as_: str) -> None:
    """Q-3: who may no longer call may no longer answer."""

    async def scenario() -> None:
        async with house(asking) as gateway:
            question = await put(gateway, as_=as_)
            asking.write_policy(granting({"ask_invoice": "deny"}))
            assert gateway.app.policy.reload_if_changed() is not None
            with pytest.raises(UnknownTool):
                await put(gateway, after=question.action_id, answers=ANSWERED, as_=as_)

    run(scenario)


def test_a_state_is_good_for_its_caller_tool_and_arguments_only(asking: Place) -> None:
    """Q-4: changed, foreign, for another tool or for other arguments, it is refused, and nothing goes out."""
    with gate(asking) as gateway:
        state = asked(gateway)["requestState"]
        attempts = (
            asked(gateway, requestState=state + "x", inputResponses=ANSWERED),
            asked(gateway, requestState="v1." + state[3:][::-1], inputResponses=ANSWERED),
            asked(gateway, requestState="act_" + "0" * 32, inputResponses=ANSWERED),
            asked(gateway, requestState=state, inputResponses=ANSWERED, as_="clerk"),
            asked(gateway, "ask_twice", requestState=state, inputResponses=ANSWERED),
            asked(gateway, args={"purpose": "another"}, requestState=state, inputResponses=ANSWERED),
        )
        for attempt in attempts:
            assert attempt["error"]["code"] == -32602
            assert attempt["error"]["message"] == "Invalid or expired requestState"
        assert len(asking.lines(event="INTENT")) == 1
        assert told(asked(gateway, requestState=state, inputResponses=ANSWERED))["status"] == "done"


def test_behind_the_seal_a_question_is_its_callers_all_the_same(asking: Place) -> None:
    """Q-4: the gateway itself compares caller, tool and arguments, and tells nobody which of them did not fit."""

    async def scenario() -> None:
        async with house(asking) as gateway:
            question = await put(gateway)
            wrong: tuple[dict[str, Any], ...] = (
                {"as_": "clerk"},
                {"tool": "ask_twice"},
                {"args": {"purpose": "another"}},
                {"tool": "ask_before_paying", "args": {"invoice": "inv_1001"}},
            )
            refused = [await put(gateway, after=question.action_id, answers=ANSWERED, **attempt) for attempt in wrong]
            refused.append(await put(gateway, after="act_" + "0" * 32, answers=ANSWERED))
            assert {outcome.code for outcome in refused} == {"question_closed"}
            assert len({outcome.message for outcome in refused}) == 1

    run(scenario)


def test_a_question_is_answered_once(asking: Place) -> None:
    """Q-4: of many answers at the same time one goes on; the others find the question closed."""

    async def scenario() -> None:
        async with house(asking) as gateway:
            question = await put(gateway)
            answers = [put(gateway, after=question.action_id, answers=ANSWERED) for _ in range(20)]
            outcomes = await asyncio.gather(*answers)
            assert sorted(outcome.code or "done" for outcome in outcomes) == ["done"] + ["question_closed"] * 19

    run(scenario)


def test_a_question_stays_open_for_ten_minutes_and_over_a_restart(asking: Place) -> None:
    """Q-4: the key of the state is the data folder's, so any process can open it; the store's clock decides."""
    clock = Clock()

    async def scenario() -> None:
        async with house(asking, clock) as gateway:
            early, late = await put(gateway), await put(gateway)
            clock.turn(599)
            assert (await put(gateway, after=early.action_id, answers=ANSWERED)).status == "done"
            clock.turn(2)
            assert (await put(gateway, after=late.action_id, answers=ANSWERED)).code == "question_closed"

    run(scenario)
    with gate(asking) as gateway:
        state = asked(gateway)["requestState"]
        gateway.restart()
        assert told(asked(gateway, requestState=state, inputResponses=ANSWERED))["status"] == "done"


def test_answers_are_checked_like_arguments(asking: Place, acme: Acme) -> None:
    """Q-5: too much of it spends nothing; what does not fit the form ends the call; no value is repeated."""
    with gate(asking) as gateway:
        state = asked(gateway)["requestState"]
        huge = {"which": {"action": "accept", "content": {"invoice": "inv_1", "more": "x" * 17_000}}}
        refused = told(asked(gateway, requestState=state, inputResponses=huge))
        assert (refused["status"], refused["code"]) == ("refused", "invalid_answer")
        wrong = {"which": {"action": "accept", "content": {"invoice": "../secret"}}}
        failed = told(asked(gateway, requestState=state, inputResponses=wrong))
        assert (failed["status"], failed["code"]) == ("failed", "invalid_answer")
        assert "`invoice`" in failed["message"]
        assert "secret" not in json.dumps(failed)
        another = asked(gateway)["requestState"]
        missing = asked(gateway, requestState=another, inputResponses={"other": ANSWERED["which"]})
        assert missing["resultType"] == "input_required"
        declined = {"which": {"action": "decline"}, "other": ANSWERED["which"]}
        done = told(asked(gateway, requestState=missing["requestState"], inputResponses=declined))
        assert done["data"]["said"] == "No answer."
    assert not [arrival for arrival in acme.journal() if "secret" in json.dumps(arrival)]


def test_answers_to_what_was_not_asked_are_no_answers(asking: Place) -> None:
    """Q-5: without the state of a question, what a client sends along is not read."""
    with gate(asking) as gateway:
        assert asked(gateway, inputResponses=ANSWERED)["resultType"] == "input_required"


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


@pytest.mark.anyio
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


@pytest.mark.anyio
@pytest.mark.parametrize("sessions", [True, False])
async def test_where_nobody_can_be_asked_the_call_says_so(asking: Place, sessions: bool) -> None:
    """Q-6: a handshake client that declared nothing, or that has no session, gets an envelope and no hanging call."""
    asking.write_settings(listen={"port": asking.port, "sessions": sessions})

    async def form(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        raise AssertionError("nobody was to be asked")

    with gate(asking) as gateway:
        sent = {"authorization": f"Bearer {asking.keys['bot']}"}
        async with (
            httpx2.AsyncClient(headers=sent, timeout=20, trust_env=False) as http,
            Client(
                streamable_http_client(gateway.url, http_client=http),
                mode="legacy",
                elicitation_callback=None if sessions else form,
            ) as client,
        ):
            result = await client.call_tool("ask_invoice", {})
    assert result.is_error
    assert (result.structured_content["status"], result.structured_content["code"]) == ("failed", "cannot_ask")


def test_a_tool_that_goes_on_asking_comes_to_an_end(asking: Place) -> None:
    """Q-6, T-4: after eight times the call fails."""

    async def scenario() -> None:
        async with house(asking) as gateway:
            outcome, rounds = await put(gateway, "ask_endless"), 0
            while outcome.asks:
                rounds += 1
                answers = dict.fromkeys(outcome.asks, ANSWERED["which"])
                outcome = await put(gateway, "ask_endless", after=outcome.action_id, answers=answers)
            assert (rounds, outcome.status, outcome.code) == (8, "failed", "question_refused")

    run(scenario)


def test_a_question_that_the_connector_swallows_is_asked_all_the_same(asking: Place) -> None:
    """Q-3: what it went on to answer without one is not handed over."""

    async def scenario() -> None:
        async with house(asking) as gateway:
            outcome = await put(gateway, "ask_deaf")
            assert (outcome.status, outcome.data) == ("asked", None)
            assert (await put(gateway, "ask_deaf", after=outcome.action_id, answers=ANSWERED)).data == {
                "id": "",
                "said": "Answered.",
            }

    run(scenario)


def test_a_question_is_cleaned_as_an_answer_is(asking: Place) -> None:
    """C-6: no credential in it, on the wire or on the disk."""
    with gate(asking) as gateway:
        question = asked(gateway, "ask_leak")
    assert question["inputRequests"]["which"]["params"]["message"] == "Is [redacted] the key?"
    assert API_KEY not in json.dumps(question)


def test_a_form_asks_only_for_what_a_form_can_hold() -> None:
    """Q-5: a field of another kind is an author's mistake, found where the form is made."""

    class Nested(Answer):
        """Too deep."""

        inner: Answer

    class Anything(Answer):
        """Too wide."""

        items: list[str]

    for model in (Nested, Anything):
        with pytest.raises(TypeError, match=model.__name__):
            Form("?", model).spelled()
