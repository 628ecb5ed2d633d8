"""Strict JSON: what is JSON comes back as the standard library reads it, and what is ambiguous does not come back."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.strict_json import MAX_BYTES, MAX_DEPTH, MAX_NODES, BadJson, loads

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5), max_leaves=20
)

NUMBERS = st.sampled_from(
    ["0", "-0", "1.5e300", "1e999", "-1e400", "NaN", "-Infinity", "9223372036854775808", "9223372036854775809"]
) | st.from_regex(r"-?[0-9]{1,25}(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
NAMES = st.sampled_from(
    ['"a"', '"\\u0061"', '"b"', '":"', '"\\""', '"\\":"', '"a :"', '"\\ud800"', '"\\ud83d\\ude00"', '"é"']
)
BLANKS = st.sampled_from(["", "", " ", "\n", "\t ", "\x0b"])


def arrays(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(inner, max_size=4).map(lambda items: "[" + ",".join(items) + "]")


def objects(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.lists(st.tuples(NAMES, BLANKS, BLANKS, inner), max_size=4)
    return members.map(lambda parts: "{" + ", ".join(f"{n}{b}:{a}{v}" for n, b, a, v in parts) + "}")


TEXTS = st.recursive(
    NUMBERS | NAMES | st.sampled_from(["true", "null", "tru", '"\n"', ""]),
    lambda inner: arrays(inner) | objects(inner) | objects(inner) | inner.map(lambda text: f" {text}\r\n"),
    max_leaves=12,
)
"""Spellings of JSON, most of them sound, with all that two parsers may read differently."""


def heard(body: bytes) -> str:
    """What comes of a body: the value, or the rule it broke."""
    try:
        return repr(loads(body))
    except BadJson as bad:
        return str(bad)


@given(TEXTS.filter(str.strip) | st.integers(MAX_DEPTH - 2, MAX_DEPTH + 2).map(lambda depth: "[" * depth + "]" * depth))
def test_what_is_read_quickly_is_read_exactly(text: str) -> None:
    """I-5, T-4: a small text is read quickly and a large one exactly, to the same value or the same refusal."""
    body = text.encode()
    assert heard(body) == heard(body.ljust(MAX_BYTES))


@given(VALUES)
def test_every_json_value_comes_back_unchanged(value: object) -> None:
    """I-5: strictness costs no honest value, whether it was sent escaped or not."""
    assert loads(json.dumps(value).encode()) == value
    assert loads(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_bad_json(body: bytes) -> None:
    """T-4: whatever arrives, there is one kind of refusal."""
    with contextlib.suppress(BadJson):
        loads(body)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"a": 1, "a": 1}', "same name"),
        (b'{"x": {"a": 1, "\\u0061": 2}}', "same name"),
        (b"NaN", "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"-Infinity", "Infinity"),
        (b"1e999", "finite"),
        (b"9223372036854775809", "64 bits"),
        (b"-9223372036854775809", "64 bits"),
        (b"9" * 5_000, "64 bits"),
        (b'"\\ud800"', "surrogate"),
        (b'"\\uDC00x"', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b"{} {}", "not JSON"),
        (b"{}x", "not JSON"),
        (b"", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b"[1,]", "not JSON"),
        (b'"a\nb"', "not JSON"),
        (b"\xff", "UTF-8"),
        (b'"\xed\xa0\x80"', "UTF-8"),
        ('"é"'.encode("utf-16"), "UTF-8"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "deep"),
        (b"[" * 10_000, "deep"),
        (b"[" + b"0," * MAX_NODES + b"0]", "parts"),
        (b"[" + b'"",' * MAX_NODES + b'""]', "parts"),
        (b"[" + b"[]," * MAX_NODES + b"[]]", "parts"),
        (b"[" + b"0.5," * 100_000 + b"NaN]", "parts"),
        (b"[" + b"{}," * 100_000 + b"NaN]", "parts"),
        (b"[" + b"[]," * 100_000 + b"NaN]", "parts"),
        (b'["' + b"[" * 100_000 + b'", NaN]', "NaN"),
        (b'["' + b'\\"[' * 100_000 + b'", NaN]', "NaN"),
        (b" " * MAX_BYTES + b"0", "larger"),
    ],
)
def test_each_ambiguity_is_refused_by_name(body: bytes, says: str) -> None:
    """I-5, T-4: the message names the rule that was broken."""
    with pytest.raises(BadJson, match=says):
        loads(body)


def test_the_limits_themselves_are_still_allowed() -> None:
    """T-4: 32 levels, 10,000 parts, 64 bits, 1 MiB and a whole surrogate pair pass."""
    assert loads(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None
    assert len(loads(b"[" + b"0," * (MAX_NODES - 2) + b"0]")) == MAX_NODES - 1
    assert len(loads((b"[" + b"{}," * (MAX_NODES - 2) + b"{}]").ljust(MAX_BYTES))) == MAX_NODES - 1
    assert loads(b"9223372036854775808") == 2**63
    assert loads(b'"\\ud83d\\ude00"') == "😀"
    assert loads(b" " * (MAX_BYTES - 1) + b"0") == 0


def test_a_refusal_repeats_nothing_of_the_value() -> None:
    """C-6: the message goes into logs and onto the wire, the value does not."""
    with pytest.raises(BadJson) as raised:
        loads(b'{"token": "hunter2", "token": "hunter2"}')
    assert "hunter2" not in str(raised.value)
