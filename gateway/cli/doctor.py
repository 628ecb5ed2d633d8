"""`doctor`: everything a start depends on, looked at one by one, each with its remedy."""

from __future__ import annotations

import asyncio
import math
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import typer

from gateway.cli.invocation import AsJson, ExitCode, Invocation, catalogue_of, opened_store
from gateway.decision import ApprovalTerms
from gateway.errors import CredentialUnavailable, HoldgateError, StartupError
from gateway.model import Kind, Role
from gateway.private import open_to_others
from gateway.wording import counted

if TYPE_CHECKING:
    from gateway.policy import Policy
    from gateway.policy.document import PolicyDocument
    from gateway.settings import Home
    from gateway.store.people import KeyRecord

_LEAST_FREE = 100 * 1024 * 1024
_REACH_SECONDS = 3.0
_CLOCK_SLACK_MS = 5_000
_SOON_MS = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found."""

    check: str
    verdict: Literal["ok", "warn", "fail"]
    message: str
    remedy: str | None = None


def doctor(ctx: typer.Context, json_output: AsJson = False) -> None:
    """Look at settings, data folder, keys, vault, policies, connectors and server. Exits 1 when something fails."""
    from gateway.cli.output import emit, say

    findings = list(_all(Invocation.of(ctx)))
    if json_output:
        emit([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            say(f"{finding.verdict:<5} {finding.check:<12} {finding.message}")
            if finding.remedy:
                say(f"{'':<18} {finding.remedy}")
    if any(finding.verdict == "fail" for finding in findings):
        raise typer.Exit(ExitCode.REFUSED)


def _all(invocation: Invocation) -> Iterator[Finding]:
    try:
        home = invocation.home()
    except StartupError as broken:
        yield from _failures("settings", broken)
        return
    yield Finding("settings", "ok", f"{home.file} is sound.")
    looks: tuple[tuple[str, Callable[[Home], Iterator[Finding]]], ...] = (
        ("data", _data),
        ("database", _database),
        ("connectors", _connectors),
        ("policies", _policies),
        ("vault", _vault),
        ("server", _server),
    )
    for check, look in looks:
        try:
            yield from look(home)
        except HoldgateError as broken:
            yield from _failures(check, broken)


def _failures(check: str, broken: HoldgateError) -> Iterator[Finding]:
    if not isinstance(broken, StartupError):
        yield Finding(check, "fail", str(broken))
        return
    for problem in broken.problems:
        where = f"{problem.file}:{problem.line}: " if problem.line else f"{problem.file}: " if problem.file else ""
        yield Finding(check, "fail", where + problem.message, problem.remedy or None)


def _data(home: Home) -> Iterator[Finding]:
    if not home.data.is_dir():
        remedy = "Mount or restore it; or run `holdgate init` beside the settings, to begin with an empty one."
        yield Finding("data", "fail", f"There is no data folder {home.data}.", remedy)
        return
    private = (home.data, home.gateway_key, home.database, home.keys, *home.keys.glob("*.key"))
    for path in private:
        if path.exists() and open_to_others(path):
            yield Finding("data", "fail", f"{path} is open to other users.", f"Run `chmod go= {path}`.")
    if not os.access(home.data, os.W_OK):
        yield Finding("data", "fail", f"{home.data} may not be written to.", "Check its owner, mode and mount.")
    free = shutil.disk_usage(home.data).free
    if free < _LEAST_FREE:
        yield Finding(
            "data", "fail", f"{free // 2**20} MiB are free on its disk.", "Make room: without it every call is refused."
        )
    yield Finding("data", "ok", f"{home.data}, {free // 2**20} MiB free.")


def _database(home: Home) -> Iterator[Finding]:
    with opened_store(home) as store:
        now = store.now()
        last = store.look(lambda tx: next(tx.ledger.lines(newest_first=True, limit=1), None))
        enabled = {person.id: on for person, on in store.look(lambda tx: tx.people.all(home.settings.tenant))}
        stored = store.look(lambda tx: tx.people.keys(home.settings.tenant))
        keys = [key for key in stored if key.usable(now) and enabled.get(key.principal)]
        stops = store.look(lambda tx: tx.switches.all(home.settings.tenant))
        unknown = store.look(lambda tx: tx.actions.unsettled())
    yield Finding("database", "ok", f"{home.database}, {counted(last.seq if last else 0, 'ledger line')}.")
    yield from _clock(last.text if last else None, now)
    if keys:
        yield Finding("keys", "ok", f"{len(keys)} active.")
    else:
        yield Finding("keys", "warn", "Nobody has an active key.", "Run `holdgate keys create NAME`.")
    yield from _expiring(keys, now)
    yield from _stdio(home, {key.principal for key in keys}, disabled={name for name, on in enabled.items() if not on})
    for stop in stops:
        what = f"{stop.scope} {stop.target}".rstrip()
        yield Finding("switches", "warn", f"Stopped: {what}, because: {stop.because}", f"`holdgate resume {what}`")
    for row in unknown:
        yield Finding(
            "outcomes", "warn", f"Nobody knows how {row.id} ended ({row.tool}).", "See `holdgate ledger unknown`."
        )


def _expiring(keys: list[KeyRecord], now: int) -> Iterator[Finding]:
    """Whose access ends soon: those of whom no key lasts longer."""
    from gateway.cli.output import time_left

    last: dict[str, float] = {}
    for key in keys:
        last[key.principal] = max(last.get(key.principal, 0), math.inf if key.expires_at is None else key.expires_at)
    for name, ends in last.items():
        if ends < now + _SOON_MS:
            said = f"The last key of {name} expires in {time_left(int(ends) - now)}."
            yield Finding("keys", "warn", said, f"Run `holdgate keys create {name}`, and hand the new one over.")


def _stdio(home: Home, with_keys: set[str], *, disabled: set[str]) -> Iterator[Finding]:
    name = home.settings.stdio_principal
    if name in with_keys:
        yield Finding("stdio", "ok", f"`serve --stdio` acts for {name}.")
    elif "stdio_principal" in home.settings.model_fields_set:
        mend = (
            f"Run `holdgate keys {'enable' if name in disabled else 'create'} {name}`" if name else "Name a principal"
        )
        why = "is disabled" if name in disabled else "has no active key"
        said = f"`serve --stdio` would act for {name!r}, who {why}."
        yield Finding("stdio", "warn", said, f"{mend}, or name another under `stdio_principal`.")


def _clock(last_line: str | None, now: int) -> Iterator[Finding]:
    import json

    if last_line is not None and json.loads(last_line)["at"] > now + _CLOCK_SLACK_MS:
        yield Finding(
            "clock", "fail", "The clock is behind the ledger's last line.", "Set the clock: it decides every expiry."
        )
    else:
        yield Finding("clock", "ok", "Not behind the ledger.")


def _connectors(home: Home) -> Iterator[Finding]:
    catalogue = catalogue_of(home)
    names = ", ".join(connector.name for connector in catalogue.connectors)
    yield Finding("connectors", "ok", f"{counted(len(catalogue.tools), 'tool')} of {names}.")


def _policies(home: Home) -> Iterator[Finding]:
    from gateway.policy import load

    try:
        tools = catalogue_of(home).tools
    except StartupError:
        yield Finding("policies", "warn", "Not looked at, because the connectors do not load.")
        return
    policy = load(home.policies, tools)
    yield Finding("policies", "ok", f"{counted(len(policy.documents), 'policy', 'policies')}; every example holds.")
    yield from _approvers(home, policy)


def _approvers(home: Home, policy: Policy) -> Iterator[Finding]:
    """Whether there is somebody to decide about what policies hold: else agents wait, and find nobody."""
    from gateway.holds import satisfied

    askers: dict[ApprovalTerms, list[str]] = {}
    for document in policy.documents:
        for terms in _asked_for(document.value):
            askers.setdefault(ApprovalTerms(terms.factors), []).append(document.value.policy)
    if not askers:
        return
    try:
        with opened_store(home) as store:
            now = store.now()
            people = store.look(lambda tx: tx.people.all(home.settings.tenant))
            keys = store.look(lambda tx: tx.people.keys(home.settings.tenant))
    except StartupError:
        return  # it is told where the database was looked at
    with_keys = {key.principal for key in keys if key.usable(now)}
    approvers = [
        person
        for person, enabled in people
        if enabled and person.id in with_keys and person.kind is Kind.HUMAN and Role.APPROVER in person.roles
    ]
    unmet = {terms: by for terms, by in askers.items() if not satisfied(terms, approvers)}
    for terms, by in unmet.items():
        wanted = {group for factor in terms.factors for group in factor.groups}
        able = ", ".join(person.id for person in approvers if person.groups & wanted) or "nobody"
        yield Finding(
            "approvers",
            "warn",
            f"What {' and '.join(dict.fromkeys(by))} holds needs {terms.needs}; with an active key there is {able}.",
            f"Run `holdgate keys create NAME --kind human --group {min(wanted)} --role approver`.",
        )
    if not unmet:
        yield Finding("approvers", "ok", f"{counted(len(approvers), 'person', 'people')} to decide about held calls.")


def _asked_for(policy: PolicyDocument) -> Iterator[ApprovalTerms]:
    """Every approval that a policy may ask for."""
    entries = (policy.terms(tool) for tool in policy.tools)
    for asks in (policy, *entries, *policy.rules):
        if asks is not None and asks.approval is not None:
            yield asks.approval.terms()


def _vault(home: Home) -> Iterator[Finding]:
    try:
        connectors = catalogue_of(home).connectors
    except StartupError:
        connectors = ()
    credentials = sorted({(connector.credential, connector.auth) for connector in connectors if connector.credential})
    yield from asyncio.run(_ask_vault(home, credentials))


async def _ask_vault(home: Home, credentials: list[tuple[str, str]]) -> list[Finding]:
    from gateway.authorization import require_presentable
    from gateway.equipment import open_vault
    from gateway.settings import LocalVaultSettings
    from vault.reference import Reference

    local = isinstance(home.settings.vault, LocalVaultSettings)
    vault = open_vault(home)
    try:
        try:
            found = [Finding("vault", "ok", await vault.check())]
        except CredentialUnavailable as down:
            return [Finding("vault", "fail", str(down))]
        for reference, auth in credentials:
            try:
                require_presentable(auth, reference, (await vault.read(Reference.parse(reference))).secret)
                found.append(Finding("credential", "ok", f"{reference} has a value."))
            except CredentialUnavailable as missing:
                remedy = f"`holdgate secret set '{reference}'` stores one." if local else None
                found.append(Finding("credential", "fail", str(missing), remedy))
        return found
    finally:
        await vault.close()


def _server(home: Home) -> Iterator[Finding]:
    import http.client
    import urllib.error
    import urllib.request

    from gateway.instances import HEADER, serves

    # Proxies of the environment are for the way out, and this is ourselves.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(home.ready_url, timeout=_REACH_SECONDS) as answer:
            status, instance = answer.status, answer.headers.get(HEADER)
    except urllib.error.HTTPError as refused:
        status, instance = refused.code, refused.headers.get(HEADER)
        refused.close()
    except http.client.HTTPException:
        status = instance = None
    except OSError:
        yield Finding("server", "warn", f"Nothing answers at {home.url}.", "Start it with `holdgate serve`.")
        return
    if instance is None:
        said = f"What answers at {home.ready_url} is no Holdgate."
        yield Finding("server", "fail", said, "Stop what has the port, or set another `listen: port`.")
    elif not serves(home.instances, instance):
        said = f"The gateway that answers at {home.url} serves another data folder than {home.data}."
        yield Finding("server", "fail", said, "Stop it, or set another `listen: port` or `data`.")
    elif status == 200:
        yield Finding("server", "ok", f"Answers at {home.url}, as {instance}.")
    else:
        yield Finding("server", "fail", f"It runs at {home.url} and cannot record calls.", "See the server's log.")
