"""The gateway's own keys: what is stored under them is found again, by this process and by every later one."""

import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from gateway.bodies import Body
from gateway.errors import HoldgateError
from gateway.keyring import Keyring

_MASTER = bytes(range(32))
_KEYRING = Keyring(_MASTER)
_PART = st.sampled_from(["", "a", "b", "ab", "é"]) | st.text(max_size=20)


def _hmac(purpose: str, message: bytes) -> bytes:
    key = HKDF(SHA256(), 32, salt=None, info=f"holdgate/{purpose}/1".encode()).derive(_MASTER)
    return hmac.digest(key, message, "sha256")


def _spelled(*parts: str) -> bytes:
    return b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode() for part in parts))


@given(st.lists(_PART, min_size=1, max_size=5))
def test_a_claim_is_the_hmac_of_its_parts(parts: list[str]) -> None:
    """I-2: a key that was claimed before an upgrade is claimed after it; whatever is remembered changes no digest."""
    assert _KEYRING.claim(*parts) == _KEYRING.claim(*parts) == _hmac("idempotency", _spelled(*parts))


@given(st.lists(_PART, min_size=1, max_size=4), st.lists(_PART, min_size=1, max_size=4))
def test_two_claims_are_equal_where_all_their_parts_are(one: list[str], other: list[str]) -> None:
    """I-2: no part runs over into the next one, so that two callers never share a scope."""
    assert (_KEYRING.claim(*one) == _KEYRING.claim(*other)) is (one == other)


@given(_PART, _PART)
def test_a_pseudonym_is_one_of_its_tenant(tenant: str, value: str) -> None:
    """L-5: a task can be followed through the ledger, release after release, and not from tenant to tenant."""
    named = _KEYRING.pseudonym(tenant, value)
    assert named == _KEYRING.pseudonym(tenant, value) == _hmac("ledger-field", _spelled(tenant, value)).hex()[:32]
    assert named != _KEYRING.pseudonym(tenant + "x", value)


def test_an_upstream_is_told_the_same_key_on_every_retry() -> None:
    """I-10: also by a process that was started anew."""
    told = _KEYRING.upstream_key("act_1")
    assert told == Keyring(_MASTER).upstream_key("act_1") == "hg-" + _hmac("upstream-key", b"act_1").hex()[:40]
    assert told != _KEYRING.upstream_key("act_2")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=8), _JSON, max_size=4))
def test_a_body_is_opened_as_it_was_sealed(content: dict[str, Any]) -> None:
    """I-13: a kept answer is given again as it was, in the order of its names."""
    body = Body.seal(_KEYRING, "act_1", "outcome", content)
    opened = json.loads(_KEYRING.open("act_1", "outcome", body.sealed))
    assert opened == content
    assert list(opened) == list(content)


def test_a_body_is_no_other_actions() -> None:
    """L-6: what was sealed for one action and kind is not read as another's."""
    sealed = Body.seal(_KEYRING, "act_1", "outcome", {"a": 1}).sealed
    for action, kind in (("act_2", "outcome"), ("act_1", "arguments")):
        with pytest.raises(HoldgateError):
            _KEYRING.open(action, kind, sealed)
