"""The published MCP conformance suite, played against a fixture connector behind the real pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.suite import REVISIONS, expected, play


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_conformance_suite_fails_only_where_it_is_expected_to(revision: str, tmp_path: Path) -> None:
    """Each failed check has a reason in `expected-failures.yaml`, and each reason there still has a failure."""
    score, foreseen = play(revision, tmp_path), expected(revision)

    unforeseen = {failure for failure in score.failed if not any(entry.excuses(*failure) for entry in foreseen)}
    assert not unforeseen
    stale = {scenario for entry in foreseen for scenario in entry.scenarios} - score.scenarios()
    assert not stale, "these pass now: take them out of expected-failures.yaml"
    for entry in foreseen:
        gone = {c for c in entry.checks if not any((scenario, c) in score.failed for scenario in entry.scenarios)}
        assert not gone, "these checks pass now: take them out of expected-failures.yaml"
