"""One spelling of a value, whichever way it is written."""

import json
from enum import IntEnum, StrEnum

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from gateway import canonical


class _Word(StrEnum):
    B = "b"
    E = "é"


class _Number(IntEnum):
    ONE = 1


_TEXT = st.text(max_size=20) | st.text(alphabet='\x00\x1f\x7f"\\/\u2028é😀\ufb01b', max_size=8) | st.sampled_from(_Word)
_WHOLE = st.integers(-(2**53) + 1, 2**53 - 1) | st.integers(-(2**53) - 2, 2**53 + 2) | st.sampled_from(_Number)
_LEAF = st.none() | st.booleans() | _WHOLE | _TEXT | st.floats() | st.just("\ud800") | st.binary(max_size=2)
_NAME = st.text(alphabet="abAB019_ ~", max_size=4) | _TEXT | st.integers(0, 9)
_VALUE = st.recursive(
    _LEAF,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAME, inner, max_size=4) | st.tuples(inner, st.none()),
    max_leaves=20,
)


@given(_VALUE)
def test_the_quick_way_spells_as_the_library_does(value: object) -> None:
    """I-5, L-3: fingerprints and ledger lines are RFC 8785, whoever wrote the bytes; what has none is refused alike."""
    try:
        expected = rfc8785.dumps(value)
    except rfc8785.CanonicalizationError:
        with pytest.raises(rfc8785.CanonicalizationError):
            canonical.dumps(value)
    else:
        assert canonical.dumps(value) == expected


@given(st.dictionaries(_NAME, _VALUE, max_size=6))
def test_what_is_not_said_is_left_out_and_all_else_is_spelled_alike(members: dict[str, object]) -> None:
    """L-3: a ledger line without its null members is the line that never had them, and is refused where that is."""
    said = {name: member for name, member in members.items() if member is not None}
    try:
        expected = rfc8785.dumps(said)
    except rfc8785.CanonicalizationError:
        with pytest.raises(rfc8785.CanonicalizationError):
            canonical.dumps_said(members)
    else:
        assert canonical.dumps_said(members) == expected


@pytest.mark.parametrize("value", [{"a": 2**53}, [float("nan")], {"a": {1: 2}}, {"a": object()}, [float("inf")]])
def test_what_has_no_canonical_spelling_is_refused(value: object) -> None:
    """I-5: two values that a double cannot tell apart do not become the same call."""
    with pytest.raises(rfc8785.CanonicalizationError):
        canonical.dumps(value)


def test_names_sort_as_utf_16_does() -> None:
    """RFC 8785, 3.2.3: a name beyond the basic plane stands before one that bytes would put first."""
    assert canonical.dumps({"\ufb01": 1, "😀": 2}) == '{"😀":2,"\ufb01":1}'.encode()
    assert json.loads(canonical.dumps({"b": 1, "a": 2})) == {"a": 2, "b": 1}
