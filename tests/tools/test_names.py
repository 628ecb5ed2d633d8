"""How long a tool's name may be: what models see of it has to pass everywhere (docs/decisions/0008)."""

from __future__ import annotations

import pytest

from gateway.connector import Connector, Nothing, Output, Upstream
from gateway.errors import StartupError

PREFIX = "mcp__holdgate__"
"""What Claude Code and others put before a name; above 64 characters of both the model's API refuses the request."""


class Done(Output):
    """That is all."""


async def tool(args: Nothing, upstream: Upstream) -> Done:
    """Do it."""
    return Done()


def test_a_name_fits_behind_the_longest_prefix() -> None:
    """Forty-eight characters pass, connector included; one more stops the start and says how many are allowed."""
    shop = Connector("shop", base_url="https://shop.example")
    tool.__name__ = "a" * (48 - len("shop_"))
    name = shop.read()(tool).name
    assert len(name) == 48
    assert len(PREFIX + name) <= 64
    assert len("holdgate" + name) <= 60
    tool.__name__ += "a"
    with pytest.raises(StartupError, match="at most 48 of a-z, 0-9 and single _"):
        shop.read()(tool)
