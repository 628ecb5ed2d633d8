"""The Acme sandbox as a real process of its own, for every test that needs a system of record or its witness."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

API_KEY = "acme-test-key/with+odd=characters"


class Acme:
    """A running Acme: its API through `client`, and its levers as methods."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "api-key").write_text(f"{API_KEY}\n")
        command = [sys.executable, "-m", "gateway.demo.acme", "--port", "0", "--data", str(folder / "data")]
        self.process = subprocess.Popen(
            [*command, "--api-key-file", str(folder / "api-key"), "--parent-watch", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.url: str = json.loads(self.process.stdout.readline())["url"]
        self.client = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {API_KEY}"}, trust_env=False, timeout=15
        )
        self._levers = httpx.Client(base_url=f"{self.url}/_control", trust_env=False, timeout=15)

    def journal(self, *, at_least: int = 0) -> list[dict[str, Any]]:
        """All arrivals, once there are `at_least` so many."""
        entries: list[dict[str, Any]] = self._answer("GET", "/journal", params={"at_least": at_least})["entries"]
        return entries

    def mutating(self) -> list[dict[str, Any]]:
        """The arrivals that asked for a change."""
        return [entry for entry in self.journal() if entry["mutating"]]

    def refunded(self, invoice: str = "inv_1001") -> int:
        """Cents that an invoice has been refunded, by its own books."""
        cents: int = self.client.get(f"/invoices/{invoice}").json()["refunded_cents"]
        return cents

    @property
    def writes(self) -> list[dict[str, Any]]:
        """See `gateway.testing.Witnessed`."""
        return self.mutating()

    @property
    def effects(self) -> list[dict[str, Any]]:
        """See `gateway.testing.Witnessed`."""
        return [entry for entry in self.mutating() if entry["committed"]]

    def lose_next_answer(self) -> None:
        """See `gateway.testing.Witnessed`; at once for the next of each method that writes."""
        for method in ("POST", "PATCH"):
            self.fault("drop_after", method=method)

    def start_over(self) -> None:
        """Back to the seeded records, an empty journal and no faults; waiting requests are let go."""
        self._levers.post("/start-over").raise_for_status()

    def forget(self) -> None:
        """Clear the journal."""
        self._levers.delete("/journal").raise_for_status()

    def fault(self, name: str, arg: float | str | None = None, **which: Any) -> None:
        """Bring on a bad day: `method`, `path` (a regex) and `times` say for whom."""
        self._answer("POST", "/faults", json={"fault": name, "arg": arg, **which})

    def recover(self) -> None:
        """No more bad days; waiting requests are let go."""
        self._levers.delete("/faults").raise_for_status()

    def wait_for_parked(self, count: int = 1) -> None:
        """Return once `count` requests are kept waiting by a fault."""
        self._answer("GET", "/parked", params={"at_least": count})

    def release(self) -> int:
        """Let the waiting requests go, and say how many there were."""
        released: int = self._answer("POST", "/release")["released"]
        return released

    def stop(self, *, kill: bool = False) -> int:
        """End the process, by closing its stdin or with SIGKILL, and give its exit code."""
        self.client.close()
        self._levers.close()
        if kill:
            self.process.kill()
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        code = self.process.wait(timeout=10)
        self.process.stdout.close()
        return code

    def _answer(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._levers.request(method, path, **request).raise_for_status().json()
        return answer


@contextmanager
def running_acme(folder: Path, *options: str) -> Iterator[Acme]:
    """Acme with its records in `folder`, until the end of the block."""
    acme = Acme(folder, *options)
    try:
        yield acme
    finally:
        if acme.process.poll() is None:
            acme.stop()


@pytest.fixture(scope="session")
def shared_acme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acme]:
    """One Acme for many tests; `acme` gives it to each as new."""
    with running_acme(tmp_path_factory.mktemp("acme"), "--control") as process:
        yield process


@pytest.fixture
def acme(shared_acme: Acme) -> Acme:
    """Acme on its first day, with its levers on. A test that wants to end the process starts its own."""
    shared_acme.start_over()
    return shared_acme
