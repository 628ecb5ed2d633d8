"""Whether who called, what is called or everything was stopped meanwhile (semantics.md C-4, T-10).

Asked by the transaction that lets a call out, and once more before a write that leaves later than right after it.
"""

from __future__ import annotations

from gateway.errors import Refusal
from gateway.outcome import State
from gateway.permit import Permit
from gateway.store.protocol import Store
from gateway.store.transaction import Transaction


def stopped(tx: Transaction, *, tenant: str, principal: str, key: str, tool: str, connector: str) -> Refusal | None:
    """Why nothing of this may go out now; None: it may.

    Args:
        key: id of the API key that the call came with.
    """
    if not tx.people.active(tenant, principal, key):
        return Refusal("not_permitted", "The credential of this call was revoked or has expired.")
    stop = tx.switches.stopping(tenant, principal, tool, connector)
    if stop is None:
        return None
    what = "Everything" if stop.scope == "everything" else f"The {stop.scope} {stop.target}"
    return Refusal("switched_off", f"{what} has been stopped by an operator: {stop.because}")


class SecondLook:
    """Looks again for an action that was let out a while ago."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self, permit: Permit, connector: str) -> Refusal | None:
        """Why the action may write no more; None: it may, and is still this permit's to send (semantics.md I-8).

        Raises:
            LedgerUnavailable: nobody knows.
        """

        def look(tx: Transaction) -> Refusal | None:
            row = tx.actions.get(permit.action_id)
            if row is None or row.state is not State.DISPATCHING or row.fence != permit.fence:
                # Its lease ran out, as when the clock leaps: by now others may have been told that it did not happen.
                return Refusal("upstream_unreachable", "The action was given up before it could be sent.")
            return stopped(
                tx,
                tenant=row.tenant,
                principal=row.principal,
                key=row.api_key,
                tool=row.tool,
                connector=connector,
            )

        return await self._store.read(look)
