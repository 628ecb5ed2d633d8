"""Credentials are found by value, in any encoding, and taken out (semantics.md C-6, S31)."""

from __future__ import annotations

import html
import json
import logging
import sys
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.redact import _ENTITY, _PERCENT_CODES, MARK, RedactingFilter, Redactor, _named, _uncoded
from vault.secret import Secret

VALUE = "tok/Kx7+vQ~2&Zs<w9'Lp4%T"


def knowing(*values: str) -> Redactor:
    """A redactor that has learned these values."""
    redactor = Redactor()
    for value in values:
        redactor.learn(Secret(value))
    return redactor


def percent(value: str) -> str:
    return "".join(f"%{octet:02X}" for octet in value.encode())


def escapes(value: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in value)


SPELLINGS = {
    "as it is": VALUE,
    "percent codes where needed": quote(VALUE, safe=""),
    "percent codes everywhere, upper case": percent(VALUE),
    "percent codes everywhere, lower case": percent(VALUE).lower(),
    "percent codes here and there": VALUE[:3] + percent(VALUE[3:6]) + VALUE[6:].replace("%", "%25"),
    "JSON": json.dumps(VALUE)[1:-1],
    "JSON with escaped slashes": VALUE.replace("/", "\\/"),
    "JSON escapes everywhere": escapes(VALUE),
    "JSON escapes in upper case": escapes(VALUE).upper().replace("\\U", "\\u"),
    "hex": VALUE.encode().hex(),
    "hex in upper case": VALUE.encode().hex().upper(),
    "HTML": html.escape(VALUE),
    "HTML codes": "".join(f"&#{ord(character)};" for character in VALUE),
    "HTML hex codes": "".join(f"&#x{ord(character):X};" for character in VALUE),
    "base64": b64encode(VALUE.encode()).decode(),
    "base64 for URLs": urlsafe_b64encode(VALUE.encode()).decode().rstrip("="),
    "base64 in percent codes": quote(b64encode(VALUE.encode()).decode(), safe=""),
    "base64 in JSON": b64encode(VALUE.encode()).decode().replace("/", "\\/"),
    "percent codes twice": quote(percent(VALUE)),
    "base64 in lines": "\n".join(b64encode(VALUE.encode()).decode()[start : start + 8] for start in range(0, 40, 8)),
    "JSON, broken into lines": "\\n".join(json.dumps(VALUE[start : start + 8])[1:-1] for start in range(0, 24, 8)),
    "JSON, with tabs between": "\\t".join(VALUE),
    "with invisible characters between": "\u200b".join(VALUE),
    "with smuggled tags between": "\U000e0041".join(VALUE),
    "with variation selectors between": "\ufe0f".join(VALUE),
}


@pytest.mark.parametrize("how", SPELLINGS)
def test_a_value_is_taken_out_in_every_spelling(how: str) -> None:
    """C-6, S31: whatever the encoding, nothing of the value is left."""
    clean = knowing(VALUE).scrub(f"before {SPELLINGS[how]} after")
    assert SPELLINGS[how] not in clean
    assert MARK in clean
    assert clean in (f"before {MARK} after", MARK)


