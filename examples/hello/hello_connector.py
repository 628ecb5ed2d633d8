"""Door signs: read what one says, and change it."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.connector import Connector, Input, Output, Preview, Risk, Upstream

hello = Connector("hello", base_url="http://127.0.0.1:8450", internal=True)

Room = Annotated[Literal["kitchen", "lobby"], Field(description="The room whose door it is on.")]


class WhichSign(Input):
    room: Room


class NewText(Input):
    room: Room
    text: Annotated[str, Field(min_length=1, max_length=80, description="What it says from now on; 80 characters.")]


class Sign(Output):
    room: Annotated[str, Field(description="The room whose door it is on.")]
    text: Annotated[str, Field(description="What it says.")]


@hello.read()
async def read_sign(args: WhichSign, upstream: Upstream) -> Sign:
    """Read the sign on a door. Call this before you change one."""
    return Sign.model_validate(await upstream.get(f"/signs/{args.room}"))


@hello.write(risk=Risk.MEDIUM)
async def change_sign(args: NewText, upstream: Upstream) -> Sign:
    """Change the sign on a door. Call this only when somebody asked for it."""
    return Sign.model_validate(await upstream.put(f"/signs/{args.room}", {"text": args.text}))


@change_sign.preview
async def preview_change_sign(args: NewText, upstream: Upstream) -> Preview:
    """The text before and after."""
    sign = await upstream.get(f"/signs/{args.room}")
    return Preview.diff({"text": sign["text"]}, {"text": args.text})
