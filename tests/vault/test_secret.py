"""A `Secret` shows its value to `expose()` and to nobody else."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from io import StringIO
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter
from rich.console import Console
from rich.pretty import pretty_repr

from tests.vault.conftest import CANARY
from vault.secret import Secret


@dataclass(frozen=True)
class Holder:
    secret: Secret


class Model(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    secret: Secret


def test_expose_gives_the_value() -> None:
    """C-5: there is one way to the value, and it works."""
    assert Secret(CANARY).expose() == CANARY


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        "{}".format,
        "{!r:>80}".format,
        lambda secret: f"{secret:s}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 - what logging does
        lambda secret: repr([secret, {"k": secret}, Holder(secret), Model(secret=secret)]),
        lambda secret: pretty_repr(Holder(secret)),
        lambda secret: repr(secret.__getstate__()),
        lambda secret: " ".join(repr(getattr(secret, name)) for name in dir(secret) if name != "__dict__"),
        lambda secret: json.dumps(Model(secret=secret).model_dump(), default=str),
        lambda secret: json.dumps(Model(secret=secret).model_dump(mode="json", fallback=str)),
    ],
)
def test_no_way_of_printing_shows_it(show: Callable[[Secret], str]) -> None:
    """C-5: repr, str, format, pretty printers and walking its attributes show a placeholder."""
    assert CANARY not in show(Secret(CANARY))


@pytest.mark.parametrize(
    "take",
    [
        pickle.dumps,
        lambda secret: pickle.dumps(secret, protocol=0),
        copy.copy,
        copy.deepcopy,
        json.dumps,
        list,
        bytes,
        len,
        vars,
        lambda secret: secret.__dict__,
        lambda secret: asdict(Holder(secret)),
        lambda secret: secret + "",
        lambda secret: Model(secret=secret).model_dump_json(),
        lambda secret: TypeAdapter(Any).dump_json(secret),
        lambda secret: type("Sub", (Secret,), {}),
    ],
)
def test_what_would_take_it_away_fails(take: Callable[[Secret], object]) -> None:
    """C-5: pickling, copying, iterating, serialising and subclassing fail, and do not name the value."""
    with pytest.raises(Exception, match=r".+") as failure:
        take(Secret(CANARY))
    assert CANARY not in str(failure.value)


def test_equality_cannot_be_used_to_guess_it() -> None:
    """C-5: a secret equals itself only, neither its text nor a twin."""
    secret = Secret(CANARY)
    assert {secret: 1}[secret] == 1
    assert secret not in [CANARY, object()]
    assert secret != Secret(CANARY)


def test_a_log_line_and_a_traceback_with_locals_do_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    """C-6: neither a logged secret nor the locals of a crash hold the value."""

    def crash(credential: Secret) -> None:
        raise RuntimeError(f"with {credential}")

    screen = StringIO()
    try:
        crash(Secret(CANARY))
    except RuntimeError as error:
        logging.getLogger(__name__).exception("crashed with %s", Secret(CANARY))
        Console(file=screen, width=200).print_exception(show_locals=True)
        plain = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "Secret(hidden)" in plain
    assert CANARY not in plain
    assert "crashed with Secret(hidden)" in caplog.text
    assert CANARY not in caplog.text
    assert CANARY not in screen.getvalue()


def test_only_text_is_taken() -> None:
    """C-5: a wrong type is named by its type, never by its value."""
    with pytest.raises(TypeError, match="not bytes") as failure:
        Secret(CANARY.encode())  # type: ignore[arg-type]
    assert CANARY not in str(failure.value)


@pytest.mark.parametrize("value", ["", " t", "t ", "t\n", "a\r\nX-Evil: 1", "a\0b", "tøken", "t\t"])
def test_a_value_that_would_break_a_header_is_known(value: str) -> None:
    """C-5: what cannot be one header's value is told before it is sent."""
    assert not Secret(value).fits_a_header()
    assert Secret("Zm9v+/= bar~!").fits_a_header()
