"""A `Reference` names a credential and cannot name anything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import StartupError
from tests.vault.conftest import CANARY
from vault.reference import Reference

names = st.from_regex(r"[A-Za-z0-9_-]([A-Za-z0-9_-]|\.(?!\.)){0,12}", fullmatch=True)


@given(mount=names, path=st.lists(names, min_size=1, max_size=4), field=names)
def test_every_reference_reads_back_as_itself(mount: str, path: list[str], field: str) -> None:
    """C-3: what is recorded of a credential leads back to it."""
    text = f"{mount}/{'/'.join(path)}#{field}"
    reference = Reference.parse(text)
    assert str(reference) == text
    assert (reference.mount, reference.path, reference.field) == (mount, "/".join(path), field)


@given(text=st.text(alphabet="aZ0_-./#%\n\\ é\0", max_size=12))
def test_any_text_is_a_clean_reference_or_an_error_with_a_remedy(text: str) -> None:
    """C-8: what was parsed has no empty or climbing segment; all else is a StartupError that says what to write."""
    try:
        reference = Reference.parse(text)
    except StartupError as error:
        remedy = error.remedy
    else:
        assert str(reference) == text
        assert all(segment and not segment.startswith(".") for segment in text.replace("#", "/").split("/"))
        assert ".." not in text
        return
    assert "kv/billing/refunds#token" in remedy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "#field"),
        ("kv/a/b", "#field"),
        ("kv#t", "no path"),
        ("kv/#t", "empty name in its path"),
        ("/a#t", "empty name in its mount"),
        ("kv/a//b#t", "empty name in its path"),
        ("kv/a/#t", "empty name in its path"),
        ("kv/a#", "empty name in its field"),
        ("kv/../sys/raw#t", "dots in its path"),
        ("kv/a..b#t", "dots in its path"),
        ("kv/.hidden#t", "dots in its path"),
        ("kv/a%2f..#t", "not allowed"),
        ("kv/a b#t", "not allowed"),
        ("kv/a\n#t", "not allowed"),
        ("kv/a#t\n", "not allowed"),
        ("kv/a#t#u", "in its field"),
        ("kv/ä#t", "not allowed"),
        ("kv/" + "a" * 300 + "#t", "longer than 255"),
    ],
)
def test_what_is_wrong_with_a_reference_is_said(text: str, said: str) -> None:
    """C-8: each mistake in a reference is told apart."""
    with pytest.raises(StartupError, match=said):
        Reference.parse(text)


@pytest.mark.parametrize("pasted", [CANARY, f"{CANARY}#", f"kv/{CANARY} #t", f"kv/a#{CANARY}!"])
def test_a_credential_pasted_where_its_reference_belongs_is_not_repeated(pasted: str) -> None:
    """C-6: the error for a bad reference does not show the text it was given."""
    with pytest.raises(StartupError) as failure:
        Reference.parse(pasted)
    assert CANARY not in str(failure.value)
