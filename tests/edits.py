"""An edit of the policies, as a running gateway comes to see it."""

from __future__ import annotations

from gateway.policy.live import LivePolicy, Reload


def reloaded(policy: LivePolicy) -> Reload | None:
    """What comes of an edit that is done: it is the same at two looks."""
    return policy.reload_if_changed() or policy.reload_if_changed()
