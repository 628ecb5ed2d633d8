"""A connector over Acme whose tools speak to their caller while they work. Loaded by path, like `acme_tools`."""

import asyncio
from typing import Annotated

from pydantic import Field

from gateway.connector import Caller, Connector, Input, Output, Upstream
from tests.acme import API_KEY

talk = Connector("talk", base_url="https://api.acme.example", credential="kv/acme/billing#api_key")


class Count(Input):
    """How far."""

    to: Annotated[int, Field(ge=1, le=1_000)] = 3


class Nothing(Input):
    """No arguments."""


class Done(Output):
    """That is all."""


@talk.read()
async def count(args: Count, upstream: Upstream, caller: Caller) -> Done:
    """Count, aloud."""
    for number in range(1, args.to + 1):
        caller.progress(number, args.to, f"Row {number}.")
        caller.tell("info", f"Row {number}.")
        await asyncio.sleep(0)
    return Done()


@talk.read()
async def babble(args: Nothing, upstream: Upstream, caller: Caller) -> Done:
    """Say things of different weight, and one that must not be said."""
    await upstream.get("/invoices/inv_1001")
    caller.tell("debug", "It begins.")
    caller.tell("warning", f"The key is {API_KEY}, and here\u202e is a trick.")
    caller.progress(float("nan"))
    caller.progress(1, message=f"Signed with {API_KEY}." + "x" * 500)
    caller.tell("error", "y" * 5_000)
    return Done()
