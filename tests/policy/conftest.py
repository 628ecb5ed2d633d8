"""Policies written in a test, loaded the way the gateway loads them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors import StartupError
from gateway.policy import Policy, load
from tests.policy.acme import TOOLS

Write = Callable[..., Policy]
Refuse = Callable[..., StartupError]


@pytest.fixture
def policy(tmp_path: Path) -> Write:
    """Load policies from their texts, each a file of its own."""

    def write(*texts: str) -> Policy:
        for number, text in enumerate(texts):
            (tmp_path / f"{number}.yaml").write_text(text)
        return load([tmp_path], TOOLS)

    return write


@pytest.fixture
def refused(policy: Write) -> Refuse:
    """Load policies that must not load, and give the error."""

    def write(*texts: str) -> StartupError:
        with pytest.raises(StartupError) as caught:
            policy(*texts)
        return caught.value

    return write
