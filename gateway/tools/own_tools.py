"""The three tools the gateway itself offers: how an agent follows up on what it started (semantics.md H-9).

Only their shapes live here. They have no connector and change no system of record; `follow_up` answers them.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from gateway.connector import Input, Output
from gateway.model import ID_PATTERN
from gateway.tools.envelope import RESULT_LEVELS, output_schema
from gateway.tools.portable import project
from gateway.tools.published import Published, hints

MAX_WAIT: Final = 25
"""Seconds get_action may wait: below the shortest timeout of a client that allows for waiting at all."""

ActionId = Annotated[
    str, Field(pattern=ID_PATTERN.pattern, description="An action_id from the answer to one of your own calls.")
]


class GetAction(Input):
    """Arguments of get_action."""

    action_id: ActionId
    wait_seconds: Annotated[
        int, Field(ge=0, le=MAX_WAIT, description="How long to wait for a decision or an outcome before answering.")
    ] = 0


class ListMyActions(Input):
    """Arguments of list_my_actions."""

    state: Annotated[
        Literal["held", "dispatching", "succeeded", "failed", "unknown", "refused"] | None,
        Field(description="Only actions in this state."),
    ] = None
    limit: Annotated[int, Field(ge=1, le=50, description="How many, newest first.")] = 20


class CancelAction(Input):
    """Arguments of cancel_action."""

    action_id: ActionId


class ListedAction(Output):
    """One line of list_my_actions."""

    action_id: str
    tool: str
    state: str
    created_at: Annotated[str, Field(description="RFC 3339.")]
    expires_at: Annotated[str | None, Field(description="RFC 3339, for a held action.")] = None
    dry_run: Annotated[bool | None, Field(description="True for a preview: it changed nothing.")] = None
    message: str | None = None


class ListedActions(Output):
    """Result of list_my_actions."""

    actions: list[ListedAction]


INPUTS: Final[dict[str, type[Input]]] = {
    "cancel_action": CancelAction,
    "get_action": GetAction,
    "list_my_actions": ListMyActions,
}
"""The built-in tools and the arguments they take."""


def _published(
    name: str, title: str, description: str, annotations: dict[str, bool], data: dict[str, Any] | None
) -> Published:
    schema = INPUTS[name].model_json_schema(mode="validation")
    return Published(name, title, description, project(schema, tool=name), output_schema(data), annotations)


PUBLISHED: Final[dict[str, Published]] = {
    tool.name: tool
    for tool in (
        _published(
            "cancel_action",
            "Cancel a held action",
            "Withdraw one of your own actions that still waits for approval. It will then never run. An action that "
            "has already started cannot be cancelled.",
            hints(reads_only=False, open_world=False),
            None,
        ),
        _published(
            "get_action",
            "Look up an action",
            "Say how one of your own earlier calls stands: its status and, once there is one, its result. Call this "
            "after an answer of held, running or unknown, instead of repeating the call; wait_seconds saves polling.",
            hints(reads_only=True, open_world=False),
            None,
        ),
        _published(
            "list_my_actions",
            "List your actions",
            "List your own recent calls, newest first, with their action_id and state. Call this when an answer was "
            "lost and you do not know whether the call happened.",
            hints(reads_only=True, open_world=False),
            project(
                ListedActions.model_json_schema(mode="serialization"),
                tool="list_my_actions",
                result=True,
                levels=RESULT_LEVELS,
            ),
        ),
    )
}
"""The built-in tools as clients see them, by name."""
