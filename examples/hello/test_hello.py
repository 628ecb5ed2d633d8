"""The connector under its own policy, through a real gateway: `python -m pytest`."""

from pathlib import Path

import pytest
from hello_connector import hello

from gateway.testing import FakeUpstream, Harness, Request, agent, assert_preview_is_pure, assert_single_effect, human

BOT = agent("office-bot", "office")
TEA = {"room": "kitchen", "text": "Tea is ready.", "reason": "There is no coffee left."}

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def signs():
    return {room: {"room": room, "text": "Welcome!"} for room in ("kitchen", "lobby")}


@pytest.fixture
async def gate(signs):
    def show(request: Request):
        return signs[request.path_params["room"]]

    def change(request: Request):
        signs[request.path_params["room"]].update(request.body)
        return show(request)

    upstream = FakeUpstream({"GET /signs/{room}": show, "PUT /signs/{room}": change})
    async with Harness(hello, upstream=upstream, policy=Path(__file__).with_name("policy.yaml"), as_=BOT) as gate:
        yield gate


async def test_the_kitchens_sign_is_changed_as_previewed(gate, signs):
    await assert_preview_is_pure(gate, "hello_change_sign", TEA, record=lambda: signs["kitchen"])


async def test_it_is_changed_once(gate):
    await assert_single_effect(gate, "hello_change_sign", TEA)


async def test_the_lobbys_sign_waits_for_a_person(gate, signs):
    held = await gate.call("hello_change_sign", {**TEA, "room": "lobby"})
    assert (held.status, signs["lobby"]["text"]) == ("held", "Welcome!")
    await gate.approve(held, as_=human("frida", "facility"))
    assert (await gate.settled(held)).status == "done"
    assert signs["lobby"]["text"] == "Tea is ready."
