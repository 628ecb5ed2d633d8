"""How a call becomes valid arguments: strictly, with its key, its mode and its evidence told apart."""

from __future__ import annotations

import datetime
import time
from typing import Any

import pytest
from pydantic import create_model

from gateway.connector import Input
from gateway.errors import Refusal
from gateway.model import Call, Carried, Mode
from gateway.tools.arguments import validate
from gateway.tools.catalogue import Catalogue, UnknownTool
from tests.shop import BOT, Refund, shop
from tests.tools.edge import connector_with

CATALOGUE = Catalogue([shop])
KEY = "k" * 16
READ_ID = "act_" + "a" * 32


def call(tool: str = "shop_refund", *, carried: Carried | None = None, **arguments: Any) -> Call:
    return Call(BOT, tool, {"invoice": "inv_1", **arguments}, carried or Carried())


def refused(code: str, made: Call) -> str:
    with pytest.raises(Refusal) as raised:
        CATALOGUE.resolve(made)
    assert raised.value.code == code
    return raised.value.message


class Which(Input):
    which: str


def test_arguments_are_validated_strictly_and_completed() -> None:
    """I-5: JSON's own types, dates as text, defaults filled in, in the order of the model."""
    resolved = CATALOGUE.resolve(call(on="2026-11-21", reason=" said so ", evidence=[READ_ID, READ_ID]))
    assert isinstance(resolved.args, Refund)
    assert resolved.args.on == datetime.date(2026, 11, 21)
    assert list(resolved.arguments.items()) == [
        ("invoice", "inv_1"),
        ("cents", 100),
        ("on", "2026-11-21"),
        ("why", "duplicate"),
    ]
    assert resolved.given == {"invoice", "on"}
    assert (resolved.mode, resolved.reason, resolved.evidence) == (Mode.RUN, "said so", (READ_ID,))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"cents": "5"}, "`cents` must be a whole number, written in digits only"),
        ({"cents": 500.0}, "`cents` must be a whole number, written in digits only"),
        ({"cents": 5.0001}, "`cents` must be a whole number, written in digits only"),
        ({"cents": True}, "`cents` must be a whole number"),
        ({"cents": 10**30}, "`cents`: Input should be less than or equal to 500000"),
        ({"invoice": None}, "`invoice`"),
        ({"invioce": "x"}, "`invioce` is not an argument; did you mean `invoice`?"),
        ({"why": "hunter2"}, "'duplicate' or 'fraud'"),
        ({"on": "hunter2"}, "`on`"),
        ({"dry_run": "yes"}, "`dry_run` must be true or false"),
        ({"reason": "x" * 501}, "`reason`"),
        ({"evidence": ["hunter2"]}, "`evidence`"),
        ({"evidence": [READ_ID] * 11}, "`evidence`"),
        ({"idempotency_key": "short"}, "16 to 255"),
        ({"idempotency_key": "é" * 20}, "16 to 255"),
        ({"idempotency_key": 12345678901234567890}, "16 to 255"),
    ],
)
def test_a_wrong_argument_is_named_and_its_value_is_not(arguments: dict[str, Any], says: str) -> None:
    """The model can correct itself from the message; the message repeats nothing it was given."""
    message = refused("invalid_arguments", call(**arguments))
    assert says in message
    assert "hunter2" not in message


def test_an_integer_that_a_double_cannot_hold_is_refused() -> None:
    """I-5: two different amounts must never have one fingerprint."""

    class Amount(Input):
        which: int

    catalogue = Catalogue([connector_with(Amount)])
    with pytest.raises(Refusal, match="`which`"):
        catalogue.resolve(Call(BOT, "edge_act", {"which": 2**53}))
    assert catalogue.resolve(Call(BOT, "edge_act", {"which": 2**53 - 1})).arguments == {"which": 2**53 - 1}


@pytest.mark.parametrize(
    ("carried", "argument", "expected"),
    [
        (Carried(), None, None),
        (Carried(meta_key=KEY, header_key=KEY), KEY, ("meta", KEY)),
        (Carried(header_key=KEY), None, ("header", KEY)),
        (Carried(), KEY, ("argument", KEY)),
    ],
)
def test_the_key_comes_from_the_first_of_its_sources(
    carried: Carried, argument: str | None, expected: tuple[str, str] | None
) -> None:
    """I-3: `_meta`, then the header, then the argument."""
    resolved = CATALOGUE.resolve(call(carried=carried, idempotency_key=argument))
    assert resolved.explicit_key == expected


def test_two_keys_that_differ_are_refused() -> None:
    """I-3: whichever won, the other one's promise would be broken."""
    made = call(carried=Carried(meta_key=KEY), idempotency_key="j" * 16)
    assert "meta and argument" in refused("conflicting_keys", made)


def test_a_natural_key_stands_in_for_a_missing_one() -> None:
    """I-3: the arguments that name the effect, under the tool's name; an explicit key comes first."""
    connector = connector_with(Which)
    connector.tools["edge_act"].natural_key(lambda args: args.which)
    catalogue = Catalogue([connector])
    assert catalogue.resolve(Call(BOT, "edge_act", {"which": "x"})).explicit_key == ("natural", "edge_act:x")
    given = Call(BOT, "edge_act", {"which": "x", "idempotency_key": KEY})
    assert catalogue.resolve(given).explicit_key == ("argument", KEY)


def test_a_dry_run_is_previewed_or_refused_but_never_run() -> None:
    """D-2: by argument or beside the call; a read, or a write without a preview, says so."""
    assert CATALOGUE.resolve(call(dry_run=True)).mode is Mode.PREVIEW
    assert CATALOGUE.resolve(call(carried=Carried(preview=True), dry_run=False)).mode is Mode.PREVIEW
    for tool in ("shop_note", "shop_lookup"):
        assert "nothing was done" in refused("dry_run_unsupported", call(tool, dry_run=True))
        assert "nothing was done" in refused("dry_run_unsupported", call(tool, carried=Carried(preview=True)))


def test_a_read_takes_no_key_and_no_control_argument() -> None:
    """I-3: a key beside a read claims nothing; an argument it does not know is an error."""
    assert CATALOGUE.resolve(call("shop_lookup", carried=Carried(header_key=KEY))).explicit_key is None
    assert "`reason` is not an argument" in refused("invalid_arguments", call("shop_lookup", reason="x"))


def test_an_unknown_tool_is_its_own_refusal() -> None:
    """T-5: the name is repeated only when it looks like one."""
    for name, says in (("shop_absent", "Unknown tool: shop_absent"), ("Do this!", "Unknown tool")):
        with pytest.raises(UnknownTool) as raised:
            CATALOGUE.resolve(Call(BOT, name, {}))
        assert (raised.value.code, raised.value.message) == ("unknown_tool", says)


def test_thousands_of_wrong_names_do_not_hold_up_everybody_else() -> None:
    """S40: what a name could have meant is looked for where it is told, and not for each of a body full of them."""
    names = [f"{letters}_of_the_customers_invoice" for letters in ("kind", "date", "city", "name", "rate", "unit")]
    fields: dict[str, Any] = dict.fromkeys(names, (str, ""))
    wide = create_model("Wide", __base__=Input, **fields)
    wrong = {f"{name}{number}": 1 for name in names for number in range(1_500)}
    begun = time.thread_time()
    with pytest.raises(Refusal, match=r"did you mean `kind_of_the_customers_invoice`\?.* And 8994 more\.$"):
        validate(wide, "wide", wrong)
    assert time.thread_time() - begun < 1
