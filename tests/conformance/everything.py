"""What the published conformance suite asks a server to have, as an ordinary connector behind the real pipeline.

Its names and texts are the suite's own. Nothing here reaches an upstream, but for the tool that has to fail.
What the suite also asks for and the gateway does not offer is in `expected-failures.yaml`, each with its reason.
"""

import asyncio
from typing import Annotated

from pydantic import Field

from gateway.connector import Audio, Caller, Connector, Document, Image, Input, Message, Nothing, Output, Upstream

test = Connector("test", base_url="https://nowhere.example")

RED_PIXEL = Image.from_base64(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==", "image/png"
)
SILENCE = Audio.from_base64("UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAAAAA==", "audio/wav")


class Said(Output):
    """One sentence."""

    text: str


@test.read()
async def simple_text(args: Nothing, upstream: Upstream) -> Said:
    """Say one sentence."""
    return Said(text="This is a simple text response for testing.")


@test.read()
async def error_handling(args: Nothing, upstream: Upstream) -> Said:
    """Fail, because the host behind it does not exist."""
    return Said.model_validate(await upstream.get("/nothing"))


@test.read()
async def logging_tool(args: Nothing, upstream: Upstream, caller: Caller) -> Said:
    """Say something for a log, which a client that has asked for none does not get."""
    caller.tell("info", "Something happened.")
    return Said(text="Done.")


@test.read()
async def tool_with_logging(args: Nothing, upstream: Upstream, caller: Caller) -> Said:
    """Do some work, and say so line by line."""
    caller.tell("info", "Tool execution started")
    await asyncio.sleep(0.05)
    caller.tell("info", "Tool processing data")
    await asyncio.sleep(0.05)
    caller.tell("info", "Tool execution completed")
    return Said(text="Done, and logged to the client.")


@test.read()
async def tool_with_progress(args: Nothing, upstream: Upstream, caller: Caller) -> Said:
    """Do some work, and say how far it has come."""
    caller.progress(0, 100)
    await asyncio.sleep(0.05)
    caller.progress(50, 100)
    await asyncio.sleep(0.05)
    caller.progress(100, 100)
    return Said(text="Done after a while.")


@test.read()
async def image_content(args: Nothing, upstream: Upstream) -> Said:
    """Show a picture."""
    return Said(text="A red pixel.").with_content(RED_PIXEL)


@test.read()
async def audio_content(args: Nothing, upstream: Upstream) -> Said:
    """Let a sound be heard."""
    return Said(text="Silence.").with_content(SILENCE)


@test.read()
async def embedded_resource(args: Nothing, upstream: Upstream) -> Said:
    """Hand over a document."""
    document = Document("test://embedded-resource", "This is an embedded resource content.")
    return Said(text="One document.").with_content(document)


@test.read()
async def multiple_content_types(args: Nothing, upstream: Upstream) -> Said:
    """Show a picture, and hand over a document."""
    document = Document("test://mixed-content-resource", '{"test":"data","value":123}', "application/json")
    return Said(text="Multiple content types test:").with_content(RED_PIXEL, document)


# -- resources


class Numbered(Input):
    """Which one."""

    id: str


class Data(Output):
    """What there is of it."""

    id: str
    templateTest: bool
    data: str


@test.resource("test://static-text")
async def static_text(args: Nothing, upstream: Upstream) -> str:
    """A text."""
    return "This is the content of the static text resource."


@test.resource("test://static-binary", mime_type="image/png")
async def static_binary(args: Nothing, upstream: Upstream) -> bytes:
    """A picture."""
    return RED_PIXEL.data


@test.resource("test://watched-resource")
async def watched_resource(args: Nothing, upstream: Upstream) -> str:
    """A text that a client may ask to be told of."""
    return "This has not changed yet."


@test.resource("test://template/{id}/data")
async def template(args: Numbered, upstream: Upstream) -> Data:
    """A record of many."""
    return Data(id=args.id, templateTest=True, data=f"Data for ID: {args.id}")


# -- prompts


class Two(Input):
    """Two texts."""

    arg1: Annotated[str, Field(description="First test argument")]
    arg2: Annotated[str, Field(description="Second test argument")]


class Which(Input):
    """Which resource."""

    resourceUri: Annotated[str, Field(description="URI of the resource to embed")]


@test.prompt()
async def simple_prompt(args: Nothing, upstream: Upstream) -> str:
    """One sentence."""
    return "This is a simple prompt for testing."


@test.prompt()
async def prompt_with_arguments(args: Two, upstream: Upstream) -> str:
    """Two texts in one."""
    return f"Prompt with arguments: arg1='{args.arg1}', arg2='{args.arg2}'"


@prompt_with_arguments.complete("arg1")
def cities(begun: str) -> list[str]:
    """Cities that begin so."""
    return [city for city in ("paris", "park", "party", "test") if city.startswith(begun)]


@test.prompt()
async def prompt_with_embedded_resource(args: Which, upstream: Upstream) -> list[Message]:
    """A document, and what to do with it."""
    document = Document(args.resourceUri, "Embedded resource content for testing.")
    return [Message.user(document), Message.user("Please process the embedded resource above.")]


@test.prompt()
async def prompt_with_image(args: Nothing, upstream: Upstream) -> list[Message]:
    """A picture, and what to do with it."""
    return [Message.user(RED_PIXEL), Message.user("Please analyze the image above.")]
