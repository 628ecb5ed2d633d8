"""Policy: who may make which call, within which limits, on whose approval.

`load` reads and checks files; `Policy.decide` answers a `Question`, purely; `LivePolicy` follows edits.
`docs/policy.md` teaches the language.
"""

from gateway.policy.decide import Policy
from gateway.policy.live import LivePolicy, Reload, load
from gateway.policy.question import Question

__all__ = ["LivePolicy", "Policy", "Question", "Reload", "load"]
