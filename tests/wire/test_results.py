"""One outcome, made a result for the SDK and spelled for the wire: both say the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.outcome import Outcome, Status
from gateway.wire.results import call_result, spelled_call_result
from tests.shop import OUTCOMES

META = {"by": "us"}
DATA = st.dictionaries(st.text(), st.text() | st.integers() | st.floats() | st.none() | st.lists(st.text()))
BLOCKS = st.fixed_dictionaries({"type": st.just("text"), "text": st.text()})


def same(outcome: Outcome, *, structured: bool) -> bool:
    spelled = spelled_call_result(outcome, json.dumps(META).encode(), structured_content=structured)
    return bool(json.loads(spelled) == call_result(outcome, structured_content=structured) | {"_meta": META})


@pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES)
@pytest.mark.parametrize("structured", [True, False])
def test_every_outcome_is_spelled_as_it_is_said(outcome: Outcome, structured: bool) -> None:
    """I-14: whichever way an answer takes, the client reads the same."""
    assert same(outcome, structured=structured)


@given(DATA, st.lists(BLOCKS, max_size=2), st.booleans(), st.sampled_from(Status))
def test_whatever_an_outcome_holds_is_spelled_as_it_is_said(
    data: dict[str, object], blocks: list[dict[str, str]], structured: bool, status: Status
) -> None:
    """I-14, T-2: quotes, hidden characters, numbers and attachments change nothing about that."""
    outcome = Outcome(
        status, "act_" + "0" * 32, data=data, message=str(data), content=(*blocks, {"content": {"type": "image"}})
    )
    assert same(outcome, structured=structured)
