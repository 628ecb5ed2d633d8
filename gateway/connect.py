"""What to paste, so that a client finds the gateway: one text per client, as its own documentation wants it.

No text to paste holds a key: it names the variable that does, or the file where the key is kept. Only `json`, which
is for scripts to read, has the key itself. Where a client expands variables or code reads them, the text names the task
too (semantics.md I-16); a variable that is not set names none.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from gateway.errors import HoldgateError

NAME: Final = "holdgate"
"""What clients call this server; they put it before every tool's name, so it is short and has no underscore."""

KEY_ENV: Final = "HOLDGATE_KEY"
"""The variable that holds the API key, for the command line and for clients that read one."""

TASK_ENV: Final = "HOLDGATE_TASK"
"""The variable that names the piece of work, as for the command line."""


class Client(StrEnum):
    """The clients that `snippet` knows: those of `PLACES`, `json` for scripts, and the others for a shell."""

    CLAUDE = "claude"
    CODEX = "codex"
    GEMINI = "gemini"
    INSPECTOR = "inspector"
    DESKTOP = "desktop"
    CURSOR = "cursor"
    VSCODE = "vscode"
    COPILOT = "copilot"
    GOOSE = "goose"
    LANGCHAIN = "langchain"
    OPENAI_AGENTS = "openai-agents"
    PYDANTIC_AI = "pydantic-ai"
    JSON = "json"


PLACES: Final[dict[str, str]] = {
    Client.DESKTOP: "claude_desktop_config.json (Settings, Developer, Edit Config)",
    Client.CURSOR: ".cursor/mcp.json",
    Client.VSCODE: ".vscode/mcp.json",
    Client.COPILOT: "~/.copilot/mcp-config.json",
    Client.GOOSE: "~/.config/goose/config.yaml",
    Client.LANGCHAIN: "a Python program with langchain-mcp-adapters",
    Client.OPENAI_AGENTS: "a Python program with openai-agents",
    Client.PYDANTIC_AI: "a Python program with pydantic-ai",
}
"""Where the texts go that are not for a shell."""

UNATTENDED: Final[dict[str, str]] = {
    Client.CLAUDE: f"claude --allowedTools mcp__{NAME} -p",
    Client.CODEX: f"codex exec -c 'mcp_servers.{NAME}.default_tools_approval_mode=\"approve\"'",
    Client.GEMINI: f"gemini --allowed-tools 'mcp_{NAME}_*' -p",
}
"""How a client is started where nobody is there to be asked: by itself it then refuses the tools, or hides them. A
prompt follows. Holdgate still decides on every call."""


def snippet(client: str, url: str, key_file: Path) -> str:
    """The lines that connect one client, ready to paste into a POSIX shell or the client's own file.

    Args:
        client: a `Client`, or its name.
        url: of the MCP endpoint, e.g. `http://127.0.0.1:8420/mcp`.
        key_file: where this user's copy of the key is kept.

    Raises:
        HoldgateError: for a client that is not known, and for `json` when the key file cannot be read.
    """
    if client not in _SNIPPETS:
        raise HoldgateError(f"There are no lines for {client!r}. Known are: {', '.join(Client)}.")
    return _SNIPPETS[client](url, key_file)


def _export(key_file: Path) -> str:
    return f'export {KEY_ENV}="$(cat {shlex.quote(str(key_file))})"'


def _claude(url: str, key_file: Path) -> str:
    # Single quotes: Claude Code keeps ${…} in its file and expands it at each start, so no key is written there.
    key = f"'Authorization: Bearer ${{{KEY_ENV}}}'"
    task = f"'Holdgate-Task: ${{{TASK_ENV}:-}}'"
    return f"{_export(key_file)}\nclaude mcp add --transport http {NAME} {url} --header {key} --header {task}"


def _codex(url: str, key_file: Path) -> str:
    return f"{_export(key_file)}\ncodex mcp add {NAME} --url {url} --bearer-token-env-var {KEY_ENV}"


def _gemini(url: str, key_file: Path) -> str:
    key = f"'Authorization: Bearer ${{{KEY_ENV}}}'"
    task = f"'Holdgate-Task: ${{{TASK_ENV}}}'"
    return f"{_export(key_file)}\ngemini mcp add --transport http --header {key} --header {task} {NAME} {url}"


def _inspector(url: str, key_file: Path) -> str:
    return (
        f"{_export(key_file)}\n"
        f"npx @modelcontextprotocol/inspector --cli {url} --transport http"
        f' --header "Authorization: Bearer ${KEY_ENV}" --method tools/list'
    )