@pytest.mark.parametrize("spell", [quote_plus, quote, escapes, lambda value: value.replace(" ", "+")])
def test_the_blanks_of_a_phrase_are_found_as_a_form_spells_them(spell: Callable[[str], str]) -> None:
    """C-6: a password may be of several words, and a form or a query has `+` between them."""
    phrase = "correct horse/battery+staple"
    assert knowing(phrase).scrub(f"p={spell(phrase)}&n=1") == f"p={MARK}&n=1"


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
@pytest.mark.parametrize("around", [(0, 0), (1, 2), (2, 1), (5, 3), (30, 31), (31, 30)])
def test_a_value_is_found_inside_of_a_larger_base64(around: tuple[int, int], encode: object) -> None:
    """C-6: at every alignment, and no bits of it remain in the characters beside it."""
    assert callable(encode)
    before, after = (b"u" * count for count in around)
    text: str = encode(before + VALUE.encode() + after).decode()
    clean = knowing(VALUE).scrub(text)
    left, _, right = clean.partition(MARK)
    assert text.startswith(left)
    assert text.endswith(right)
    whole = b64decode(left[: len(left) // 4 * 4] or b"")
    assert set(whole) <= set(b"u")


def test_the_rest_of_a_text_stays() -> None:
    """C-6: only the value goes; a body that held it is still JSON."""
    body = json.dumps({"echo": f"Bearer {VALUE}", "n": 1})
    assert json.loads(knowing(VALUE).scrub(body)) == {"echo": f"Bearer {MARK}", "n": 1}


def test_a_clean_text_is_handed_back_as_it_was() -> None:
    """A text without a credential is not even copied."""
    text = json.dumps({"note": "50% of a\\b &amp; c\nd " * 50})
    assert knowing(VALUE, "another-credential").scrub(text) is text
    assert knowing(VALUE).scrub_bytes(b"\xff\xfe") == (b"\xff\xfe", False)


def test_bytes_that_are_not_utf8_survive_around_a_value() -> None:
    """C-6: a body is cleaned even where it is no text."""
    assert knowing(VALUE).scrub_bytes(b"\xff" + VALUE.encode() + b"\x80") == (b"\xff" + MARK.encode() + b"\x80", True)


SHORT = "k3y/42"
PIECES = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([spelled.encode() for spelled in SPELLINGS.values()]),
    st.sampled_from([SHORT.encode(), b"a" + SHORT.encode(), SHORT.encode() + b"_", b"\xff".join([b"k3y", b"/42"])]),
    st.sampled_from([b"\x80".join(bytes([octet]) for octet in VALUE.encode()), VALUE[:9].encode(), VALUE[9:].encode()]),
    st.sampled_from([b"%", b"\\", b"&", b"&lt;", b"\\u00", b" ", b"\xc3\xa9", b"\xe2\x80\x8b"]),
)


@given(st.lists(PIECES, max_size=8))
def test_a_file_that_is_no_text_is_searched_as_well_as_a_text(pieces: list[bytes]) -> None:
    """C-6: the quick look at what of it is printable lets nothing through that the full search would have found."""
    redactor = knowing(VALUE, SHORT)
    body = b"\xff" + b"".join(pieces) + b"\xfe"
    text = body.decode("utf-8", "surrogateescape")
    clean = redactor.scrub(text)
    assert redactor.scrub_bytes(body) == (clean.encode("utf-8", "surrogateescape"), clean != text)


def test_a_value_that_is_not_ascii_is_found_in_a_file() -> None:
    """C-6: the quick look does not see such a value, so it is not taken for an answer."""
    redactor = knowing("pässwörd-mit-ümlauten")
    clean, found = redactor.scrub_bytes(b"\xff" + "pässwörd-mit-ümlauten".encode() + b"\xfe")
    assert found
    assert clean == b"\xff" + MARK.encode() + b"\xfe"


@given(st.text(st.sampled_from("%0123456789abcdefABCDEFgx&#;lt<>amp é\udc80\n"), max_size=60))
def test_codes_and_entities_are_read_as_the_standard_library_reads_them(text: str) -> None:
    """Only quicker: urllib takes a text apart at every character that is not ASCII."""
    assert _PERCENT_CODES.sub(_uncoded, text) == unquote(text, errors="surrogateescape")
    assert _ENTITY.sub(_named, text) == html.unescape(text)


def test_an_old_version_of_a_credential_is_still_taken_out() -> None:
    """C-6: after a rotation, an upstream may echo what it was sent before."""
    redactor = knowing("first-version-9d2", "second-version-4c1")
    assert redactor.scrub("first-version-9d2 second-version-4c1") == f"{MARK} {MARK}"


def test_a_value_inside_of_another_leaves_no_part() -> None:
    """C-6: when one credential is part of another, both go."""
    redactor = knowing("hunter2hunter2", "hunter2hunter2-and-more")
    assert redactor.scrub("x hunter2hunter2-and-more y hunter2hunter2") == f"x {MARK} y {MARK}"


def test_a_short_value_is_taken_out_as_a_word_only() -> None:
    """C-6: `abcd` inside of other words is chance; alone, it is the credential."""
    redactor = knowing("abcd")
    assert redactor.scrub("abcd abcde xabcd (abcd)") == f"{MARK} abcde xabcd ({MARK})"


def test_a_value_of_three_characters_is_not_looked_for_and_says_so() -> None:
    """C-6: whoever stores such a credential is told that it cannot be protected."""
    redactor = Redactor()
    assert not redactor.learn(Secret("abc"))
    assert redactor.learn(Secret("abcd"))
    assert redactor.scrub("abc") == "abc"


@given(
    value=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60),
    before=st.text(max_size=40),
    after=st.text(max_size=40),
)
def test_no_value_survives_any_surroundings(value: str, before: str, after: str) -> None:
    """C-6: for any printable value of 8 characters or more, in any text, raw or in base64."""
    redactor, text = knowing(value), before + value + after
    assert value not in redactor.scrub(text) or value in MARK
    clean = redactor.scrub(b64encode(text.encode("utf-8", "surrogatepass")).decode())
    assert MARK in clean
    # Of a value that overlaps itself, as thirty zeros among sixty do, a stretch of that pattern may be left over.
    overlaps = text.find(value) != text.rfind(value)
    assert b64encode(value.encode()).decode()[:-4] not in clean or len(value) < 9 or overlaps


def logged(record: logging.LogRecord, redactor: Redactor) -> str:
    """What a handler would write, and everything else that hangs on the record."""
    assert RedactingFilter(redactor).filter(record)
    return logging.Formatter("%(message)s").format(record) + repr(record.__dict__)


def test_a_log_record_is_cleaned_everywhere() -> None:
    """C-6, V-6: message, arguments, traceback, stack and added fields."""
    try:
        raise RuntimeError(f"sent {VALUE}")
    except RuntimeError:
        error = sys.exc_info()
    record = logging.LogRecord("a", logging.INFO, __file__, 1, "arg %s in %r", (VALUE, [VALUE]), error, sinfo=VALUE)
    record.__dict__.update(url=f"https://h/?k={quote(VALUE, safe='')}", headers={"x": VALUE}, status=200)
    written = logged(record, knowing(VALUE))
    assert VALUE not in written
    assert quote(VALUE, safe="") not in written
    assert "RuntimeError: sent [redacted]" in written
    assert record.__dict__["status"] == 200


def test_a_log_call_with_wrong_arguments_still_leaves_its_line() -> None:
    """The filter never fails the code that logs."""
    record = logging.LogRecord("a", logging.INFO, __file__, 1, "%d %d", (VALUE,), None)
    assert logged(record, knowing(VALUE)).startswith("%d %d")
    assert VALUE not in record.msg
