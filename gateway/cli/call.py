"""`call`: one tool call to the running gateway, through a real MCP client, as any agent would make it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from gateway import __version__
from gateway.cli.arguments import Arg, JsonArgs, as_given, typed
from gateway.cli.invocation import AsJson, ExitCode, Invocation
from gateway.connect import KEY_ENV, TASK_ENV
from gateway.errors import HoldgateError

if TYPE_CHECKING:
    from gateway.settings import Home

_BY_DEFAULT = "operator"
_TASK = "com.holdgate/task"
_REACH_SECONDS = 3.0
_ANSWER_SECONDS = 300.0
_WRONG_KEY = -31401
_NO_SUCH_TOOL = -32602


@dataclass(frozen=True)
class _Request:
    """One call as it was asked for; its arguments get their types from the tool's schema, once that is known."""

    key: str
    task: str | None
    tool: str
    given: dict[str, Any]
    controls: dict[str, Any]
    """`dry_run`, `reason` and the like, which stand beside the tool's own arguments."""


def call(
    ctx: typer.Context,
    tool: Annotated[str, typer.Argument(metavar="TOOL", help="The tool's name.")],
    arg: Arg = None,
    json_args: JsonArgs = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="KEY", help="Idempotency key: to do the same thing a second time on purpose."),
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why, for whoever reviews it.")] = None,
    evidence: Annotated[
        list[str] | None, typer.Option("--evidence", metavar="ID", help="A read it rests on; may be repeated.")
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", metavar="TASK", help="The piece of work; default $HOLDGATE_TASK.")
    ] = None,
    as_name: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="Whose kept key; default $HOLDGATE_KEY, else `operator`."),
    ] = None,
    json_output: AsJson = False,
) -> None:
    """Call a tool through the running gateway. Exits 1 when the answer is refused, failed or unknown."""
    from gateway.cli.output import emit

    # Before the tool's name, an option that is not known stands in its place.
    if unknown := [word for word in (tool, *ctx.args) if word.startswith("-")] or ctx.args:
        raise typer.BadParameter(
            f"{unknown[0]!r} is no option of this command; the tool's own arguments are written --arg NAME=VALUE."
        )
    home = Invocation.of(ctx).home()
    controls = {"dry_run": dry_run or None, "idempotency_key": key, "reason": reason, "evidence": evidence}
    given = as_given(arg or [], json_args)
    chosen = {name: value for name, value in controls.items() if value}
    request = _Request(_key(home, as_name), task or os.environ.get(TASK_ENV), tool, given, chosen)
    _reach(home.url)
    envelope, is_error = _answer(home.url, request)
    if json_output:
        emit(envelope)
    else:
        _print(envelope)
    if is_error:
        raise typer.Exit(ExitCode.REFUSED)


def _key(home: Home, name: str | None) -> str:
    from gateway.cli.whoami import kept_key, kept_names

    given = os.environ.get(KEY_ENV)
    if name is None and given:
        if not given.isascii():
            raise HoldgateError(
                f"${KEY_ENV} holds no key: a key is letters, digits and underscores, and begins with hg_."
            )
        return given.strip()
    kept = kept_names(home)
    if name is None and kept and _BY_DEFAULT not in kept:
        raise HoldgateError(f"No key of {_BY_DEFAULT} is kept here. Choose who calls with --as: {', '.join(kept)}.")
    return kept_key(home, name or _BY_DEFAULT)


def _reach(url: str) -> None:
    """Find out early, and say plainly, that nothing listens there."""
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    try:
        socket.create_connection(address, timeout=_REACH_SECONDS).close()
    except OSError:
        raise HoldgateError(
            f"No gateway answers at {url}. Start it with `holdgate serve`; the demo, with `holdgate demo`."
        ) from None


