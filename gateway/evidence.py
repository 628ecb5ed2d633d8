"""Evidence: the finished reads that a write cites, checked against the store and not against the model (E-1)."""

from __future__ import annotations

from gateway.bodies import opened
from gateway.keyring import Keyring
from gateway.model import Effect, Evidence, Mode, Principal
from gateway.outcome import State
from gateway.store.protocol import Store
from gateway.store.transaction import Transaction


async def cited(
    store: Store, keyring: Keyring, principal: Principal, ids: tuple[str, ...], at: int
) -> tuple[Evidence, ...]:
    """The reads behind these ids that the principal itself made and that succeeded. Others are left out.

    Args:
        at: the moment (ms) from which their age counts: when the write was asked for.
    """
    if not ids:
        return ()

    def look(tx: Transaction) -> list[Evidence]:
        found = (_one(tx, keyring, principal, id, at) for id in dict.fromkeys(ids))
        return [evidence for evidence in found if evidence is not None]

    return tuple(await store.read(look))


def _one(tx: Transaction, keyring: Keyring, principal: Principal, id: str, at: int) -> Evidence | None:
    row = tx.actions.get(id)
    if row is None or not row.belongs_to(principal):
        return None
    if row.effect != Effect.READ or row.mode != Mode.RUN or row.state is not State.SUCCEEDED or row.settled_at is None:
        return None
    arguments = opened(tx, keyring, id, "arguments")
    outcome = opened(tx, keyring, id, "outcome")
    if arguments is None or outcome is None:
        return None
    fields = {**(outcome.get("data") or {}), **arguments}
    return Evidence(id, row.tool, row.task, max(0.0, (at - row.settled_at) / 1000), fields)
