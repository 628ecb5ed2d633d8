"""What a fake upstream can be told to do to a request instead of answering it truly."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.testing.loopback import Act, close, reply


@dataclass(frozen=True, slots=True)
class Fault:
    """A bad day for one request: before the effect (nothing was done) or after it (it was, and nobody is told).

    Make one with `status`, `cut`, `stall` or `malformed`, and bring it on with `FakeUpstream.inject`.
    """

    after_effect: bool
    instead: Act | None = None
    code: int | None = None
    """The status that `instead` sends."""

    @classmethod
    def status(cls, code: int, *, after_effect: bool = False, retry_after: int | None = None) -> Fault:
        """This HTTP status instead of the true answer; `retry_after` in seconds."""
        headers = None if retry_after is None else {"Retry-After": str(retry_after)}
        return cls(after_effect, reply(code, '{"error": "a fault of the test"}', headers), code)

    @classmethod
    def cut(cls, *, after_effect: bool) -> Fault:
        """The connection closed without an answer."""
        return cls(after_effect, close)

    @classmethod
    def malformed(cls) -> Fault:
        """Done, answered with 200, and the body is no JSON."""
        return cls(True, reply(200, "<html>It works!</html>", {"Content-Type": "text/html"}), 200)

    @classmethod
    def stall(cls, *, after_effect: bool = False) -> Fault:
        """Nothing, until `FakeUpstream.release`; then the true answer."""
        return cls(after_effect)
