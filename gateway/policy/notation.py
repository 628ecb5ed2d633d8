"""How durations, rates and money are written in a policy: `15m`, `10/min`, `50.00 USD`."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, NamedTuple

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

from gateway.decision import Rate

_DURATION = re.compile(r"([1-9][0-9]{0,5})(s|m|h|d)\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_RATE = re.compile(r"([1-9][0-9]{0,6})/(s|min|h|day)\Z")
_PERIODS = {"s": 1.0, "min": 60.0, "h": 3600.0, "day": 86_400.0}
_MONEY = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,4}))? ([A-Z]{3})\Z")

_EXCEPTIONS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_EXPONENTS = {code: digits for digits, codes in _EXCEPTIONS.items() for code in codes.split()}
"""Decimals of the currencies of ISO 4217 that do not have 2."""
_MINOR_UNITS = {"USD": "cents", "EUR": "cents", "CAD": "cents", "AUD": "cents", "NZD": "cents", "GBP": "pence"}


class Money(NamedTuple):
    """An amount in whole minor units of an ISO 4217 currency: `50.00 USD` is 5000 cents."""

    minor: int
    currency: str

    @property
    def unit(self) -> str:
        """What one of `minor` is, such as `USD cents`."""
        return unit_of(self.currency)


def unit_of(currency: str) -> str:
    """The name of `currency`'s minor unit, such as `USD cents`."""
    return currency if _EXPONENTS.get(currency) == 0 else f"{currency} {_MINOR_UNITS.get(currency, 'minor units')}"


def _mismatch(what: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("notation", "Input should be {what}", {"what": what, "remedy": remedy})


def _seconds(text: object) -> int:
    if not (isinstance(text, str) and (match := _DURATION.match(text))):
        raise _mismatch("a duration such as 90s, 15m, 4h or 7d", "Write a number and one of s, m, h, d.")
    return int(match[1]) * _SECONDS[match[2]]


def _rate(text: object) -> Rate:
    if not (isinstance(text, str) and (match := _RATE.match(text))):
        raise _mismatch("a rate such as 10/min", "Write a number, a slash and one of s, min, h, day.")
    return Rate(int(match[1]), _PERIODS[match[2]])


def _money(text: object) -> Money:
    if not (isinstance(text, str) and (match := _MONEY.match(text))):
        raise _mismatch("money such as 50.00 USD", "Write an amount, a space and a currency code.")
    exponent = _EXPONENTS.get(match[3], 2)
    if match[2] is not None and len(match[2]) != exponent:
        raise _mismatch(
            f"money with {exponent} decimals for {match[3]}", "Write all decimals of the currency, or none."
        )
    return Money(int(Decimal(match[0].split()[0]).scaleb(exponent)), match[3])


Duration = Annotated[int, PlainValidator(_seconds)]
"""Whole seconds."""
Frequency = Annotated[Rate, PlainValidator(_rate)]
Spend = Annotated[Money, PlainValidator(_money)]


def spoken(seconds: int) -> str:
    """A duration as a policy would write it: 900 is `15m`."""
    unit = next(unit for unit in "dhms" if seconds % _SECONDS[unit] == 0)
    return f"{seconds // _SECONDS[unit]}{unit}"
