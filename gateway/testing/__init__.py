"""For tests of connectors: a fake upstream, a real gateway around a connector, and what every connector should keep.

Used from pytest, and not tied to it. Nothing in it stands in for a part of the gateway: only the upstream is fake, and
it is a real HTTP server with a journal.
"""

from gateway.testing.assertions import assert_no_credential_seen, assert_preview_is_pure, assert_single_effect
from gateway.testing.exchange import Request, Response
from gateway.testing.faults import Fault
from gateway.testing.harness import Harness, Witnessed, agent, human
from gateway.testing.upstream import FakeUpstream

__all__ = [
    "FakeUpstream",
    "Fault",
    "Harness",
    "Request",
    "Response",
    "Witnessed",
    "agent",
    "assert_no_credential_seen",
    "assert_preview_is_pure",
    "assert_single_effect",
    "human",
]
