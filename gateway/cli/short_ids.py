"""Ids may be shortened to a beginning that only one of them has."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gateway.errors import HoldgateError
from gateway.model import ID_PATTERN

if TYPE_CHECKING:
    from gateway.store.transaction import Transaction


_LISTED_BY = {"hold": "holdgate approvals ls --all", "action": "holdgate ledger tail"}


def _absent(what: str, given: str) -> HoldgateError:
    return HoldgateError(f"There is no {what} {given}. See `{_LISTED_BY[what]}`.")


def the_one(what: str, given: str, ids: Iterable[str]) -> str:
    """The id that starts with `given`, with or without its `act_`.

    Raises:
        HoldgateError: none does, or several do.
    """
    found = sorted({id for id in ids if id.startswith((given, f"act_{given}"))}) if given else []
    if len(found) == 1:
        return found[0]
    if found:
        raise HoldgateError(f"{len(found)} {what}s start with {given}. Give more of the id.")
    raise _absent(what, given)


def action_id(tx: Transaction, tenant: str, given: str) -> str:
    """The whole id of an action that the ledger knows.

    Raises:
        HoldgateError: there is none such, or several.
    """
    if ID_PATTERN.match(given):
        if next(tx.ledger.lines(action=given, tenant=tenant, limit=1), None) is None:
            raise _absent("action", given)
        return given
    lines = (json.loads(line.text) for line in tx.ledger.lines(tenant=tenant))
    return the_one("action", given, (facts["action"] for facts in lines if "action" in facts))
