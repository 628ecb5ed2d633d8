"""Where no secret may be found: a run with every kind of day, and a search of everything it left (semantics.md V-6)."""

from __future__ import annotations

import base64
import json
import logging
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel

from gateway.connector import Connector, Output, Upstream
from gateway.telemetry.spans import use
from gateway.testing import Harness
from gateway.testing.secrecy import disguises
from tests.acme import API_KEY, Acme
from tests.canaries import KEY, PHONE, REASON
from tests.gate import Gate
from tests.house import House, house
from tests.place import Place, held
from tests.testing.library import CREDENTIAL, Library, Which

pytestmark = pytest.mark.anyio

archive = Connector("archive", base_url="https://library.example", credential=CREDENTIAL)


class Shelf(BaseModel):
    number: int


class Shelved(Output):
    id: str
    shelf: Shelf


@archive.read()
async def book(args: Which, upstream: Upstream) -> Shelved:
    """Show where a book lies."""
    found = await upstream.get(f"/books/{args.book}")
    return Shelved.model_validate({"id": found["id"], "shelf": {"number": found["shelf"]}})


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Every span that is made during the test."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    use(provider.get_tracer("holdgate"))
    yield exporter
    use(None)
    provider.shutdown()


def left_behind(place: Place) -> dict[str, bytes]:
    """Every file of the place but the ones made to hold a secret."""
    files = (file for file in place.folder.rglob("*") if file.is_file())
    kept = {"passphrase", "gateway.key", "vault.enc"}
    return {str(file): file.read_bytes() for file in files if file.name not in kept and file.suffix != ".key"}


def test_the_search_would_find_it(tmp_path: Path) -> None:
    """V-6: the search knows each disguise when it sees it, at every offset that base64 may give it."""
    for shift in range(3):
        hidden = base64.b64encode(b"y" * shift + API_KEY.encode() + b"tail")
        assert any(disguise.encode() in hidden for disguise in disguises(API_KEY))
    assert urllib.parse.quote(API_KEY, safe="") in disguises(API_KEY)


async def test_no_credential_and_no_argument_is_left_anywhere(
    place: Place, acme: Acme, spans: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    """V-6, C-6, L-5: after echoes, errors, holds and previews: no canary in database, WAL, notes, logs, spans, answers.

    The credential in no encoding; and what the agent passed, in the clear, nowhere but in its own answers.
    """
    caplog.set_level(logging.DEBUG)
    place.write_policy(held("crm_update_customer"))
    answers: list[str] = []

    async with house(place) as gateway:
        answers.extend(await _every_kind_of_day(gateway, acme))
        searched = left_behind(place)  # while it runs, so that the WAL is there
        assert any(name.endswith("-wal") for name in searched)
        _search(searched, [*disguises(API_KEY), PHONE, REASON, KEY])
    assert len(spans.get_finished_spans()) > 10
    told = {
        "spans": "".join(span.to_json() for span in spans.get_finished_spans()).encode(),
        "logs": "".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records).encode(),
    }
    _search({**left_behind(place), **told}, [*disguises(API_KEY), PHONE, REASON, KEY])
    _search({"answers": "".join(answers).encode()}, disguises(API_KEY))


def test_a_process_logs_no_secret(running: Gate, acme: Acme) -> None:
    """V-6, C-6: at the level debug neither the upstream's credential nor the caller's key is in the log."""
    running.place.write_settings(log_level="debug")
    running.restart()
    acme.fault("echo_error", 422, method="POST")
    running.call("plain_refund", {"invoice": "inv_1001", "cents": 1})
    running.call("plain_refund", {"invoice": "inv_1001", "cents": 2})
    running.stop()
    key_secret = running.place.keys["bot"].split("_", 2)[2]
    _search(left_behind(running.place), [*disguises(API_KEY), key_secret])
    assert b"upstream_echoed_credential" in running.log.read_bytes()


async def test_an_answer_of_the_wrong_shape_is_not_quoted_in_the_log() -> None:
    """L-5: what a record holds is nobody's who reads the log, also where it is not what the connector expects."""
    async with Harness(archive, upstream=Library()) as gate:
        assert (await gate.call("archive_book", {"book": "b1"})).code == "upstream_bad_answer"
        (line,) = [line for line in gate.logs if "connector_broken" in line]
        assert "shelf.number" in line
        assert "staff only" not in line


async def _every_kind_of_day(gateway: House, acme: Acme) -> list[str]:
    answers = []
    refund = {"invoice": "inv_1001", "cents": 1, "reason": REASON, "idempotency_key": KEY}
    for fault in (("echo", "id"), ("echo_error", 422), ("echo_error", 503), ("garbage", None), ("drop_after", None)):
        acme.fault(*fault, method="GET")
        answers.append(await gateway.call("plain_invoice", {"invoice": "inv_1001"}))
        acme.start_over()
        acme.fault(*fault, method="POST")
        answers.append(await gateway.call("plain_refund", {**refund, "idempotency_key": f"{KEY}-{fault}"}))
        acme.start_over()
    change = {"customer": "cus_ada", "phone": PHONE, "reason": REASON}
    answers.append(await gateway.call("crm_update_customer", {**change, "dry_run": True}))
    asked = await gateway.call("crm_update_customer", change)
    answers.append(asked)
    await gateway.vote(asked["action_id"], "fay")
    answers.append(await gateway.ended(asked["action_id"]))
    answers.append(await gateway.call("plain_refund", {**refund, "cents": "no"}))
    return [json.dumps(answer) for answer in answers]


def _search(places: dict[str, bytes], canaries: list[str]) -> None:
    for name, content in places.items():
        for canary in canaries:
            assert canary.encode() not in content, f"{canary!r} is in {name}"
