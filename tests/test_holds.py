"""Who may approve (semantics.md H-5): distinct humans for every seat, never a party to the call."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from gateway.holds import satisfied
from gateway.model import ApprovalFactor, ApprovalTerms, Kind, Principal, Role

GROUPS = st.frozensets(st.sampled_from(["finance", "legal", "ops"]), max_size=3)


def person(number: int, groups: frozenset[str]) -> Principal:
    return Principal("default", f"human{number}", Kind.HUMAN, groups, frozenset({Role.APPROVER}))


@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from(["finance", "legal", "ops"]), min_size=1, max_size=2), st.integers(1, 2)),
        min_size=1,
        max_size=2,
    ),
    st.lists(GROUPS, max_size=5),
)
def test_seats_are_filled_exactly_when_some_seating_exists(
    factors: list[tuple[list[str], int]], people: list[frozenset[str]]
) -> None:
    """H-5: k of each group, distinct across factors, agrees with trying every seating."""
    terms = ApprovalTerms(tuple(ApprovalFactor(tuple(groups), count) for groups, count in factors))
    seats = [set(groups) for groups, count in factors for _ in range(count)]
    approvers = [person(number, groups) for number, groups in enumerate(people)]
    possible = any(
        all(seat & someone.groups for seat, someone in zip(seats, order, strict=False))
        for order in permutations(approvers, len(seats))
    )
    assert satisfied(terms, approvers) == possible
