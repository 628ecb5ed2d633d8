"""Answers to a tool's questions: whose they are, how long they count, and what they are checked for."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.connector import Answer, Form
from gateway.tools.catalogue import UnknownTool
from tests.acme import Acme
from tests.edits import reloaded
from tests.gate import gate
from tests.house import Clock, house
from tests.place import Place
from tests.scenarios.asking import ANSWERED, asked, granting, put, told

pytestmark = pytest.mark.anyio


async def test_an_answer_is_a_whole_call_of_its_own(asking: Place) -> None:
    """Q-3: rate, budget and policy count it as a call; the question itself spends no budget."""
    asking.write_policy(granting(budgets={"task": {"tool_calls": 1}}))
    async with house(asking) as gateway:
        first = await put(gateway)
        done = await put(gateway, after=first.action_id, answers=ANSWERED)
        assert done.status == "done"
        second = await put(gateway)
        assert second.code == "over_budget"


@pytest.mark.parametrize("as_", ["bot", "clerk"])
async def test_an_answer_under_a_policy_that_has_tightened_is_refused(asking: Place, as_: str) -> None:
    """Q-3: who may no longer call may no longer answer."""
    async with house(asking) as gateway:
        question = await put(gateway, as_=as_)
        asking.write_policy(granting({"ask_invoice": "deny"}))
        assert reloaded(gateway.app.policy) is not None
        with pytest.raises(UnknownTool):
            await put(gateway, after=question.action_id, answers=ANSWERED, as_=as_)


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


async def test_behind_the_seal_a_question_is_its_callers_all_the_same(asking: Place) -> None:
    """Q-4: the gateway itself compares caller, tool and arguments, and tells nobody which of them did not fit."""
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


async def test_a_question_is_answered_once(asking: Place) -> None:
    """Q-4: of many answers at the same time one goes on; the others find the question closed."""
    async with house(asking) as gateway:
        question = await put(gateway)
        answers = [put(gateway, after=question.action_id, answers=ANSWERED) for _ in range(20)]
        outcomes = await asyncio.gather(*answers)
        assert sorted(outcome.code or "done" for outcome in outcomes) == ["done"] + ["question_closed"] * 19


async def test_a_question_stays_open_for_ten_minutes_and_over_a_restart(asking: Place) -> None:
    """Q-4: the key of the state is the data folder's, so any process can open it; the store's clock decides."""
    clock = Clock()

    async with house(asking, clock) as gateway:
        early, late = await put(gateway), await put(gateway)
        clock.turn(599)
        assert (await put(gateway, after=early.action_id, answers=ANSWERED)).status == "done"
        clock.turn(2)
        assert (await put(gateway, after=late.action_id, answers=ANSWERED)).code == "question_closed"
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
