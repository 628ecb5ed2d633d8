"""One message, read: what is wrong with it is told under its id, and what is right with it is exactly what was sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.strict_json import MAX_BYTES, MAX_DIGITS, MAX_INTEGER, MAX_NODES
from gateway.wire.json_rpc import PARSE_ERROR
from gateway.wire.messages import ENDS, BadMessage, read, too_long

IDS = st.integers(-MAX_INTEGER, MAX_INTEGER) | st.text()
LARGE = st.integers(MAX_INTEGER + 1, 10 ** (MAX_DIGITS - 1)) | st.integers(1 - 10 ** (MAX_DIGITS - 1), -MAX_INTEGER - 1)
UNSOUND = st.sampled_from(
    [
        '{"a": 1, "a": 2}',
        '{"id": 5, "id": 6}',
        '"\\ud800"',
        "NaN",
        "-Infinity",
        "1e999",
        "[" * 40 + "]" * 40,
        "[" + "0," * 10_000 + "0]",
        "1" * (MAX_DIGITS + 1),
        '"\xff"',
    ]
)
"""What strict JSON refuses in a value; the last one is no UTF-8 once it is encoded as below."""


def call(arguments: str, id: Any = 1, *, id_first: bool = True) -> bytes:
    """A call whose arguments are spelled as given."""
    named = f'"id": {json.dumps(id)}'
    said = f'"jsonrpc": "2.0", "method": "tools/call", "params": {{"name": "x", "arguments": {arguments}}}'
    return ("{" + (f"{named}, {said}" if id_first else f"{said}, {named}") + "}").encode("latin-1")


def refused(body: bytes) -> BadMessage:
    with pytest.raises(BadMessage) as raised:
        read(body)
    return raised.value


@given(UNSOUND, IDS, st.booleans())
def test_what_is_wrong_with_a_request_is_told_to_who_waits_for_it(unsound: str, id: str | int, id_first: bool) -> None:
    """I-5: a client that is answered without an id may wait for ever."""
    bad = refused(call(unsound, id, id_first=id_first))
    assert (bad.code, bad.id) == (PARSE_ERROR, id)


@given(st.recursive(LARGE, lambda inner: st.lists(inner, min_size=1) | st.dictionaries(st.text(), inner, min_size=1)))
def test_a_large_integer_in_the_arguments_of_a_call_is_read_as_it_is(value: Any) -> None:
    """I-5: who validates the arguments sees what was sent, to the last digit."""
    assert read(call(json.dumps({"cents": value})))["params"]["arguments"] == {"cents": value}


@given(LARGE)
def test_nowhere_else_is_a_large_integer_let_in(large: int) -> None:
    """I-5, T-4: in another part of a call, in another message, or beside what is not sound, it is refused."""
    whole = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "x", "arguments": {"cents": large}}}
    for other in (
        {**whole, "id": large},
        {**whole, "more": [large]},
        {**whole, "params": {**whole["params"], "_meta": {"progressToken": large}}},
        {**whole, "method": "prompts/get"},
        {**whole, "params": [large]},
        {"jsonrpc": "2.0", "id": 1, "result": {"content": large}},
        [whole],
    ):
        assert refused(json.dumps(other).encode()).code == PARSE_ERROR
    assert "same name" in str(refused(call(f'{{"a": {large}, "a": 1}}')))
    assert "deep" in str(refused(call("[" * 40 + str(large) + "]" * 40)))


@pytest.mark.parametrize(
    ("body", "id"),
    [
        (b'{"jsonrpc": "2.0", "id": 1, "id": 1, "method": "ping"}', None),
        (b'{"jsonrpc": "2.0", "id": "\\ud800", "method": "ping"}', None),
        (b'{"jsonrpc": "2.0", "id": "\xff", "method": "ping"}', None),
        (b'{"jsonrpc": "2.0", "id": true, "method": "ping"}', None),
        (b'{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}', None),
        (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}', None),
        (b'{"jsonrpc": "2.0", "id": null, "method": "ping", "error": null}', None),
        (b'{"jsonrpc": "1.0", "id": 7, "method": "ping", "result": null, "error": null}', 7),
        (b'{"jsonrpc": "2.0", "id": 7, "method": "ping", "result": null, "error": null, "params": {"x": NaN}}', 7),
        (b'{"jsonrpc": "2.0", "id": 7, "method": null, "result": null, "error": null}', None),
        (b'{"jsonrpc": "2.0", "id": 7, "method": null, "result": NaN}', None),
        (b'{"jsonrpc": "2.0", "id": 7, "result": NaN}', None),
        (b'{"jsonrpc": "2.0", "id": 7}', None),
        (b'{"jsonrpc": "2.0", "id": 7, "method": "ping", "result": {}}', None),
        (b'{"jsonrpc": "2.0", "id": 7, "method": "ping", "error": {"code": 1, "message": "No."}}', None),
        (b'{"jsonrpc": "2.0", "id": 7, "method": "pi', None),
        (b'{"jsonrpc": "2.0", "id": 7, "method": "ping", "params": [' + b"[]," * MAX_NODES + b"[]]}", None),
        (b'{"id": 7, "method": "ping", "params": {"x": "' + b"x" * MAX_BYTES + b'"}}', None),
        (b'{"jsonrpc": "2.0", "method": "ping", "id": ' + b'{"a": ' * 9_000 + b"NaN" + b"}" * 9_001, None),
        (b"[" * 100_000, None),
        (b'{"jsonrpc": "2.0", "id": %b, "method": "ping"}' % (b"9" * 400), 10**400 - 1),
        (b'{"jsonrpc": "2.0", "id": 7, "method": "ping", "method": "ping"}', 7),
        (b'{"jsonrpc": "2.0", "id": 7, "method": 5}', 7),
        (b'{"jsonrpc": "2.0", "id": 7, "method": "ping", "params": []}', 7),
        (b'{"jsonrpc": "1.0", "id": "seven", "method": "ping"}', "seven"),
    ],
)
def test_an_id_is_told_only_where_it_is_beyond_doubt(body: bytes, id: str | int | None) -> None:
    """I-5: none is guessed; nor is one that an answer names, for the client may have a request of that id under way."""
    assert refused(body).id == id


@given(IDS, st.text(), st.booleans(), st.booleans())
def test_of_a_message_that_is_too_long_both_ends_are_enough(
    id: str | int, text: str, first: bool, spaced: bool
) -> None:
    """I-5: whoever waits for it is told, wherever the id stands, and whatever its arguments look like."""
    named, rest = {"id": id}, {"method": "ping", "params": {"id": 3, "x": text, "y": {"method": "x", "id": 4}}}
    whole = {"jsonrpc": "2.0", **named, **rest} if first else {**rest, "jsonrpc": "2.0", **named}
    body = json.dumps(whole, separators=(", ", ": ") if spaced else (",", ":")).encode() + b"\r\n"
    told = too_long(body, body).id
    assert told == id or ("\\" in json.dumps(id) and told is None) or len(json.dumps(id)) > ENDS // 2


@pytest.mark.parametrize(
    ("begun", "ended"),
    [
        (b'{"jsonrpc":"2.0","id":7,"result":{"x":"', b'"}}'),
        (b'{"result":{"x":"', b'"},"jsonrpc":"2.0","id":7}'),
        (b'{"method":"ping","params":{"x":"', b'","id":7}}'),
        (b'{"method":"ping","params":{"x":"', rb'","jsonrpc":"2.0\",\"id\":7}'),
        (b'{"method":"ping","params":[{"x":"', b'"},{"id":7}]}'),
        (b'{"method":"ping","id":7,"params":{"x":"', b'"},"id":7}'),
        (b'{"method":"ping","params":{"x":"', b'"},"jsonrpc":"2.0","id":7'),
        (b'{"id":7,"params":{"x":"', b'"}}'),
        (b'[{"id":7,"method":"ping","params":{"x":"', b'"}}]'),
        (b'{"id":7' + b"0" * 600 + b',"method":"ping","params":{"x":"', b'"}}'),
    ],
)
def test_no_id_is_read_into_a_message_that_is_too_long(begun: bytes, ended: bytes) -> None:
    """I-5: an answer's, one within its arguments, one that is said twice, and one of an array are not its own."""
    assert too_long(begun, ended).id is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": null}',
        b'{"jsonrpc": "2.0", "id": null, "method": "notifications/initialized"}',
        b'{"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "What?"}}',
        b'{"jsonrpc": "2.0", "id": 1, "result": {}}',
        b'{"jsonrpc": "2.0", "id": 1, "result": {}, "error": null}',
        b'{"jsonrpc": "2.0", "id": 1, "method": null, "params": null, "result": {}, "error": null}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": null, "result": null, "error": null}',
    ],
)
def test_nothing_said_is_not_taken_amiss(body: bytes) -> None:
    """A null stands for what is not there, where nothing has to be."""
    said = {name: value for name, value in json.loads(body).items() if value is not None or name == "id"}
    assert read(body) == said


def test_an_integer_in_the_arguments_has_a_limit_of_its_own() -> None:
    """T-4: beyond it none of the digits is converted, whatever else there is to read."""
    longest = "9" * MAX_DIGITS
    for size in (0, MAX_BYTES):
        body = call(f'{{"cents": {longest}}}').ljust(size)
        assert read(body)["params"]["arguments"] == {"cents": int(longest)}
        bad = refused(call(f'{{"cents": {longest}9}}').ljust(size))
        assert (bad.code, bad.id) == (PARSE_ERROR, 1)
        assert "64 bits" in str(bad)
