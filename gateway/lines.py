"""What the ledger's lines about an action have in common."""

from __future__ import annotations

from typing import Any

from gateway.decision import Decision
from gateway.model import Action
from gateway.store.actions import ActionRow


def facts(action: Action, decision: Decision | None = None) -> dict[str, Any]:
    """What every ledger line about a call says: who, what, for which task, by which rules. No argument."""
    known = {
        "action": action.id,
        "tenant": action.principal.tenant,
        "principal": action.principal.id,
        "api_key": action.principal.key_id,
        "on_behalf_of": action.principal.on_behalf_of,
        "tool": action.tool.name,
        "effect": str(action.tool.effect),
        "mode": str(action.mode),
        "task": action.task.id,
        "task_source": action.task.source,
        "fingerprint": action.fingerprint.hex(),
        "schema": action.tool.schema_hash,
        "credential": action.tool.connector.credential,
        "evidence": list(action.evidence) or None,
        "key_source": action.key_source,
        "continues": action.resumed.action_id if action.resumed else None,
        "answers": action.resumed.digest.hex() if action.resumed else None,
        "client_call": action.carried.client_call_id,
        "claims": dict(action.carried.claims) or None,
    }
    if decision is not None:
        known |= {"policy": decision.policy_hash, "rules": [rule.id for rule in decision.rules]}
    return known


def end_facts(action: Action) -> dict[str, Any]:
    """What the line of a call's end says of the call: enough to search for; the rest is in the line of its intent."""
    return {
        "action": action.id,
        "tenant": action.principal.tenant,
        "principal": action.principal.id,
        "tool": action.tool.name,
        "effect": str(action.tool.effect),
        "mode": str(action.mode),
        "task": action.task.id,
    }


def later_facts(row: ActionRow, by: str | None) -> dict[str, Any]:
    """What a line says that is written when the call itself is over: which action, and whose doing this was.

    Args:
        by: the id of the principal who did it; None: nobody but time, or the gateway.
    """
    return {
        "action": row.id,
        "tenant": row.tenant,
        "principal": by,
        "tool": row.tool,
        "effect": row.effect,
        "mode": row.mode,
        "task": row.task,
    }