def _answer(url: str, request: _Request) -> tuple[dict[str, Any], bool]:
    """The envelope, and whether it is an error's.

    Raises:
        HoldgateError: the gateway gave no envelope: unknown tool, bad key, or it broke off.
    """
    import httpx2
    from mcp import MCPError

    try:
        return asyncio.run(_exchange(url, request))
    except* typer.BadParameter as wrong:
        raise _first(wrong) from None
    except* HoldgateError as told:
        raise _first(told) from None
    except* MCPError as refused:
        raise HoldgateError(_refused(_first(refused))) from None
    except* httpx2.HTTPError as broken:
        raise HoldgateError(
            f"The gateway at {url} broke off ({type(_first(broken)).__name__}). Make the same call again, it is not"
            " done twice; or see `holdgate ledger tail`."
        ) from None


def _refused(error: Any, close: Sequence[str] = ()) -> str:
    """What the gateway said instead of an envelope, and what to do about it.

    Args:
        close: the names of tools that may have been meant.
    """
    sentence = f"The gateway says: {str(error).rstrip('.')}."
    if error.error.code == _WRONG_KEY:
        return f"{sentence} Choose a kept key with --as, or correct ${KEY_ENV}; `holdgate keys ls` shows all."
    if error.error.code == _NO_SUCH_TOOL:
        meant = f" Did you mean {close[0]}?" if close else ""
        return (
            f"{sentence}{meant} A tool that no policy grants to this key is unknown to it; see `holdgate tools ls` for"
            " all tools, and choose another key with --as."
        )
    return f"{sentence} docs/calling.md lists what is no answer of a tool."


def _first(group: BaseException) -> BaseException:
    return _first(group.exceptions[0]) if isinstance(group, BaseExceptionGroup) else group


async def _exchange(url: str, request: _Request) -> tuple[dict[str, Any], bool]:
    import httpx2
    from mcp import Client, MCPError
    from mcp.client.streamable_http import streamable_http_client
    from mcp_types import Implementation, TextContent

    headers = {"Authorization": f"Bearer {request.key}"}
    # Not in the header that agents use for it: a header does not carry every name.
    meta: Any = {_TASK: request.task} if request.task else None
    timeout = httpx2.Timeout(30, read=_ANSWER_SECONDS)
    us = Implementation(name="holdgate", version=__version__)
    async with (
        httpx2.AsyncClient(headers=headers, timeout=timeout, trust_env=False) as http,
        Client(
            streamable_http_client(url, http_client=http), read_timeout_seconds=_ANSWER_SECONDS, client_info=us
        ) as client,
    ):
        listed = {one.name: one for one in (await client.list_tools()).tools}
        schema = listed[request.tool].input_schema if request.tool in listed else {}
        arguments = typed(request.given, schema) | request.controls
        try:
            result = await client.call_tool(request.tool, arguments, meta=meta)
        except MCPError as refused:
            raise HoldgateError(_refused(refused, get_close_matches(request.tool, listed, n=1))) from None
        # The text half: a gateway may be set to send no structured one.
        text = next(block.text for block in result.content if isinstance(block, TextContent))
        return json.loads(text), bool(result.is_error)


def _print(envelope: dict[str, Any]) -> None:
    from gateway.cli.inert import inert
    from gateway.cli.output import console, say, table

    out = console()
    status = envelope["status"] + (f" ({envelope['code']})" if envelope.get("code") else "")
    out.print(f"{inert(status)}  {inert(envelope['action_id'])}")
    for name in ("message", "next", "expires_at", "retry_after_ms"):
        if envelope.get(name) is not None:
            out.print(f"{name + ':':<12} {inert(envelope[name])}")
    for rule in envelope.get("rules", ()):
        out.print(f"{'rule:':<12} {inert(rule)}")
    if envelope.get("diff"):
        say("")
        columns = ("field", "before", "after", "certainty")
        table(columns, ([change.get(name) for name in columns] for change in envelope["diff"]))
    if envelope.get("data"):
        say("")
        table(("data", ""), envelope["data"].items())
