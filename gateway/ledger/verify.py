"""Verification of a ledger, offline: is every line there, in its place, unchanged, and does the story make sense?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.ledger import checkpoint
from gateway.ledger_line import Event
from gateway.model import Effect, Mode
from gateway.outcome import State
from gateway.store.ledger import GENESIS
from gateway.store.transaction import Transaction
from gateway.wording import counted


class Integrity(IntEnum):
    """What verification found; also the command's exit code (semantics.md L-7)."""

    OK = 0
    TAMPERED = 1
    GAP = 2
    UNANCHORED = 3
    SEMANTIC = 4


@dataclass(slots=True)
class Report:
    """The verdict, and every finding in words."""

    lines: int = 0
    verdict: Integrity = Integrity.OK
    findings: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    """Actions whose outcome is honestly unknown: not a fault, but a question for an operator."""

    def add(self, verdict: Integrity, finding: str) -> None:
        """Note a finding. The gravest verdict stands: tampering before gaps before the rest."""
        gravity = [Integrity.OK, Integrity.UNANCHORED, Integrity.SEMANTIC, Integrity.GAP, Integrity.TAMPERED]
        self.verdict = max(self.verdict, verdict, key=gravity.index)
        if len(self.findings) < 100:
            self.findings.append(finding)


def verify(
    tx: Transaction,
    head_mac: Callable[[int, str], str],
    key: Ed25519PublicKey,
    published: Path | None = None,
) -> Report:
    """Check the chain, the head, the checkpoints, and V-2 to V-4.

    Args:
        tx: that has read nothing yet, where a gateway may be running.
        head_mac: the gateway's authentication of its head: finds a cut tail.
        key: of the checkpoints' signatures.
        published: the file of notes beside the database, or an older copy of it kept elsewhere.
    """
    report = Report()
    # Read before the transaction sees anything: a gateway that runs on publishes notes of lines that come after that.
    notes = checkpoint.notes_in(published) if published is not None else []
    hashes = _chain(tx, report)
    _head(tx, head_mac, hashes, report)
    _checkpoints(tx, key, notes, hashes, report)
    return report


def _chain(tx: Transaction, report: Report) -> list[str]:
    hashes = [GENESIS]
    story = _Story(report)
    for line in tx.ledger.lines():
        expected = len(hashes)
        if line.seq != expected:
            report.add(Integrity.GAP, f"Line {expected} is missing; line {line.seq} follows line {expected - 1}.")
            hashes += ["?"] * (line.seq - expected)
        if hashlib.sha256(line.text.encode()).hexdigest() != line.hash:
            report.add(Integrity.TAMPERED, f"Line {line.seq} was changed: its text does not have its hash.")
        facts = _parsed(line.text)
        if facts.get("seq") != line.seq:
            report.add(Integrity.TAMPERED, f"Line {line.seq} was moved: it says that it is line {facts.get('seq')}.")
        if hashes[-1] not in ("?", facts.get("prev")):
            report.add(Integrity.TAMPERED, f"Line {line.seq} does not follow line {line.seq - 1}.")
        story.tell(line.seq, facts)
        hashes.append(line.hash)
        report.lines += 1
    story.end(tx)
    return hashes


def _head(tx: Transaction, head_mac: Callable[[int, str], str], hashes: list[str], report: Report) -> None:
    head = tx.ledger.sealed_head()
    if head is None:
        if len(hashes) > 1:
            report.add(Integrity.TAMPERED, "The ledger's head was removed.")
        return
    seq, hash, mac = head
    if head_mac(seq, hash) != mac:
        report.add(Integrity.TAMPERED, "The ledger's head was changed: this gateway's key did not seal it.")
    if seq > len(hashes) - 1:
        report.add(Integrity.GAP, f"The tail was cut: {counted(len(hashes) - 1, 'line')} of {seq} can be read.")
    elif hashes[seq] != hash or seq < len(hashes) - 1:
        report.add(Integrity.TAMPERED, f"The ledger does not end with the line that its head names ({seq}).")


def _checkpoints(
    tx: Transaction, key: Ed25519PublicKey, published: list[str], hashes: list[str], report: Report
) -> None:
    notes = [note for _, note in tx.ledger.checkpoints()] + published
    anchored = 0
    for note in notes:
        said = checkpoint.read(note, key)
        if said is None:
            report.add(Integrity.TAMPERED, "A checkpoint does not bear this gateway's signature.")
        elif said.size >= len(hashes):
            report.add(Integrity.GAP, f"The tail was cut: a checkpoint speaks of {counted(said.size, 'line')}.")
        elif hashes[said.size] != said.hash:
            report.add(Integrity.TAMPERED, f"A checkpoint signed other lines than those up to line {said.size}.")
        else:
            anchored = max(anchored, said.size)
    if len(hashes) > 1 and anchored == 0 and not notes:
        report.add(Integrity.UNANCHORED, "No checkpoint was signed yet: nothing anchors these lines.")


class _Story:
    """Whether the lines make sense together (V-2, V-3, V-4)."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._intended: set[str] = set()
        self._ended: set[str] = set()
        self._held: set[str] = set()
        self._approved: set[tuple[str, str, str]] = set()
        self._consumed: dict[str, int] = {}

    def tell(self, seq: int, facts: dict[str, Any]) -> None:
        event, action = facts.get("event"), facts.get("action")
        if not isinstance(action, str):
            return
        write = facts.get("effect") == Effect.WRITE and facts.get("mode") == Mode.RUN
        if event == Event.HOLD_CREATED:
            self._held.add(action)
        elif event == Event.VOTE and facts.get("accepted") is True and facts.get("verdict") == "approve":
            self._approved.add((action, str(facts.get("principal")), str(facts.get("digest"))))
        elif event == Event.CONSUMED:
            for approver in facts.get("approvers") or ():
                if (action, approver, str(facts.get("digest"))) not in self._approved:
                    finding = f"Line {seq}: {action} was approved by {approver}, who cast no such vote (V-3)."
                    self._report.add(Integrity.SEMANTIC, finding)
            self._consumed[action] = self._consumed.get(action, 0) + 1
            if self._consumed[action] > 1:
                self._report.add(Integrity.SEMANTIC, f"Line {seq}: the approval of {action} was spent twice (V-3).")
        elif event == Event.INTENT:
            self._intended.add(action)
            if action in self._held and action not in self._consumed:
                self._report.add(
                    Integrity.SEMANTIC, f"Line {seq}: {action} was held and ran without an approval (V-3)."
                )
        elif event in (Event.OUTCOME, Event.RECONCILE):
            if write and action not in self._intended:
                self._report.add(Integrity.SEMANTIC, f"Line {seq}: {action} has an outcome and no intent (V-2).")
            if facts.get("state") in (State.SUCCEEDED, State.FAILED):
                self._ended.add(action)

    def end(self, tx: Transaction) -> None:
        open_now = {row.id for row in tx.actions.dispatching()}
        unknown = {row.id for row in tx.actions.unsettled()}
        self._report.unknown.extend(sorted(unknown))
        for action in sorted(self._intended - self._ended - open_now - unknown):
            self._report.add(
                Integrity.SEMANTIC, f"{action} has an intent, no outcome, and is not listed as unknown (V-4)."
            )


def _parsed(text: str) -> dict[str, Any]:
    try:
        facts = json.loads(text)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}
