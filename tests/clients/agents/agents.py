"""The command-line agents from npm: each with a home of its own, set up by the lines that `holdgate connect` prints."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.clients.agents.dialects import Anthropic, AnthropicSearch, Dialect, Gemini, OpenAI, OpenAICode
from tests.clients.agents.model import Model, thinking
from tests.node import AGENTS, modules, node
from tests.place import Place

SECONDS = 240.0
"""More than any agent has needed for a story; one that never ends fails its test, and not the whole run."""


@dataclass(frozen=True)
class Agent:
    """How one agent is started.

    Attributes:
        client: its name for `holdgate connect`.
        program: its name on PATH.
        binary: below `node_modules`.
        dialect: of its model.
        flags: that point it to a model at an address, beside those that `holdgate connect` names.
        environment: likewise.
        files: of its home, by path.
    """

    client: str
    program: str
    binary: str
    dialect: Callable[[], Dialect]
    flags: Callable[[str], list[str]] = lambda url: []
    environment: Callable[[str], dict[str, str]] = lambda url: {}
    files: dict[str, str] = field(default_factory=dict)


def _codex(url: str) -> list[str]:
    provider = f'{{name="scripted", base_url="{url}/v1", env_key="SCRIPTED_KEY", wire_api="responses"}}'
    settings = ('model_provider="scripted"', f"model_providers.scripted={provider}")
    return ["--skip-git-repo-check", *(word for setting in settings for word in ("-c", setting))]


def _claude(url: str) -> dict[str, str]:
    quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    return {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "scripted", **quiet}


_SYSTEM = platform.system().lower()
_MACHINE = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(platform.machine().lower(), "arm64")

_CLAUDE = f"@anthropic-ai/claude-code-{_SYSTEM}-{_MACHINE}/claude"
"""npm would copy it beside its script, but no package's own scripts are run."""

AGENTS_BY_NAME = {
    "claude": Agent(
        client="claude",
        program="claude",
        binary=_CLAUDE,
        dialect=AnthropicSearch,
        environment=_claude,
    ),
    "claude-listed": Agent(
        client="claude",
        program="claude",
        binary=_CLAUDE,
        dialect=Anthropic,
        environment=lambda url: {**_claude(url), "ENABLE_TOOL_SEARCH": "false"},
    ),
    "codex": Agent(
        client="codex",
        program="codex",
        binary=".bin/codex",
        dialect=OpenAI,
        flags=lambda url: ["--model", "scripted", *_codex(url)],
        environment=lambda url: {"SCRIPTED_KEY": "scripted"},
    ),
    "codex-code": Agent(
        client="codex",
        program="codex",
        binary=".bin/codex",
        dialect=OpenAICode,
        flags=_codex,
        environment=lambda url: {"SCRIPTED_KEY": "scripted"},
    ),
    "gemini": Agent(
        client="gemini",
        program="gemini",
        binary=".bin/gemini",
        dialect=Gemini,
        flags=lambda url: ["--model", "gemini-2.5-pro"],
        environment=lambda url: {
            "GOOGLE_GEMINI_BASE_URL": url,
            "GEMINI_API_KEY": "scripted",
            "GEMINI_CLI_TRUST_WORKSPACE": "true",
        },
        files={".gemini/settings.json": json.dumps({"security": {"auth": {"selectedType": "gemini-api-key"}}})},
    ),
}
"""Claude Code twice: by itself it tells its model the names, to be looked up, and with a setting it lists the tools.
Codex twice: models that it does not know call tools, and its own ones write code that calls them."""


class Desk:
    """Where one agent works: a home, a project, and nothing of this machine.

    Args:
        folder: empty; made.
        who: the principal whose key it has.
    """

    def __init__(self, agent: Agent, folder: Path, place: Place, who: str = "bot") -> None:
        self.agent = agent
        self.home = folder / "home"
        self.project = self.home / "project"
        self.project.mkdir(parents=True)
        (folder / "bin").mkdir()
        (folder / "bin" / agent.program).symlink_to(modules(AGENTS) / "node_modules" / agent.binary)
        for path, text in agent.files.items():
            (self.home / path).parent.mkdir(parents=True, exist_ok=True)
            (self.home / path).write_text(text)
        self.environment = {
            "PATH": os.pathsep.join([str(folder / "bin"), str(node().parent), "/usr/bin", "/bin"]),
            "HOME": str(self.home),
            "TMPDIR": str(folder),
            "LANG": "C.UTF-8",
        }
        self.key = place.keys[who]
        self.lines = printed(place, agent.client, who)
        self.run(["sh", "-ec", self.lines])

    def work(self, model: Model, **environment: str) -> str:
        """Let the agent work with this model until it ends; what it printed."""
        with thinking(model):
            start = self.lines.splitlines()[-1].removeprefix("#").removesuffix("PROMPT")
            words = [*shlex.split(start), "Do what has to be done."]
            # The prompt ends the line, and is an option's value for some.
            at = 2 if self.agent.client == "codex" else 1
            command = [*words[:at], *self.agent.flags(model.url), *words[at:]]
            return self.run(command, HOLDGATE_KEY=self.key, **self.agent.environment(model.url), **environment)

    def run(self, command: list[str], **environment: str) -> str:
        """A program in this agent's world, which must not fail."""
        ran = subprocess.run(
            command,
            cwd=self.project,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout
        return ran.stdout


def printed(place: Place, client: str, who: str) -> str:
    """What `holdgate connect` prints."""
    command = [*place.holdgate, "connect", client, "--as", who]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
