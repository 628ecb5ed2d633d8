"""The URI of a resource: what may be declared, what it is found by, and when two would name the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.address import Address
from gateway.errors import StartupError

SEGMENT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=40)


@given(SEGMENT, SEGMENT)
def test_what_is_filled_in_is_read_off_again(first: str, second: str) -> None:
    """Whatever a value is, the URI made of it names that value and no other."""
    address = Address("crm://customers/{customer}/notes/{note}")
    uri = address.filled({"customer": first, "note": second})
    assert uri.isascii()
    stays_inside = {first, second} & {".", ".."} == set()
    assert address.read(uri) == ({"customer": first, "note": second} if stays_inside else None)


@given(st.text(max_size=60))
def test_a_uri_is_read_off_or_it_is_not(text: str) -> None:
    """Whatever a client sends, a value that comes out of it lies in one segment."""
    read = Address("crm://customers/{customer}").read(f"crm://customers/{text}")
    assert read is None or not set(read["customer"]) & set("/\\\0\n")


@pytest.mark.parametrize(
    "segment", ["..", "%2E.", "%2e%2E", ".", "a%2fb", "a%5cb", "%00", "%0a", "%7F", "%ff", "a?b", "", "ä"]
)
def test_a_value_does_not_step_out_of_its_segment(segment: str) -> None:
    """Written plainly or encoded: what would name another path upstream is not read off at all."""
    assert Address("crm://customers/{customer}").read(f"crm://customers/{segment}") is None


def test_a_plain_uri_is_only_itself() -> None:
    """No case is folded, and nothing is decoded, to find something that has a URI of its own."""
    address = Address("crm://handbook/part-1")
    assert address.names == ()
    assert address.read("crm://handbook/part-1") == {}
    for other in ("crm://handbook/part-2", "crm://handbook/part%2D1", "crm://handbook", "CRM://handbook/part-1", ""):
        assert address.read(other) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "handbook",
        "crm:/handbook",
        "crm://",
        "crm://a//b",
        "crm://a/",
        "crm://a?b",
        "crm://a#b",
        "crm://a b",
        "CRM://a",
        "crm://a/{b}c",
        "crm://a/{b",
        "crm://a/{}",
        "crm://a/{+b}",
        "crm://{a}/{a}",
        "https://a/b",
        "file://a",
        "crm://" + "a" * 1_000,
    ],
)
def test_what_no_client_could_use_is_not_declared(text: str) -> None:
    """It stops the start, with a remedy where there is one; https and file would be fetched around the gateway."""
    with pytest.raises(StartupError) as refused:
        Address(text)
    assert text in str(refused.value)


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("crm://a", "crm://a", True),
        ("crm://a", "crm://b", False),
        ("crm://a/{b}", "crm://a/{c}", True),
        ("crm://a/{b}", "crm://{c}/d", True),
        ("crm://a/{b}", "crm://c/{b}", False),
        ("crm://a/{b}", "crm://a/{b}/{c}", False),
        ("crm://a/{b}", "crm://a/all", False),
    ],
)
def test_two_that_could_name_the_same_clash(one: str, other: str, clash: bool) -> None:
    """A URI of its own is more exact than a template, and is found first; between equals nobody could tell."""
    assert Address(one).clashes(Address(other)) is clash
    assert Address(other).clashes(Address(one)) is clash
