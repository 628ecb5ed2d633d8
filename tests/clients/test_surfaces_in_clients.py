"""Resources, prompts, completion and content with the official TypeScript clients and the inspector, unmodified.

Each of them validates what it is given, so what came back at all has the shape that it takes. The Python client is in
`tests/wire`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acme import Acme, shared_acme
from tests.acme_papers import PIXEL
from tests.clients.players import STATELESS, inspected, said_by
from tests.gate import Gate, gate
from tests.place import Place, policy

__all__ = ["shared_acme"]

LOOK = Path(__file__).with_name("look.mjs")
GRANTED = ("papers_terms", "papers_seal", "papers_invoice", "papers_letter", "papers_scan")
INVOICE, HIDDEN = "papers://invoices/inv_1001", "papers://files/secret"
CLIENTS = {"typescript-1": (1, ""), "typescript-2-2025-11-25": (2, ""), "typescript-2-2026-07-28": (2, STATELESS)}


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory, shared_acme: Acme) -> Iterator[Gate]:
    """A gateway with resources, prompts and a tool that shows a picture."""
    shared_acme.start_over()
    place = Place(tmp_path_factory.mktemp("papers") / "place", shared_acme.url)
    place.load("acme_papers", "papers")
    place.write_policy(policy(dict.fromkeys(GRANTED, "allow")))
    with gate(place) as started:
        yield started


def looked(papers: Gate, client: str) -> dict[str, Any]:
    """What a TypeScript client makes of everything that is no tool."""
    sdk, era = CLIENTS[client]
    return said_by(
        LOOK,
        sdk=sdk,
        era=era,
        url=papers.url,
        key=papers.place.keys["bot"],
        uris=["papers://terms", "papers://seal", INVOICE, HIDDEN],
        prompt={"name": "papers_letter", "arguments": {"invoice": "inv_1001", "tone": "frank"}},
        completed={"ref": {"type": "ref/prompt", "name": "papers_letter"}, "argument": {"name": "tone", "value": "fr"}},
        tool={"name": "papers_scan", "arguments": {"invoice": "inv_1001"}},
    )


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_sees_all_that_policy_grants_and_nothing_else(papers: Gate, client: str) -> None:
    """T-5: lists, texts, bytes, records, messages, completions and blocks; what is hidden is unknown."""
    seen = looked(papers, client)
    assert seen["resources"] == ["papers://seal", "papers://terms"]
    assert seen["templates"] == ["papers://invoices/{invoice}"]
    assert seen["prompts"] == ["papers_letter"]
    assert seen["read"]["papers://terms"]["text"] == "# Terms[2J\n"
    assert seen["read"]["papers://seal"]["blob"] == PIXEL
    assert json.loads(seen["read"][INVOICE]["text"])["id"] == "inv_1001"
    # Version 2 hands on the code of either era as that of the later one.
    assert seen["read"][HIDDEN]["code"] == (-32002 if client == "typescript-1" else -32602)
    assert [message["role"] for message in seen["messages"]] == ["user", "user", "assistant"]
    assert seen["completed"] == ["friendly", "frank"]
    assert seen["content"] == ["text", "image", "audio", "resource"]


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_reads_and_is_refused(papers: Gate, era: str) -> None:
    """What a developer sees first: the text, and the reason of a refusal."""
    key = papers.place.keys["bot"]

    def ask(*words: str) -> Any:
        return inspected(papers.url, key, "--method", *words, era=era)

    assert len(ask("resources/list")["result"]["resources"]) == 2
    (content,) = ask("resources/read", "--uri", "papers://terms")["result"]["contents"]
    assert content["text"] == "# Terms[2J\n"
    assert "Unknown resource" in json.dumps(ask("resources/read", "--uri", HIDDEN))
    assert len(ask("prompts/list")["result"]["prompts"]) == 1
