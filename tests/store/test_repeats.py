"""What a new call is compared with: the one look that says "new" overlooks nothing that the others would find."""

import re
import sqlite3
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.model import Action, Key, Task
from gateway.store.actions import ActionRow, Actions
from gateway.store.transaction import Connection
from tests.calling import CALL

KEYS = [b"one key", b"another"]
TWINS = [b"", b"one twin", b"another"]
SOURCES = ["derived", "argument", "natural"]
NOTHING = {
    "api_key": "",
    "fingerprint": b"",
    "schema_hash": "",
    "policy_hash": "",
    "instance": "",
    "updated_at": 0,
}
"""What none of the looks asks about."""
TASKS = [Task("tsk_1", "implicit"), Task("tsk_2", "session"), Task("tsk_3", "header")]

ROWS = st.fixed_dictionaries(
    {
        "tenant": st.just("acme"),
        "principal": st.just("bot"),
        "tool": st.sampled_from([CALL.tool.name, "billing_other"]),
        "effect": st.just("write"),
        "mode": st.sampled_from(["run", "preview"]),
        "task": st.sampled_from(TASKS),
        "key_digest": st.sampled_from([None, *KEYS]),
        "key_source": st.sampled_from([None, *SOURCES]),
        "twin": st.sampled_from(TWINS),
        "state": st.sampled_from(["succeeded", "unknown"]),
        "delivered_at": st.sampled_from([None, 1_000]),
    }
)
CALLS = st.builds(
    lambda key, source, twin, task: replace(CALL, key=Key(key, source), twin=twin, task=task),
    st.sampled_from(KEYS),
    st.sampled_from(SOURCES),
    st.sampled_from(TWINS),
    st.sampled_from(TASKS),
)
LOST = {
    "tenant": "acme",
    "principal": "bot",
    "tool": CALL.tool.name,
    "effect": "write",
    "mode": "run",
    "task": TASKS[0],
    "key_digest": KEYS[1],
    "key_source": "derived",
    "twin": TWINS[1],
    "state": "succeeded",
    "delivered_at": None,
}
REPEAT = replace(CALL, key=Key(KEYS[0], "derived"), twin=TWINS[1], task=TASKS[0])


def looked(connection: Connection, rows: list[dict[str, Any]], call: Action) -> tuple[bool, list[ActionRow | None]]:
    """Whether a call may be a repeat where these rows are recorded, and what each of the three looks finds."""
    connection.execute("BEGIN")
    try:
        for number, row in enumerate(rows):
            task = row["task"]
            given = {**row, "id": f"act_{number}", "task": task.id, "task_source": task.source, "received_at": number}
            names = ", ".join((*given, *NOTHING))
            places = ", ".join("?" * len((*given, *NOTHING)))
            values = (*given.values(), *NOTHING.values())
            connection.execute(f"INSERT OR IGNORE INTO actions ({names}) VALUES ({places})", values)
        actions = Actions(connection, 2_000)
        return actions.may_be_repeat(call), [actions.claimant(call), actions.lost(call), actions.in_doubt(call)]
    finally:
        connection.execute("ROLLBACK")


@given(rows=st.lists(ROWS, max_size=6), call=CALLS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
def test_no_repeat_passes_for_a_new_call(connection: Connection, rows: list[dict[str, Any]], call: Action) -> None:
    """I-4, I-12, I-15: whatever is recorded, a call that is told to be new has no claimant, no lost twin, no doubt."""
    may_be, found = looked(connection, rows, call)
    assert may_be or found == [None, None, None]


@pytest.mark.parametrize(
    ("row", "finds"),
    [
        ({"key_digest": KEYS[0], "delivered_at": 1_000}, [True, False, False]),
        ({"task": TASKS[1]}, [False, True, False]),
        ({"key_digest": None, "key_source": "argument", "task": TASKS[2], "state": "unknown"}, [False, False, True]),
        ({"delivered_at": 1_000}, [False, False, False]),
        ({"key_source": "argument"}, [False, False, False]),
        ({"key_digest": None}, [False, False, False]),
        ({"task": TASKS[2]}, [False, False, False]),
        ({"mode": "preview"}, [False, False, False]),
        ({"effect": "read"}, [False, False, False]),
        ({"principal": "clerk", "key_digest": KEYS[0], "state": "unknown"}, [False, False, False]),
        ({"tenant": "another", "key_digest": KEYS[0], "state": "unknown"}, [False, False, False]),
        ({"tool": "billing_other", "key_digest": KEYS[0], "twin": TWINS[2]}, [False, False, False]),
    ],
)
def test_each_look_finds_what_it_is_for(connection: Connection, row: dict[str, Any], finds: list[bool]) -> None:
    """I-2, I-12, I-15: who holds the key; a lost answer of the same unnamed work; a doubt, under any key and task."""
    may_be, found = looked(connection, [{**LOST, **row}], REPEAT)
    assert [look is not None for look in found] == finds
    assert may_be >= any(finds)


def test_of_several_lost_answers_the_newest_is_given(connection: Connection) -> None:
    """I-15: what the agent would have been told last, had it been there."""
    _, (_, lost, _) = looked(connection, [LOST, {**LOST, "key_digest": b"a third"}], REPEAT)
    assert lost is not None
    assert lost.id == "act_1"


def test_what_a_call_is_compared_with_is_found_by_digest_alone(connection: sqlite3.Connection) -> None:
    """I-4: never among all that its principal has ever done, which may be millions of actions."""
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    looked(connection, [LOST], REPEAT)
    connection.set_trace_callback(None)
    looks = [sql for sql in asked if sql.startswith("SELECT")]
    assert len(looks) == 4
    for sql in looks:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
        steps = [step for step in plan if " actions " in step]
        assert steps
        assert all(
            re.search(r"SEARCH actions USING (COVERING )?INDEX actions_(claim|lost) ", step) for step in steps
        ), plan
