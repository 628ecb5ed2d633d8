"""What a tool may not be, and what it had better not be, a rule each; and the clients that would break.

The rules are data; `portable` and `verdict` find where a tool breaks one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Part(StrEnum):
    """What of a tool a finding is about."""

    TOOL = "tool"
    ARGUMENTS = "arguments"
    RESULT = "result"
    LIST = "list"
    """No tool by itself: what one principal is offered."""


class Severity(StrEnum):
    """What a finding means for the gateway: with an error it does not start."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        id: stable.
        breaks: client -> how it fails; empty where it is the gateway itself that cannot work with such a tool.
        remedy: one sentence.
    """

    id: str
    breaks: Mapping[str, str]
    remedy: str
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a tool breaks a rule.

    Attributes:
        tool: its name; of a list, whose it is.
        path: in the model of arguments or result, e.g. `lines[].sku`; empty for all of it.
        what: what is wrong, e.g. `may be one of several types`.
        remedy: the rule's own, unless there is a better one.
    """

    rule: Rule
    tool: str
    part: Part
    path: str
    what: str
    remedy: str

    @property
    def sentence(self) -> str:
        """What is wrong, where, and who would break on it."""
        broken = "".join(f" {client} {how}." for client, how in self.rule.breaks.items())
        return f"{self.subject} {self.what}.{broken}"

    @property
    def subject(self) -> str:
        """What the finding is about, as the beginning of a sentence."""
        match self.part, self.path:
            case Part.LIST, _:
                return f"{self.tool}"
            case Part.TOOL, _:
                return f"Tool {self.tool}"
            case Part.ARGUMENTS, "":
                return f"Tool {self.tool}: the Input model"
            case Part.ARGUMENTS, path:
                return f"Tool {self.tool}: the argument {path}"
            case _, "":
                return f"Tool {self.tool}: the Output model"
            case _, path:
                return f"Tool {self.tool}: {path} of the result"


MAX_BYTES: Final = 4_000
"""Of an input schema: above this Codex silently strips every description."""
MAX_LEVELS: Final = 2
"""Of properties inside properties; deeper ones are cut by Codex."""
MAX_DESCRIPTION: Final = 1_024
"""Characters of a tool's description."""
LONG_SECONDS: Final = 45.0
"""After which a call may outlast its client."""
MANY_TOOLS: Final = 40
"""For one principal."""


def _rule(id: str, remedy: str, severity: Severity = Severity.ERROR, **breaks: str) -> Rule:
    named = {_CLIENTS.get(client, client.replace("_", " ").capitalize()): how for client, how in breaks.items()}
    return Rule(id, MappingProxyType(named), remedy, severity)


_CLIENTS: Final = {
    "openai": "OpenAI's API",
    "anthropic": "Anthropic's API",
    "claude_code": "Claude Code",
    "claude_ai": "claude.ai",
    "gemini": "Gemini CLI",
    "copilot": "Copilot CLI",
    "vscode": "VS Code",
    "typescript": "Every client on the TypeScript SDK",
    "validating": "Every client that validates results",
    "agents": "The OpenAI Agents SDK",
    "everyone": "Every client",
}

