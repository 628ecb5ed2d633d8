"""Pictures, sounds and documents beside the data, through the whole gateway (semantics.md T-2, I-14)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.connector import Connector, Input, Output, Upstream
from gateway.outcome import State
from gateway.testing import FakeUpstream, Harness
from tests.acme import Acme
from tests.acme_papers import PIXEL
from tests.gate import Gate, gate, request
from tests.house import house
from tests.place import Place, policy

pytestmark = pytest.mark.anyio

INVOICE = {"invoice": "inv_1001"}


@pytest.fixture
def papers(place: Place) -> Place:
    """The place, with the connector that shows more than JSON."""
    place.load("acme_papers", "papers")
    place.write_policy(policy({"papers_scan": "allow", "papers_stamp": "allow"}))
    return place


def blocks(gateway: Gate, tool: str, args: dict[str, Any]) -> list[dict[str, Any]]:
    """The content of one call's result, as it stands on the wire."""
    headers, body = request(tool, args, key=gateway.place.keys["bot"])
    result = gateway.post(headers, body)["result"]
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
    content: list[dict[str, Any]] = result["content"]
    return content


def test_pictures_sounds_and_documents_stand_after_the_envelope(papers: Place) -> None:
    """I-14, T-2: the envelope comes first and says the same twice; what a reader cannot see is taken out of texts."""
    with gate(papers) as gateway:
        envelope, image, audio, document = blocks(gateway, "papers_scan", {**INVOICE, "size": 3})
        assert json.loads(envelope["text"])["data"] == {"id": "inv_1001"}
        assert image == {"type": "image", "data": PIXEL, "mimeType": "image/png"}
        assert audio == {"type": "audio", "data": "UklGRg==", "mimeType": "audio/wav"}
        text = "Invoice inv_1001[2Jxxx"
        named = {"uri": "papers://scans/inv_1001", "mimeType": "text/plain", "text": text}
        assert document == {"type": "resource", "resource": named}
        again = blocks(gateway, "get_action", {"action_id": json.loads(envelope["text"])["action_id"]})
        assert again[1:] == [image, audio, document]


async def test_content_that_is_too_large_is_refused_and_not_cut(papers: Place, acme: Acme) -> None:
    """T-2: a read fails with its own code; a write that had happened says so, because it did, once."""
    async with house(papers) as gateway:
        read = await gateway.call("papers_scan", {**INVOICE, "size": 1_048_576})
        assert (read["status"], read["code"], read["retry"]) == ("failed", "answer_too_large", "changed")
        write = await gateway.call("papers_stamp", INVOICE)
        assert (write["status"], write["code"]) == ("done", "answer_too_large")
        assert await gateway.state(write["action_id"]) is State.SUCCEEDED
        assert (await gateway.call("papers_stamp", INVOICE))["status"] == "replayed"
    assert len(acme.mutating()) == 1


desk = Connector("desk", base_url="https://desk.example", credential=None)


class Which(Input):
    """Nothing to say."""


class Known(Output):
    """What may be known of an account."""

    id: str
    note: str | None = None


class More(Known):
    """What the connector knows besides."""

    iban: str


class Other(Output):
    """What no tool of these declares."""

    iban: str


@desk.read()
async def more(args: Which, upstream: Upstream) -> Known:
    """Show an account, by a helper that returns more."""
    return More.model_validate(await upstream.get("/account"))


@desk.read()
async def other(args: Which, upstream: Upstream) -> Known:
    """Show an account, by a mistake."""
    return Other.model_validate(await upstream.get("/account"))  # type: ignore[return-value]


async def test_what_a_tool_does_not_declare_is_not_handed_over() -> None:
    """T-2, C-6: nor is it where the connector returns a richer kind of its output, or another one."""
    account = {"id": "acc_1", "iban": "DE00 1234"}
    async with Harness(desk, upstream=FakeUpstream({"GET /account": lambda request: account})) as gate:
        shown = await gate.call("desk_more", {})
        assert (shown.status, shown.data) == ("done", {"id": "acc_1"}), "nor what there is not"
        broken = await gate.call("desk_other", {})
        assert (broken.status, broken.code, broken.data) == ("failed", "upstream_bad_answer", None)
