"""From a stored action back to one that can run: for approved holds and unknown outcomes."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from gateway.bodies import opened
from gateway.errors import HoldgateError
from gateway.keyring import Keyring
from gateway.model import Action, Carried, Key, Mode, Task
from gateway.plain import as_model
from gateway.store.actions import ActionRow
from gateway.store.transaction import Transaction
from gateway.tools.catalogue import Catalogue

log = logging.getLogger("holdgate.recall")


@dataclass(frozen=True, slots=True)
class Lapsed:
    """Why a stored action cannot run any more."""

    code: str
    message: str


def recall(tx: Transaction, keyring: Keyring, catalogue: Catalogue, row: ActionRow) -> Action | Lapsed:
    """Rebuild an action from what was stored when it was admitted; its tool must not have changed (S16)."""
    tool = catalogue.tools.get(row.tool)
    if tool is None or tool.schema_hash != row.schema_hash:
        return Lapsed("hold_stale", "The tool has changed since.")
    principal = tx.people.get(row.tenant, row.principal)
    if principal is None:
        return Lapsed("not_permitted", "The caller was disabled since.")
    try:
        arguments = opened(tx, keyring, row.id, "arguments")
        context: dict[str, Any] = opened(tx, keyring, row.id, "context") or {}
    except HoldgateError as tampered:
        log.error("stored_call_tampered", extra={"action": row.id, "why": str(tampered)})
        return Lapsed("hold_stale", "What was stored of the call was changed since.")
    if arguments is None:
        return Lapsed("hold_stale", "The arguments are no longer kept.")
    try:
        args = as_model(tool.input_model, arguments)
    except ValidationError:
        return Lapsed("hold_stale", "The stored arguments are not valid for the tool.")
    return Action(
        id=row.id,
        principal=replace(principal, key_id=row.api_key, on_behalf_of=row.on_behalf_of),
        tool=tool,
        args=args,
        arguments=arguments,
        given=frozenset(context.get("given", arguments)),
        mode=Mode(row.mode),
        task=Task(row.task, row.task_source),
        key=Key(row.key_digest, row.key_source or "derived") if row.key_digest else None,
        fingerprint=row.fingerprint,
        twin=b"",
        reason=context.get("reason"),
        evidence=tuple(context.get("evidence") or ()),
        carried=Carried(),
        deadline=tool.timeout,
        asked_in=context.get("asked_in"),
    )
