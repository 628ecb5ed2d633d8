"""Resources and prompts as they are declared and offered: what fits, and how the start says what does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from gateway.connector import Connector, Input, Message, Nothing, Output, Risk, Upstream
from gateway.errors import StartupError
from gateway.model import Call, Kind, Principal, Surface
from gateway.tools.catalogue import Catalogue

BOT = Principal("acme", "bot", Kind.AGENT)


class Of(Input):
    """Which one."""

    number: Annotated[int, Field(ge=1, description="Which.")]
    kind: Literal["old", "new"] = "new"


class Many(Input):
    """What no text can be."""

    numbers: list[int]


class Record(Output):
    """A record."""

    id: str


def shelf() -> Connector:
    """A connector with one of each."""
    shelf = Connector("shelf", base_url="https://shelf.example")

    @shelf.resource("shelf://all")
    async def everything(args: Nothing, upstream: Upstream) -> Record:
        """All of it."""
        return Record(id="all")

    @shelf.resource("shelf://{kind}/{number}", mime_type="text/csv", title="One of many")
    async def one(args: Of, upstream: Upstream) -> str:
        """One of them."""
        return str(args.number)

    @shelf.prompt()
    async def ask(args: Of, upstream: Upstream) -> Message:
        """Ask for it."""
        return Message.user(f"Give me {args.number}.")

    @shelf.read()
    async def look(args: Of, upstream: Upstream) -> Record:
        """Look at it."""
        return Record(id=str(args.number))

    return shelf


def test_each_is_offered_as_the_protocol_lists_it() -> None:
    """Names, titles and docstrings as of tools; a URI or its template; a prompt's arguments."""
    catalogue = Catalogue([shelf()])
    assert catalogue.offer("shelf_everything").entry == {
        "name": "shelf_everything",
        "title": "Everything",
        "description": "All of it.",
        "uri": "shelf://all",
        "mimeType": "application/json",
    }
    assert catalogue.offer("shelf_one").entry == {
        "name": "shelf_one",
        "title": "One of many",
        "description": "One of them.",
        "uriTemplate": "shelf://{kind}/{number}",
        "mimeType": "text/csv",
    }
    arguments = catalogue.offer("shelf_ask").entry["arguments"]
    assert [(one["name"], one["required"]) for one in arguments] == [("number", True), ("kind", False)]
    assert arguments[0]["description"] == "Which. At least 1."
    assert arguments[1]["description"] == "One of: old, new."


def test_each_is_found_on_its_own_surface_only() -> None:
    """T-5: by its name or by its URI, and by nothing else."""
    catalogue = Catalogue([shelf()])
    texts = ("shelf_everything", "shelf_one", "shelf_ask", "shelf_look", "shelf://all", "shelf://new/1")
    found = {
        (surface, text): tool.name
        for surface in Surface
        for text in texts
        if (tool := catalogue.find(Call(BOT, text, {}, surface=surface))) is not None
    }
    assert found == {
        (Surface.TOOL, "shelf_look"): "shelf_look",
        (Surface.RESOURCE, "shelf://all"): "shelf_everything",
        (Surface.RESOURCE, "shelf://new/1"): "shelf_one",
        (Surface.PROMPT, "shelf_ask"): "shelf_ask",
    }


def test_what_is_published_of_it_is_pinned() -> None:
    """T-1: another URI or another type of body is another resource; the hash of a tool is what it was."""
    hashes = {name: tool.schema_hash for name, tool in Catalogue([shelf()]).tools.items()}
    moved = Connector("shelf", base_url="https://shelf.example")

    @moved.resource("shelf://everything")
    async def everything(args: Nothing, upstream: Upstream) -> Record:
        """All of it."""
        return Record(id="all")

    assert Catalogue([moved]).tools["shelf_everything"].schema_hash != hashes["shelf_everything"]
    assert {name: tool.schema_hash for name, tool in Catalogue([shelf()]).tools.items()} == hashes


Declare = Callable[[Connector], Any]


def _no_body(at: Connector) -> None:
    @at.resource("shelf://a")
    async def a(args: Nothing, upstream: Upstream) -> int:
        """A number."""
        return 1


def _no_words(at: Connector) -> None:
    @at.prompt()
    async def a(args: Nothing, upstream: Upstream) -> Record:
        """A record."""
        return Record(id="a")


def _undocumented(at: Connector) -> None:
    @at.resource("shelf://a")
    async def a(args: Nothing, upstream: Upstream) -> str:
        return "a"


def _no_media_type(at: Connector) -> None:
    @at.resource("shelf://a", mime_type="text")
    async def a(args: Nothing, upstream: Upstream) -> str:
        """A text."""
        return "a"


def _missing_variable(at: Connector) -> None:
    @at.resource("shelf://a/{number}")
    async def a(args: Of, upstream: Upstream) -> str:
        """A text."""
        return "a"


def _not_a_text(at: Connector) -> None:
    @at.prompt()
    async def a(args: Many, upstream: Upstream) -> str:
        """A text."""
        return "a"


def _completes_nothing(at: Connector) -> None:
    @at.prompt()
    async def a(args: Of, upstream: Upstream) -> str:
        """A text."""
        return "a"

    a.complete("colour")(lambda begun: [])


def _same_uri(at: Connector) -> None:
    @at.resource("shelf://{number}/{kind}")
    async def a(args: Of, upstream: Upstream) -> str:
        """A text."""
        return "a"

    @at.resource("shelf://{kind}/{number}")
    async def b(args: Of, upstream: Upstream) -> str:
        """A text."""
        return "b"


def _changes_nothing(at: Connector) -> None:
    @at.write(risk=Risk.LOW, changes=("shelf://{number}/lost",))
    async def a(args: Of, upstream: Upstream) -> Record:
        """A write."""
        return Record(id="a")


def _changes_what_it_does_not_know(at: Connector) -> None:
    @at.write(risk=Risk.LOW, changes=("shelf://{colour}",))
    async def a(args: Of, upstream: Upstream) -> Record:
        """A write."""
        return Record(id="a")


@pytest.mark.parametrize(
    ("declare", "says"),
    [
        (_changes_nothing, "Tool shelf_a changes shelf://{number}/lost, and no resource has such a URI"),
        (_changes_what_it_does_not_know, "Tool shelf_a: 'colour' is not an argument"),
        (_no_body, "Resource shelf_a: the return type must be an Output model, `str` or `bytes`"),
        (_no_words, "Prompt shelf_a: the return type must be `str`, `Message` or `list[Message]`"),
        (_undocumented, "Resource shelf_a has no docstring"),
        (_no_media_type, "'text' is no media type"),
        (_missing_variable, "has other fields in its Input than there are variables in shelf://a/{number}"),
        (_not_a_text, "has an argument numbers of type array, and it arrives as a text"),
        (_completes_nothing, "completes 'colour', which is no argument"),
        (_same_uri, "shelf_a and shelf_b may have the same URI"),
    ],
)
def test_what_does_not_fit_stops_the_start_and_says_why(declare: Declare, says: str) -> None:
    """At load, with the name of what is wrong, and not in the field."""

    def load() -> Catalogue:
        connector = Connector("shelf", base_url="https://shelf.example")
        declare(connector)
        return Catalogue([connector])

    with pytest.raises(StartupError) as refused:
        load()
    assert says in str(refused.value)
