"""Objects that are made once and never changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def statically_frozen(kind: type[T]) -> type[T]:
    """A dataclass that only the type checker freezes; it is compared, hashed and slotted as a frozen one is.

    For what every call makes: frozen at run time as well, it would set each of its fields through a call of
    `object.__setattr__`, and with twenty of them a call that took a fortieth of its time. What is made seldom, what
    others' code is handed, and a permit are `@dataclass(frozen=True)`.
    """
    return dataclass(slots=True, unsafe_hash=True)(kind)
