"""Holdgate with everything on: key, policy, rates, idempotency, fsynced ledger, vault, telemetry at its default."""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

from gateway import setup
from gateway.bodies import Body
from gateway.equipment import load_catalogue, open_vault
from gateway.keyring import Keyring
from gateway.ledger_line import Event
from gateway.lines import facts
from gateway.model import Action, Carried, Key, Kind, Mode, Principal, Task, new_id
from gateway.outcome import State
from gateway.settings import Home
from gateway.store.transaction import Transaction
from vault.local import LocalVault
from vault.reference import Reference

_SETTINGS = """\
data: data
policies: [policy.yaml]
connectors: [connectors.billing{more}]
connector:
  billing: {{base_url: "{upstream}", internal: true}}
listen: {{port: 0}}
limits: {{calls_per_minute: 1000000000}}
vault: {{kind: local, passphrase_file: data/vault.passphrase}}
"""
_POLICY = """\
policy: bench
applies_to: {groups: [bench]}
tools:
  billing_lookup_order: allow
  billing_lookup_invoice: {rate: 1000000/s}
  billing_refund:
    max: {cents: 20000}
    rate: 1000000/s
    budget: {sum: cents, per: principal, window: 24h, at_most: 1000000000}
"""
_TOOL = '''
@filler.read()
async def read_{number}(args: Query, upstream: Upstream) -> Answer:
    """Read thing number {number}. Call this when thing {number} is asked for."""
    return Answer.model_validate(await upstream.get(f"/things/{{args.thing}}"))
'''
_FILLER = '''"""Tools that only fill the catalogue."""

from typing import Annotated

from pydantic import Field

from gateway.connector import Connector, Input, Output, Upstream

filler = Connector("filler", base_url="http://127.0.0.1:9", internal=True)


class Query(Input):
    thing: Annotated[str, Field(pattern=r"^[a-z]{1,20}$", description="The thing.")]


class Answer(Output):
    name: str
'''


def home(folder: Path, upstream: str, tools: int) -> tuple[Home, str]:
    """A gateway's home over `upstream` with about so many tools; and an agent's key."""
    filler = max(tools - 3, 0)
    more = ", ./filler.py" if filler else ""
    granted = "".join(f"  filler_read_{number}: allow\n" for number in range(filler))
    (folder / "filler.py").write_text(_FILLER + "".join(_TOOL.format(number=number) for number in range(filler)))
    (folder / "policy.yaml").write_text(_POLICY + granted)
    (folder / "holdgate.yaml").write_text(_SETTINGS.format(upstream=upstream, more=more))
    made = Home(folder / "holdgate.yaml")
    setup.prepare(made)
    vault = open_vault(made)
    assert isinstance(vault, LocalVault)
    for connector in load_catalogue(made).connectors:
        if connector.credential:
            vault.set(Reference.parse(connector.credential), "a-credential-of-the-benchmark")
    store = setup.open_store(made)
    try:
        return made, setup.admit(store, Principal("default", "bench", Kind.AGENT, frozenset({"bench"})), by="bench")
    finally:
        store.close()


def live(home: Home, past: int) -> None:
    """A past of so many settled writes: their actions, bodies and ledger lines, as a gateway leaves them."""
    store = setup.open_store(home)
    keyring = Keyring.load(home.gateway_key)
    tool = load_catalogue(home).tools["billing_refund"]
    bot = store.look(lambda tx: tx.people.get("default", "bench"))
    assert bot is not None
    bot = replace(bot, key_id="0" * 16)
    numbers = iter(range(past))

    def some(tx: Transaction) -> None:
        for number in islice(numbers, 5_000):
            arguments = {"invoice": f"inv_{10**11 + number}", "cents": 1, "cause": "damaged"}
            key = Key(keyring.claim("past", str(number)), "derived")
            digest = keyring.claim("twin", str(number))
            args = tool.input_model.model_validate(arguments)
            task = Task(f"tsk_{number // 50:032x}", "header")
            id = new_id("act")
            action = Action(
                id, bot, tool, args, arguments, frozenset(arguments), Mode.RUN, task, key, digest, digest,
                None, (), Carried(), 30.0,
            )  # fmt: skip
            tx.actions.add(action, State.DISPATCHING, policy_hash="0" * 64, instance="past")
            Body.seal(keyring, id, "arguments", arguments).keep(tx)
            tx.ledger.append(Event.INTENT, **facts(action))
            tx.actions.settle(id, 1, State.SUCCEEDED, code=None)
            tx.actions.delivered([id], tx.now)
            tx.ledger.append(Event.OUTCOME, **facts(action), state="succeeded")

    told = time.monotonic()
    for done in range(0, past, 5_000):
        if time.monotonic() - told > 5:
            told = time.monotonic()
            print(f"  {done:,} of {past:,} actions are made", flush=True)
        store.transact(some)
    store.close()


def main() -> None:
    """`python -m bench.governed FOLDER UPSTREAM [TOOLS [PAST]]`: serve on a free port until standard input closes."""
    import os
    import signal

    import uvloop

    from gateway.serve import serve_http
    from gateway.telemetry.logs import configure_logging

    folder, upstream, tools, past = [*sys.argv[1:], "3", "0"][:4]
    made, token = home(Path(folder), upstream, int(tools))
    if int(past):
        live(made, int(past))
    begun = time.perf_counter()
    configure_logging(made.settings.log_level)

    def ready(url: str) -> None:
        seconds = round(time.perf_counter() - begun, 2)
        print(json.dumps({"port": urlsplit(url).port, "token": token, "seconds": seconds}), flush=True)

    def stop_with_parent() -> None:
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop_with_parent, daemon=True).start()
    uvloop.run(serve_http(made, ready=ready))


if __name__ == "__main__":
    main()
