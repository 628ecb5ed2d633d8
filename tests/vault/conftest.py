"""What the tests of the vault room share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.model import Mode, Permit
from tests.services import OpenBao

CANARY = "canary-4f1d2c-do-not-show"
"""A credential that no text but a request may ever hold."""


@pytest.fixture(scope="session")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """An OpenBao for tests that leave it running and unsealed."""
    server = OpenBao(tmp_path_factory.mktemp("openbao"))
    yield server
    server.kill()


@pytest.fixture
def own_openbao(tmp_path: Path) -> Iterator[OpenBao]:
    """An OpenBao for one test, which may seal or kill it."""
    server = OpenBao(tmp_path)
    yield server
    server.kill()


@pytest.fixture
def permit() -> Callable[[str | None], Permit]:
    """Mints permits for a credential, as the transaction that writes the intent line does."""

    def mint(credential: str | None) -> Permit:
        return Permit(
            action_id="act_" + "0" * 32,
            tool="billing_refund",
            mode=Mode.RUN,
            reads_only=False,
            credential=credential,
            upstream_key="key",
            fence=1,
            intent="hash",
        ).sealed()

    return mint