def _desktop(url: str, key_file: Path) -> str:
    server = {"command": "sh", "args": ["-c", _bridge(url, key_file)]}
    return _file({"mcpServers": {NAME: server}})


def _cursor(url: str, key_file: Path) -> str:
    headers = {"Authorization": f"Bearer ${{env:{KEY_ENV}}}", "Holdgate-Task": f"${{env:{TASK_ENV}}}"}
    return _file({"mcpServers": {NAME: {"url": url, "headers": headers}}})


def _vscode(url: str, key_file: Path) -> str:
    asked = {"type": "promptString", "id": "holdgate-key", "description": f"Key in {key_file}", "password": True}
    server = {"type": "http", "url": url, "headers": {"Authorization": "Bearer ${input:holdgate-key}"}}
    return _file({"inputs": [asked], "servers": {NAME: server}})


def _copilot(url: str, key_file: Path) -> str:
    # Its headers are literal, and would hold the key.
    server = {"type": "local", "command": "sh", "args": ["-c", _bridge(url, key_file)], "tools": ["*"]}
    return _file({"mcpServers": {NAME: server}})


def _goose(url: str, key_file: Path) -> str:
    return "\n".join(
        (
            "extensions:",
            f"  {NAME}:",
            "    enabled: true",
            "    type: streamable_http",
            f"    name: {NAME}",
            f"    uri: {url}",
            f"    env_keys: [{KEY_ENV}]",
            "    headers:",
            f'      Authorization: "Bearer ${{{KEY_ENV}}}"',
            "    timeout: 300",
        )
    )


def _langchain(url: str, key_file: Path) -> str:
    return "\n".join(
        (
            "import os",
            "",
            "from langchain_mcp_adapters.client import MultiServerMCPClient",
            "",
            f"headers = {_headers_in_python()}",
            f'client = MultiServerMCPClient({{"{NAME}": {{"transport": "http", "url": "{url}", "headers": headers}}}})',
        )
    )


def _openai_agents(url: str, key_file: Path) -> str:
    # Its own patience is 5 s, less than `get_action` may wait.
    return "\n".join(
        (
            "import os",
            "",
            "from agents.mcp import MCPServerStreamableHttp",
            "",
            f"headers = {_headers_in_python()}",
            "server = MCPServerStreamableHttp(",
            f'    name="{NAME}", params={{"url": "{url}", "headers": headers}}, client_session_timeout_seconds=60',
            ")",
        )
    )


def _pydantic_ai(url: str, key_file: Path) -> str:
    # Left to itself it takes a refusal for something to try again, and keeps the gateway's instructions from the model.
    return "\n".join(
        (
            "import os",
            "",
            "from pydantic_ai.mcp import MCPToolset",
            "",
            f"headers = {_headers_in_python()}",
            "toolset = MCPToolset(",
            f'    "{url}", headers=headers, include_instructions=True, tool_error_behavior="failed"',
            ")",
        )
    )


def _headers_in_python() -> str:
    key = f"f\"Bearer {{os.environ['{KEY_ENV}']}}\""
    return f'{{"Authorization": {key}, "Holdgate-Task": os.environ.get("{TASK_ENV}", "")}}'


def _bridge(url: str, key_file: Path) -> str:
    """A shell's line for clients that start a program: the key is in its environment, never among its arguments."""
    # Single quotes: mcp-remote expands ${…} itself.
    header = f"'Authorization: Bearer ${{{KEY_ENV}}}'"
    return f"{_export(key_file)}; exec npx -y mcp-remote {url} --transport http-only --header {header}"


def _json(url: str, key_file: Path) -> str:
    try:
        key = key_file.read_text(encoding="utf-8").strip()
    except OSError as broken:
        raise HoldgateError(
            f"The key file {key_file} cannot be read: {broken.strerror}. Make a key with `holdgate keys create`."
        ) from broken
    return _file({"url": url, "headers": {"Authorization": f"Bearer {key}"}})


def _file(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2)


_SNIPPETS: Final[dict[str, Callable[[str, Path], str]]] = {
    Client.CLAUDE: _claude,
    Client.CODEX: _codex,
    Client.GEMINI: _gemini,
    Client.INSPECTOR: _inspector,
    Client.DESKTOP: _desktop,
    Client.CURSOR: _cursor,
    Client.VSCODE: _vscode,
    Client.COPILOT: _copilot,
    Client.GOOSE: _goose,
    Client.LANGCHAIN: _langchain,
    Client.OPENAI_AGENTS: _openai_agents,
    Client.PYDANTIC_AI: _pydantic_ai,
    Client.JSON: _json,
}
