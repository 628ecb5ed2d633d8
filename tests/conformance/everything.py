"""What the published conformance suite asks a server to have, as an ordinary connector behind the real pipeline.

Its names and texts are the suite's own. Nothing here reaches an upstream, but for the tool that has to fail.
What the suite also asks for and the gateway does not offer is in `expected-failures.yaml`, each with its reason.
"""

import asyncio
from typing import Annotated, Literal

from pydantic import Field

from gateway.connector import (
    Answer,
    Askable,
    Audio,
    Caller,
    Connector,
    Document,
    Form,
    Image,
    Input,
    Message,
    Nothing,
    Output,
    Roots,
    Sample,
    Titled,
    Upstream,
)

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


# -- questions


class Prompt(Input):
    """What to say to the client's model."""

    prompt: str


class Shown(Input):
    """What to say to the client's user."""

    message: str


class Name(Answer):
    """Who it is."""

    name: str


class Color(Answer):
    """Which one."""

    color: str


class Okay(Answer):
    """Yes or no."""

    ok: bool


class Account(Answer):
    """Who it is, and where to write to."""

    username: Annotated[str, Field(description="User's response")]
    email: Annotated[str, Field(description="User's email address")]


class Defaults(Answer):
    """One of each kind, filled in beforehand."""

    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: Literal["active", "inactive", "pending"] = "active"
    verified: bool = True


class Choices(Answer):
    """Each way to offer a choice."""

    untitledSingle: Literal["option1", "option2", "option3"]
    titledSingle: Annotated[
        Literal["value1", "value2", "value3"],
        Titled({"value1": "First Option", "value2": "Second Option", "value3": "Third Option"}),
    ]
    legacyEnum: Annotated[
        Literal["opt1", "opt2", "opt3"],
        Field(json_schema_extra={"enumNames": ["Option One", "Option Two", "Option Three"]}),
    ]
    untitledMulti: list[Literal["option1", "option2", "option3"]]
    titledMulti: list[
        Annotated[
            Literal["value1", "value2", "value3"],
            Titled({"value1": "First Choice", "value2": "Second Choice", "value3": "Third Choice"}),
        ]
    ]


def _completed(answer: Answer | None) -> Said:
    return Said(text=f"Elicitation completed: {'no answer' if answer is None else answer.model_dump_json()}")


@test.read()
async def sampling(args: Prompt, upstream: Upstream, caller: Askable) -> Said:
    """Have the client's model answer."""
    return Said(text=f"LLM response: {await caller.ask('answer', Sample(args.prompt, max_tokens=100))}")


@test.read()
async def elicitation(args: Shown, upstream: Upstream, caller: Askable) -> Said:
    """Ask who the user is."""
    return Said(text=f"User response: {await caller.ask('account', Form(args.message, Account))}")


@test.read()
async def elicitation_sep1034_defaults(args: Nothing, upstream: Upstream, caller: Askable) -> Said:
    """Ask with a form that is filled in."""
    return _completed(await caller.ask("defaults", Form("Please review and update the form.", Defaults)))


@test.read()
async def elicitation_sep1330_enums(args: Nothing, upstream: Upstream, caller: Askable) -> Said:
    """Ask with each kind of choice."""
    return _completed(await caller.ask("choices", Form("Please select your options.", Choices)))


@test.read()
async def input_required_result_elicitation(args: Nothing, upstream: Upstream, caller: Askable) -> Said:
    """Ask for a name."""
    who = await caller.ask("user_name", Form("What is your name?", Name))
    return Said(text=f"Hello, {who.name if who else 'stranger'}!")


@test.read()
async def input_required_result_sampling(args: Nothing, upstream: Upstream, caller: Askable) -> Said:
    """Have the client's model answer."""
    capital = await caller.ask("capital_question", Sample("What is the capital of France?", max_tokens=100))
    return Said(text=str(capital))


@test.read()
async def input_required_result_list_roots(args: Nothing, upstream: Upstream, caller: Askable) -> Said:
    """Ask where the client works."""
    roots = await caller.ask("client_roots", Roots())
    return Said(text=", ".join(root.uri for root in roots or ()))


@test.read()
async def input_required_result_request_state(args: Nothing, upstream: Upstream, caller: Askable) -> Said:
    """Ask, and know the answer's question again."""
    await caller.ask("confirm", Form("Please confirm", Okay))
    return Said(text="state-ok")


@test.read()
async def input_required_result_tampered_state(args: Nothing, upstream: Upstream, caller: Askable) -> Said:
    """Ask, and take no state that was changed."""
    await caller.ask("confirm", Form("Please confirm", Okay))
    return Said(text="state-ok")


@test.read()
async def input_required_result_multiple_inputs(args: Nothing, upstream: Upstream, caller: Askable) -> Said:
    """Ask three things at once."""
    answers = await caller.ask_all(
        {
            "user_name": Form("What is your name?", Name),
            "greeting": Sample("Generate a greeting", max_tokens=50),
            "client_roots": Roots(),
        }
    )
    return Said(text=f"{answers['greeting']} {answers['user_name']}")


@test.read()
async def input_required_result_multi_round(args: Nothing, upstream: Upstream, caller: Askable) -> Said:
    """Ask one thing after the other."""
    who = await caller.ask("step1", Form("Step 1: What is your name?", Name))
    what = await caller.ask("step2", Form("Step 2: What is your favorite color?", Color))
    return Said(text=f"{who} {what}")


@test.read()
async def input_required_result_capabilities(args: Nothing, upstream: Upstream, caller: Askable) -> Said:
    """Ask what the client can be asked."""
    possible = {"user_name": Form("What is your name?", Name), "greeting": Sample("Generate a greeting", max_tokens=50)}
    asked = {name: question for name, question in possible.items() if caller.can(type(question))}
    return Said(text=str(await caller.ask_all(asked)))


@test.read()
async def missing_capability(args: Nothing, upstream: Upstream, caller: Askable) -> Said:
    """Ask a client's model that may not be there."""
    return Said(text=str(await caller.ask("answer", Sample("Say something."))))


@test.read()
async def streaming_elicitation(args: Nothing, upstream: Upstream, caller: Askable) -> Said:
    """Say how far it has come, and ask."""
    caller.progress(1, 2)
    return _completed(await caller.ask("user_name", Form("What is your name?", Name)))


class Context(Answer):
    """What a prompt is for."""

    context: str


@test.prompt()
async def input_required_result_prompt(args: Nothing, upstream: Upstream, caller: Askable) -> str:
    """Ask what the prompt is for."""
    given = await caller.ask("user_context", Form("What context should the prompt use?", Context))
    return f"Do what is asked, in this context: {given.context if given else 'none'}"
