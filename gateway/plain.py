"""Plain values, as JSON and YAML hold them, as models."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel

Model = TypeVar("Model", bound=BaseModel)


def as_model(model: type[Model], value: Any) -> Model:
    """`value` as a `model`, by way of JSON: in it a strict model takes a list for a tuple, a word for an enum and text
    for a date, but never "1" for 1. Of Python's own values it takes none of these.

    For what is read seldom: arguments of a call are read by `gateway.tools.arguments`.

    Raises:
        ValidationError: it does not fit.
    """
    return model.model_validate_json(json.dumps(value))
