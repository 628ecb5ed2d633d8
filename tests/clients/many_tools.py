"""A connector of a thousand tools, for the list that a client has to take whole."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.connector import Connector, Input, Output, Upstream

COUNT = 1_000

shelf = Connector("shelf", base_url="https://api.acme.example")


class Query(Input):
    """Which book."""

    book: Annotated[str, Field(pattern=r"^bok_[0-9]{1,12}$", description="The book's id, such as bok_1001.")]
    pages: Annotated[int, Field(ge=1, le=20, description="How many pages.")] = 1


class Book(Output):
    """What stands in it."""

    title: Annotated[str, Field(description="What it is called.")]
    lines: Annotated[list[str], Field(description="Its first lines.")]


def _declare(number: int) -> None:
    async def look(args: Query, upstream: Upstream) -> Book:
        """Show one book of one shelf. Call this when the user names the shelf."""
        return Book.model_validate(await upstream.get(f"/shelves/{number}/{args.book}"))

    # Annotations are looked up by name, and a function inside a function has its module's names only.
    look.__name__ = f"look_{number:03}"
    shelf.read(title=f"Look at shelf {number}")(look)


for _number in range(COUNT):
    _declare(_number)
