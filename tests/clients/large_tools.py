"""A connector whose answers are as large as the gateway lets them be."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.connector import Connector, Image, Input, Output, Upstream

gallery = Connector("gallery", base_url="https://api.acme.example")


class Size(Input):
    """How large."""

    size: Annotated[int, Field(ge=1, description="Bytes of the picture.")]


class Picture(Output):
    """What is shown beside it."""

    title: Annotated[str, Field(description="What it is called.")]


@gallery.read()
async def show(args: Size, upstream: Upstream) -> Picture:
    """Show a picture."""
    return Picture(title="Grey").with_content(Image(b"\x80" * args.size, "image/png"))
