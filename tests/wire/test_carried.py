"""What rides on a call: our keys are kept exactly, claims are bounded, and doubt means preview."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.wire.carried import carried_by


@pytest.mark.parametrize("value", [True, "true", "1", "yes", "please", 1, [], {}])
def test_any_wish_for_a_dry_run_but_a_plain_no_is_one(value: Any) -> None:
    """D-2: a spelling that is not known must not move money."""
    assert carried_by({"com.holdgate/dry-run": value}, {}).preview
    assert carried_by({}, {"holdgate-dry-run": str(value) or "?"}).preview


@pytest.mark.parametrize("value", [False, None, "false", "False", "0", ""])
def test_a_plain_no_is_no_dry_run(value: Any) -> None:
    """A client may send the header always and fill it from a variable that is empty."""
    assert not carried_by({"com.holdgate/dry-run": value}, {}).preview
    assert not carried_by({}, {"holdgate-dry-run": value or ""}).preview


def test_a_key_is_never_shortened_to_a_valid_one() -> None:
    """I-3: one that is too long, or no text at all, must be refused later and not be lost here."""
    assert carried_by({"com.holdgate/idempotency-key": "k" * 300}, {}).meta_key == "k" * 256
    assert carried_by({"com.holdgate/idempotency-key": 7}, {}).meta_key == ""
    assert carried_by({}, {}).meta_key is None


def test_claims_are_one_printable_line_of_200_characters() -> None:
    """T-6: what a client says of itself cannot forge a log line, nor fill the ledger."""
    client = {"name": "evil\n\x1b[2J" + "x" * 500, "version": {"not": "text"}}
    carried = carried_by({"threadId": "\n", "traceparent": 5, "x-codex-turn-metadata": "{"}, {}, client=client)
    assert len(carried.claims["client"]) <= 200
    assert carried.claims["client"].isprintable()
    assert "client_version" not in carried.claims
    assert carried.thread is None


@pytest.mark.parametrize("value", ["", " ", "${HOLDGATE_TASK}", "${HOLDGATE_TASK:-}", "${env:HOLDGATE_TASK}"])
def test_a_variable_that_is_not_set_names_no_task(value: str) -> None:
    """I-16: clients send it empty, or its own name, which would throw everybody's work into one task."""
    assert carried_by({}, {"holdgate-task": value}).header_task is None
    assert carried_by({}, {"holdgate-task": "case-7"}).header_task == "case-7"
