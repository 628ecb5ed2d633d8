"""The envelope: one shape for every outcome, always valid, never invisible text, never too large."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.outcome import Outcome, Retry, Status
from gateway.tools.envelope import MAX_DATA_BYTES, MAX_SENTENCE, as_text, envelope_of, output_schema, to_wire
from gateway.tools.verdict import judge
from tests.shop import OUTCOMES, refund

ACTION = "act_" + "0" * 32
SCHEMA = judge(refund).published.output_schema


def done(data: Any) -> dict[str, Any]:
    return to_wire(Outcome(Status.DONE, ACTION, data=data))


@pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES)
def test_every_outcome_fits_the_published_schema(outcome: Outcome) -> None:
    """I-14: clients validate, and throw away what does not fit."""
    jsonschema.validate(to_wire(outcome), SCHEMA)
    jsonschema.validate(to_wire(outcome), output_schema())


def test_every_status_and_every_retry_is_in_the_schema() -> None:
    """I-14: a new member of either must not make an answer invalid."""
    for status in Status:
        for retry in Retry:
            jsonschema.validate(to_wire(Outcome(status, ACTION, retry=retry)), SCHEMA)


def test_members_that_say_nothing_are_left_out() -> None:
    """Clients fail on null members; the two that are always there come first."""
    assert list(to_wire(Outcome(Status.HELD, ACTION))) == ["status", "action_id"]
    assert done({"refund": "r", "note": None, "lines": [{"x": None, "y": 1}]})["data"] == {
        "refund": "r",
        "lines": [{"y": 1}],
    }


def test_a_preview_keeps_the_difference_between_nothing_and_absent() -> None:
    """D-1: `before: null` means that there was no value."""
    outcome = Outcome(
        Status.PREVIEWED, ACTION, diff=[{"field": "x", "before": None, "after": 1, "certainty": "verified"}]
    )
    assert to_wire(outcome)["diff"][0]["before"] is None
    jsonschema.validate(to_wire(outcome), SCHEMA)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("line\n\ttab", "line\n\ttab"),
        ("a\x00b\x1b[31m\x7f\r", "ab[31m"),
        ("pay \u202egro.live\u202c", "pay gro.live"),
        ("in\u200bvis\u2060ible\ufeff", "invisible"),
        ("se\ufe0fle\U000e0100ct\u3164or", "selector"),
        ("x\U000e0049\U000e0067", "x"),
        ("half \ud800", "half "),
        ("Grüße 😀 שלום", "Grüße 😀 שלום"),
    ],
)
def test_text_that_a_reader_cannot_see_is_removed(text: str, shown: str) -> None:
    """T-2: controls, bidirectional overrides, zero-width and tag characters, in values and names alike."""
    assert done({"refund": text})["data"]["refund"] == shown
    assert done({text: 1})["data"] == {shown: 1}
    assert to_wire(Outcome(Status.FAILED, ACTION, message=text))["message"] == shown


DATA = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.text(max_size=20)
        | st.sampled_from(["null", "a\\b", "a\n", "\\r", "\x7f", "half \ud800", "x\u200b", "long text " * 5_000])
        | st.integers()
        | st.floats()
        | st.none(),
        lambda inner: st.lists(inner, max_size=60) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
        max_leaves=60,
    ),
    max_size=5,
)


@pytest.mark.parametrize("member", ["message", "next"])
def test_a_sentence_that_is_too_long_is_cut(member: str) -> None:
    """T-2: also in an envelope that is small enough as a whole."""
    longest, longer = "x" * MAX_SENTENCE, "x" * (MAX_SENTENCE + 1)
    kept, cut = (
        to_wire(replace(Outcome(Status.FAILED, ACTION), **{member: text}))[member] for text in (longest, longer)
    )
    assert kept == longest
    assert len(cut) <= MAX_SENTENCE < len(longer)


@given(DATA)
def test_any_data_fits_or_is_marked_as_truncated(data: dict[str, Any]) -> None:
    """T-2: at most 32 KB, valid JSON, and nothing is cut in silence."""
    envelope = done(data)
    kept = envelope.get("data")
    assert len(json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()) <= MAX_DATA_BYTES
    assert kept is not None or envelope["truncated"]
    assert json.loads(as_text(envelope)) == envelope
    jsonschema.validate(envelope, output_schema())


@given(DATA | st.dictionaries(st.text("ab"), st.text("abc ") | st.integers()), st.text())
def test_an_envelope_that_is_in_order_is_left_as_it_is(data: dict[str, Any], message: str) -> None:
    """T-2: what is taken away from one member is taken from that one alone, and from the others as much as always."""
    whole = Outcome(Status.DONE, ACTION, data=data, diff=[data], message=message)
    touched = replace(whole, next="\u200b")
    assert envelope_of(touched).members == envelope_of(whole).members | {"next": ""}
    for outcome in (whole, touched):
        envelope = envelope_of(outcome)
        assert json.loads(envelope.text) == envelope.members


def test_long_strings_give_way_before_list_items_do() -> None:
    """T-2: the longest text is cut first, so that all records remain."""
    data = {"records": [{"id": number, "body": "x" * 2_000} for number in range(40)]}
    envelope = done(data)
    assert envelope["truncated"] is True
    assert [record["id"] for record in envelope["data"]["records"]] == list(range(40))
    assert all(record["body"].endswith("…") for record in envelope["data"]["records"])
    many = done({"records": list(range(100_000))})
    assert many["truncated"] is True
    assert many["data"]["records"] == list(range(200))
    assert "data" not in done({f"field{number}": number for number in range(10_000)})
