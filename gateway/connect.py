"""What to paste, so that a client finds the gateway: one text per client, as its own documentation wants it.

No text to paste holds a key: it names the variable that does, or the file where the key is kept. Only `json`, which
is for scripts to read, has the key itself.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from gateway.errors import HoldgateError

NAME: Final = "holdgate"
"""What clients call this server; they put it before every tool's name, so it is short and has no underscore."""


def snippet(client: str, url: str, key_env: str, key_file: Path) -> str:
    """The lines that connect one client, ready to paste into a POSIX shell or the client's own file.

    Args:
        client: one of `CLIENTS`.
        url: of the MCP endpoint, e.g. `http://127.0.0.1:8420/mcp`.
        key_env: the variable that holds the API key for clients that read one.
        key_file: where this user's copy of the key is kept.

    Raises:
        HoldgateError: for a client that is not known, and for `json` when the key file cannot be read.
    """
    if client not in _SNIPPETS:
        raise HoldgateError(f"There are no lines for {client!r}. Known are: {', '.join(CLIENTS)}.")
    return _SNIPPETS[client](url, key_env, key_file)


def _export(key_env: str, key_file: Path) -> str:
    return f'export {key_env}="$(cat {shlex.quote(str(key_file))})"'


def _claude(url: str, key_env: str, key_file: Path) -> str:
    # Single quotes: Claude Code keeps ${…} in its file and expands it at each start, so no key is written there.
    header = f"'Authorization: Bearer ${{{key_env}}}'"
    return f"{_export(key_env, key_file)}\nclaude mcp add --transport http {NAME} {url} --header {header}"


def _codex(url: str, key_env: str, key_file: Path) -> str:
    return f"{_export(key_env, key_file)}\ncodex mcp add {NAME} --url {url} --bearer-token-env-var {key_env}"


def _gemini(url: str, key_env: str, key_file: Path) -> str:
    header = f"'Authorization: Bearer ${{{key_env}}}'"
    return f"{_export(key_env, key_file)}\ngemini mcp add --transport http --header {header} {NAME} {url}"


def _inspector(url: str, key_env: str, key_file: Path) -> str:
    return (
        f"{_export(key_env, key_file)}\n"
        f"npx @modelcontextprotocol/inspector --cli {url} --transport http"
        f' --header "Authorization: Bearer ${key_env}" --method tools/list'
    )


def _cursor(url: str, key_env: str, key_file: Path) -> str:
    server = {"url": url, "headers": {"Authorization": f"Bearer ${{env:{key_env}}}"}}
    return _file({"mcpServers": {NAME: server}})


def _vscode(url: str, key_env: str, key_file: Path) -> str:
    asked = {"type": "promptString", "id": "holdgate-key", "description": f"Key in {key_file}", "password": True}
    server = {"type": "http", "url": url, "headers": {"Authorization": "Bearer ${input:holdgate-key}"}}
    return _file({"inputs": [asked], "servers": {NAME: server}})


def _json(url: str, key_env: str, key_file: Path) -> str:
    try:
        key = key_file.read_text(encoding="utf-8").strip()
    except OSError as broken:
        raise HoldgateError(
            f"The key file {key_file} cannot be read: {broken.strerror}. Make a key with `holdgate keys create`."
        ) from broken
    return _file({"url": url, "headers": {"Authorization": f"Bearer {key}"}})


def _file(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2)


_SNIPPETS: Final[dict[str, Callable[[str, str, Path], str]]] = {
    "claude": _claude,
    "codex": _codex,
    "gemini": _gemini,
    "inspector": _inspector,
    "cursor": _cursor,
    "vscode": _vscode,
    "json": _json,
}

CLIENTS: Final = tuple(_SNIPPETS)
"""The clients that `snippet` knows: four for a shell, `.cursor/mcp.json`, `.vscode/mcp.json`, and scripts."""
