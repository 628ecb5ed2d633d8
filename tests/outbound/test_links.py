"""The next page, as `Link` headers name it (RFC 8288)."""

from __future__ import annotations

from contextlib import suppress

import pytest

from gateway.outbound.links import BadLink, next_page

NEXT = {
    "as GitHub has it": '<https://x.example/repos/1?page=2>; rel="next", <https://x.example/?page=9>; rel="last"',
    "after others": '<?page=0>; rel="prev",<?page=2>;rel=next',
    "in capitals": "<?page=2>; REL=Next",
    "of two relations": '<?page=2>; rel="last next"',
    "after a title": '<?page=2>; title="a=b, <c>; rel=prev"; rel="next"; rel="prev"',
    "after an empty name": '<?page=2>;; nofollow ; rel = "next";',
    "with empty elements": ' , <?page=1>; rel=prev, ,<?page=2>; rel="next",',
    "with codes": "<?page=%32>; rel=next",
}


@pytest.mark.parametrize("how", NEXT)
def test_the_next_page_is_found(how: str) -> None:
    """However it is spelled."""
    assert next_page(NEXT[how]) == {"page": "2"}


def test_a_query_is_decoded_and_may_hold_what_separates_links() -> None:
    """A cursor is whatever the upstream likes."""
    assert next_page('<https://x.example/?after=a,b;c+d%2B%C3%A9&all=>; rel="next"') == {
        "after": "a,b;c d+é",
        "all": "",
    }


@pytest.mark.parametrize(
    "link", ["", "<?page=2>", "<next>", '<?page=2>; title="; rel=next"', "<?page=2>; rel=nextly", "<>"]
)
def test_no_next_page_is_none(link: str) -> None:
    """The page is the last."""
    assert next_page(link) is None


@pytest.mark.parametrize(
    "link",
    [
        "?page=2",
        '<?page=2; rel="next"',
        '<?page=2>; rel="next',
        "<?page=1>; title=a,b, <?page=2>; rel=next",
        "<//[x/?page=2>; rel=next",
        "<?page=%ff>; rel=next",
        "</page/2>; rel=next",
        "<next>; rel=next",
        "<?tag=a&tag=b&page=2>; rel=next",
    ],
)
def test_a_next_page_that_cannot_be_told_is_not_the_last(link: str) -> None:
    """A list that ends too early, or that begins again, nobody would notice."""
    with pytest.raises(BadLink):
        next_page(link)


@pytest.mark.parametrize("piece", ["<", "<>", '"', '<>"', '<>;a="', '<>"\\"', ";", "<>;a", "<>; rel=x,", " ,", "<>\\"])
def test_a_hostile_header_takes_no_time(piece: str) -> None:
    """Half a megabyte is read in one go, whatever it repeats: nothing of it is gone back on."""
    with suppress(BadLink):
        assert next_page(piece * (500_000 // len(piece))) is None
