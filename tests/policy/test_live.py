"""Edits of policies take effect whole, or not at all."""

from pathlib import Path

import pytest

from gateway.errors import StartupError
from gateway.policy import LivePolicy, load
from tests.edits import reloaded
from tests.policy.acme import BOT, TOOLS

ALLOW = "policy: p\napplies_to: {kinds: [agent]}\ntools: {ops_adjust: allow}\n"
OTHER = "policy: q\napplies_to: {kinds: [agent]}\ntools: {billing_refund: allow}\n"


def live(folder: Path, **files: str) -> LivePolicy:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return LivePolicy([folder], TOOLS)


def test_nothing_happens_without_an_edit(tmp_path: Path) -> None:
    """A touched file with equal content is no edit."""
    policy = live(tmp_path, p=ALLOW)
    (tmp_path / "p.yaml").write_text(ALLOW)
    assert reloaded(policy) is None


def test_an_edit_swaps_the_policy_and_leaves_the_old_one_whole(tmp_path: Path) -> None:
    """A call that has taken `current` is decided by it to the end."""
    policy = live(tmp_path, p=ALLOW)
    old = policy.current
    (tmp_path / "p.yaml").write_text(ALLOW.replace("ops_adjust", "billing_refund"))
    reload = reloaded(policy)
    assert reload is not None
    assert (reload.before, reload.after, reload.problem) == (old.hash, policy.current.hash, None)
    assert old.visible(BOT) == {"ops_adjust"}
    assert policy.current.visible(BOT) == {"billing_refund"}


def test_a_broken_edit_keeps_the_old_policy_and_is_reported_once(tmp_path: Path) -> None:
    """The old policy stays in force; the same broken text is not told twice, another one is."""
    policy = live(tmp_path, p=ALLOW)
    old = policy.current
    for text in ("policy: [", ALLOW.replace("ops_adjust", "nope")):
        (tmp_path / "p.yaml").write_text(text)
        reload = reloaded(policy)
        assert reload is not None
        assert reload.problem is not None
        assert reload.problem.file == str(tmp_path / "p.yaml")
        assert (reload.before, reload.after) == (old.hash, old.hash)
        assert policy.current is old
        assert reloaded(policy) is None
    (tmp_path / "p.yaml").write_text(ALLOW)
    mended = reloaded(policy)
    assert mended is not None
    assert mended.problem is None


def test_an_edit_that_is_being_written_is_not_in_force(tmp_path: Path) -> None:
    """Half of a file may well be sound, and grant what the rest of it denies."""
    policy = live(tmp_path, p=ALLOW)
    old = policy.current
    denying = ALLOW.replace("ops_adjust: allow", "ops_adjust: allow, billing_refund: allow") + (
        "rules: [{id: none, because: closed, tools: [billing_refund], then: deny}]\n"
    )
    half = denying.partition("rules")[0]
    for text in (half, denying):
        (tmp_path / "p.yaml").write_text(text)
        assert policy.reload_if_changed() is None
        assert policy.current is old
    assert policy.reload_if_changed() is not None
    assert policy.current.visible(BOT) == {"ops_adjust"}
    assert policy.reload_if_changed() is None


def test_a_file_that_is_away_for_a_moment_is_no_edit(tmp_path: Path) -> None:
    """Some editors delete a file and write it anew."""
    policy = live(tmp_path, p=ALLOW)
    (tmp_path / "p.yaml").unlink()
    assert policy.reload_if_changed() is None
    (tmp_path / "p.yaml").write_text(ALLOW)
    assert policy.reload_if_changed() is None
    (tmp_path / "p.yaml").unlink()
    assert policy.reload_if_changed() is None
    refused = policy.reload_if_changed()
    assert refused is not None
    assert refused.problem is not None


def test_added_and_deleted_files_are_edits(tmp_path: Path) -> None:
    """What is in the folder is in force."""
    policy = live(tmp_path, p=ALLOW)
    (tmp_path / "q.yaml").write_text(OTHER)
    assert reloaded(policy) is not None
    assert policy.current.visible(BOT) == {"ops_adjust", "billing_refund"}
    (tmp_path / "p.yaml").unlink()
    assert reloaded(policy) is not None
    assert policy.current.visible(BOT) == {"billing_refund"}


def test_deleting_the_last_policy_is_refused(tmp_path: Path) -> None:
    """An emptied folder does not silently take all rules, or all rights, away."""
    policy = live(tmp_path, p=ALLOW)
    (tmp_path / "p.yaml").unlink()
    reload = reloaded(policy)
    assert reload is not None
    assert reload.problem is not None
    assert "There is no policy" in reload.problem.message
    assert policy.current.visible(BOT) == {"ops_adjust"}
    assert reloaded(policy) is None


def test_a_gateway_without_policy_does_not_start(tmp_path: Path) -> None:
    """Empty folder, no folder, missing file: each is told."""
    for paths in ([tmp_path], [], [tmp_path / "none.yaml"]):
        with pytest.raises(StartupError):
            load(paths, TOOLS)


def test_files_may_be_named_one_by_one(tmp_path: Path) -> None:
    """Beside folders, single files are taken."""
    (tmp_path / "p.yaml").write_text(ALLOW)
    (tmp_path / "q.yaml").write_text(OTHER)
    assert load([tmp_path / "q.yaml"], TOOLS).visible(BOT) == {"billing_refund"}
