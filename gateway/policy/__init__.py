"""Policy: who may make which call, within which limits, on whose approval.

`load` reads and checks files; `Policy.decide` answers an `Inquiry`, purely; `LivePolicy` follows edits.
`docs/policy.md` teaches the language.
"""

from gateway.policy.decide import Policy
from gateway.policy.inquiry import Inquiry
from gateway.policy.live import LivePolicy, Reload, load

__all__ = ["Inquiry", "LivePolicy", "Policy", "Reload", "load"]
