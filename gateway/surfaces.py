"""Resources and prompts as tools: their functions give back plain things, which become an answer here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Final, TypeAlias

from gateway.address import Address
from gateway.content import Document, Message
from gateway.errors import AnswerRefused
from gateway.tool import Body, Output, RunFunction

ResourceFunction: TypeAlias = Callable[..., Awaitable[Output | str | bytes]]
SAID: Final = (str, Message, list[Message])
"""What a prompt may give back."""
PromptFunction: TypeAlias = Callable[..., Awaitable[str | Message | list[Message]]]


def as_document(function: ResourceFunction, address: Address, mime_type: str) -> RunFunction:
    """Run `function`, and give back its text or its bytes as a document of that address."""

    @wraps(function)
    async def run(args: Any, upstream: Any, *caller: Any) -> Output:
        body = await function(args, upstream, *caller)
        if not isinstance(body, str | bytes):
            raise TypeError(f"the connector returned {type(body).__name__}, and neither str nor bytes")
        uri = address.filled(args.model_dump(mode="json", by_alias=True))
        return Body().with_content(Document(uri, body, mime_type))

    return run


def as_messages(function: PromptFunction) -> RunFunction:
    """Run `function`, and give back what it says as messages; a text is one of the user's."""

    @wraps(function)
    async def run(args: Any, upstream: Any, *caller: Any) -> Output:
        said = await function(args, upstream, *caller)
        messages = [Message.user(said)] if isinstance(said, str) else [said] if isinstance(said, Message) else said
        if not messages:
            raise AnswerRefused("upstream_bad_answer", "The prompt has no message.")
        return Body().with_content(*messages)

    return run