ROOT_UNION: Final = _rule(
    "root-union",
    "Use one model.",
    openai="answers 400 to the whole request",
    claude_code="drops the tool without a word",
    vscode="deletes the union",
)
NO_OBJECT: Final = _rule(
    "no-object", "Use a model with fields.", typescript="refuses the whole list of tools", claude_code="shows none"
)
UNION: Final = _rule(
    "union",
    "Give it one type.",
    cursor="answers 400 to every prompt",
    openai="refuses the tool in strict mode",
)
KEYWORD: Final = _rule(
    "keyword",
    "Use plain fields and lists.",
    cursor="answers 400 to every prompt",
    openai="answers 400 to the whole request",
)
DANGLING: Final = _rule(
    "dangling-reference",
    "Define the model locally.",
    typescript="refuses the whole list, or every call of the tool",
)
RECURSION: Final = _rule(
    "recursion",
    "Flatten it, or page through it.",
    gemini="follows no reference, and written out it would have no end",
    codex="loses its inner fields",
)
ENUM: Final = _rule("enum", "Use strings.", gemini="knows enums of strings only, and its API answers 400")
NO_TYPE: Final = _rule(
    "no-type",
    "Annotate it with one plain type.",
    openai="answers 400 to the whole request",
    gemini="rewrites or drops it",
)
LIST_OF_ANYTHING: Final = _rule(
    "list-of-anything",
    "Say what it lists.",
    openai="answers 400 to the whole request",
    copilot="loses every tool with it",
)
NULL_ITEM: Final = _rule(
    "null-item",
    "Leave missing items out of the list.",
    validating="throws the answer away",
    gemini="rewrites the null",
)
REQUIRED_NULL: Final = _rule(
    "required-null",
    "Give it the default None, or drop `| None`.",
    gemini="rewrites the null, and its model is made to send a value",
)
OPEN_MEMBERS: Final = _rule("open-members", "Name its fields in a model.", openai="refuses the tool in strict mode")
DEPTH: Final = _rule("depth", "Flatten it.", codex="shows its model an object without fields")
MEMBER_NAME: Final = _rule("member-name", "Rename it.", anthropic="answers 400 on every turn")
SIZE: Final = _rule(
    "size",
    "Shorten the descriptions, or split the tool.",
    codex=f"strips every description from {MAX_BYTES} bytes on",
)
DESCRIPTION: Final = _rule(
    "description",
    "Shorten the function's docstring.",
    vscode="cuts it for some models",
    claude_code="cuts it at 2 KB",
)

NO_SCHEMA: Final = _rule("no-schema", "Use plain fields: texts, numbers, booleans, lists and models of them.")
RESERVED: Final = _rule("reserved-argument", "Rename it.")
HIDDEN: Final = _rule(
    "hidden-argument", "Use a plain type without `exclude`; name it in `sensitive` to have it masked."
)
OWN_NAME: Final = _rule("own-name", "Rename its function.")
NO_PREVIEW: Final = _rule("no-preview", "Declare one, or lower its risk.")
TEXTS: Final = _rule("texts", "Correct its Input or its URI.")

PATTERN: Final = _rule(
    "pattern",
    "Write it without flags, named groups, `\\A`, `\\Z` and needless escapes.",
    Severity.WARNING,
    typescript="would throw on it, so it goes out in words only and no client checks it before the call",
)
UNDESCRIBED: Final = _rule(
    "undescribed",
    'Say it in `Field(description="…")`, with an example.',
    Severity.WARNING,
    everyone="shows its model the bare name",
)
SLOW: Final = _rule(
    "slow",
    "Lower `timeout`, or split the work into starting it and asking how it stands.",
    Severity.WARNING,
    agents="gives up after 5 s unless it is told otherwise",
    claude_ai="gives up after 60 s",
)
TOO_MANY: Final = _rule(
    "too-many",
    "Give its groups fewer tools in the policies.",
    Severity.WARNING,
    cursor=f"is said to take {MANY_TOOLS}",
    vscode="takes 128 for one request",
)

RULES: Final = {
    rule.id: rule
    for rule in (
        *(ROOT_UNION, NO_OBJECT, UNION, KEYWORD, DANGLING, RECURSION, ENUM, NO_TYPE, LIST_OF_ANYTHING, NULL_ITEM),
        *(REQUIRED_NULL, OPEN_MEMBERS, DEPTH, MEMBER_NAME, SIZE, DESCRIPTION),
        *(NO_SCHEMA, RESERVED, HIDDEN, OWN_NAME, NO_PREVIEW, TEXTS),
        *(PATTERN, UNDESCRIBED, SLOW, TOO_MANY),
    )
}
"""Every rule: those that clients break on, those of the gateway, and what is only a warning."""
