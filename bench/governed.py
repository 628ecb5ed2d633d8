"""Holdgate with everything on: key, policy, rates, idempotency, fsynced ledger, vault, telemetry at its default."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

from gateway import setup
from gateway.equipment import load_catalogue, open_vault
from gateway.model import Kind, Principal
from gateway.settings import Home
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
log_level: warning
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


def main() -> None:
    """`python -m bench.governed FOLDER UPSTREAM TOOLS`: serve on a free port until standard input closes."""
    import os
    import signal

    import uvloop

    from gateway.serve import serve_http
    from gateway.telemetry.logs import configure_logging

    folder, upstream, tools = sys.argv[1:]
    made, token = home(Path(folder), upstream, int(tools))
    configure_logging("warning")

    def ready(url: str) -> None:
        print(json.dumps({"port": int(url.split(":")[2].split("/")[0]), "token": token}), flush=True)

    def stop_with_parent() -> None:
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop_with_parent, daemon=True).start()
    uvloop.run(serve_http(made, ready=ready))


if __name__ == "__main__":
    main()
