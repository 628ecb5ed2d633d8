"""The local vault keeps what it is given, says what is wrong with it, and gives nothing away."""

from __future__ import annotations

import asyncio
import os
import pickle
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import CredentialUnavailable, StartupError
from tests.vault.conftest import CANARY
from vault.local import LocalVault
from vault.reference import Reference

PASSPHRASE = "canary-passphrase-77aa"
TOKEN = Reference.parse("kv/billing/refunds#token")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> LocalVault:
    """One vault for the tests that do not mind what is in it: making a key takes half a second, on purpose."""
    return LocalVault.create(tmp_path_factory.mktemp("shared") / "vault", PASSPHRASE)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A vault file that holds the canary at `TOKEN`."""
    LocalVault.create(tmp_path / "vault", PASSPHRASE).set(TOKEN, CANARY)
    return tmp_path / "vault"


def read(vault: LocalVault, reference: Reference = TOKEN) -> tuple[str, str]:
    """Value and version."""
    reading = asyncio.run(vault.read(reference))
    return reading.secret.expose(), reading.version


def test_a_passphrase_is_stretched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To make a vault or to open one costs one stretching, which takes half a second on purpose; to use it none."""
    salts = []

    def counted(*, salt: bytes, **terms: Any) -> Scrypt:
        salts.append(salt)
        return Scrypt(salt=salt, **terms)

    monkeypatch.setattr("vault.sealed.Scrypt", counted)
    vault = LocalVault.create(tmp_path / "vault", PASSPHRASE)
    vault.set(TOKEN, CANARY)
    assert len(salts) == 1
    assert read(LocalVault(tmp_path / "vault", PASSPHRASE)) == read(vault) == (CANARY, "1")
    assert len(salts) == 2


values = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=200)
references = st.builds(Reference, mount=st.just("kv"), path=st.sampled_from(["a", "a/b"]), field=st.sampled_from("xyz"))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(writes=st.lists(st.tuples(references, values), min_size=1, max_size=5))
def test_every_value_reads_back_as_it_was_set(shared: LocalVault, writes: list[tuple[Reference, str]]) -> None:
    """C-3: the last value set is the one read, under the version that `set` returned."""
    last = {reference: (value, str(shared.set(reference, value))) for reference, value in writes}
    assert {reference: read(shared, reference) for reference in last} == last
    assert {str(reference) for reference in last} <= set(shared.names())


def test_versions_never_name_two_values(shared: LocalVault) -> None:
    """C-3: a version goes up with each write, also across a removal."""
    reference = Reference.parse("kv/versions#t")
    assert [shared.set(reference, "one"), shared.set(reference, "two")] == [1, 2]
    shared.remove(reference)
    assert str(reference) not in shared.names()
    with pytest.raises(CredentialUnavailable, match="no value for kv/versions#t"):
        asyncio.run(shared.read(reference))
    with pytest.raises(StartupError, match="no value for kv/versions#t"):
        shared.remove(reference)
    assert shared.set(reference, "three") == 3


def test_the_file_is_its_owners_alone_and_holds_neither_value_nor_name(file: Path) -> None:
    """C-6: mode 0600, and what is inside cannot be read without the passphrase."""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    contents = file.read_bytes()
    for hidden in (CANARY, PASSPHRASE, "billing"):
        assert hidden.encode() not in contents
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(".")] == []


def test_any_flipped_byte_is_refused(file: Path) -> None:
    """C-6: every single byte of the file is protected, header and checksum included."""
    contents = file.read_bytes()
    for position in range(len(contents)):
        file.write_bytes(contents[:position] + bytes([contents[position] ^ 1]) + contents[position + 1 :])
        with pytest.raises(StartupError, match="damaged"):
            LocalVault(file, PASSPHRASE)
    file.write_bytes(contents)
    assert read(LocalVault(file, PASSPHRASE)) == (CANARY, "1")


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 200, -1])
def test_a_file_that_was_cut_short_is_refused(file: Path, length: int) -> None:
    """C-6: a truncated file is damaged, never an empty vault."""
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(StartupError, match="damaged"):
        LocalVault(file, PASSPHRASE)


def mended(contents: bytes) -> bytes:
    """The same with a checksum that fits, as somebody would who alters it on purpose."""
    return contents[:-32] + sha256(contents[:-32]).digest()


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        (lambda whole: whole[:-40] + bytes([whole[-40] ^ 1]) + whole[-39:], "altered"),
        (lambda whole: whole.replace(b'"nonce": "', b'"nonce":  "', 1), "altered"),
        (lambda whole: whole.replace(b'"holdgate_vault": 1', b'"holdgate_vault": 2', 1), "format 2"),
        (lambda whole: whole.replace(b'"n": 131072', b'"n": 1', 1), "damaged"),
        (lambda whole: whole.replace(b'"nonce"', b'"n0nce"', 1), "damaged"),
        (lambda whole: b"no vault at all" + bytes(32), "damaged"),
    ],
)
def test_an_altered_file_is_refused_though_its_checksum_fits(
    file: Path, alter: Callable[[bytes], bytes], said: str
) -> None:
    """C-6: the header is authenticated with the body; a newer format and a foreign one are told apart from both."""
    file.write_bytes(mended(alter(file.read_bytes())))
    with pytest.raises(StartupError, match=said) as failure:
        LocalVault(file, PASSPHRASE)
    assert failure.value.file == str(file)
    assert failure.value.remedy


def test_each_thing_that_keeps_a_vault_from_opening_is_named(file: Path) -> None:
    """C-6: missing file, missing passphrase, wrong passphrase and an open mode are told apart, each with a remedy."""
    cases: dict[str, Callable[[], object]] = {
        "no vault file": lambda: LocalVault(file.with_name("nowhere"), PASSPHRASE),
        "none was given": lambda: LocalVault(file, ""),
        "does not open": lambda: LocalVault(file, CANARY),
        "at the vault's path already": lambda: LocalVault.create(file, PASSPHRASE),
        "cannot be read": lambda: LocalVault(file.parent, PASSPHRASE),
        "cannot be written": lambda: LocalVault.create(file / "below", PASSPHRASE),
    }
    for said, attempt in cases.items():
        with pytest.raises(StartupError, match=said) as failure:
            attempt()
        assert failure.value.remedy
        assert CANARY not in str(failure.value)
        assert PASSPHRASE not in str(failure.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused_and_left_as_it_is(file: Path, mode: int) -> None:
    """C-6: an open file may have been copied; the operator is told how to close it and what to do then."""
    file.chmod(mode)
    with pytest.raises(StartupError, match=f"{mode:04o}.*chmod 600"):
        LocalVault(file, PASSPHRASE)
    assert stat.S_IMODE(file.stat().st_mode) == mode


def test_a_value_that_would_break_a_header_is_not_stored(shared: LocalVault) -> None:
    """C-5: a trailing line break is found when the value is stored, not when it is sent."""
    with pytest.raises(StartupError, match="one line") as failure:
        shared.set(TOKEN, f"{CANARY}\n")
    trace = traceback.TracebackException.from_exception(failure.value, capture_locals=True)
    assert CANARY not in "".join(trace.format())


def test_a_running_gateway_sees_what_another_process_wrote(file: Path) -> None:
    """C-3: a second process sets a value, and the open vault reads it, without making its key again."""
    vault = LocalVault(file, PASSPHRASE)
    write = (
        "import sys; from vault.local import LocalVault; from vault.reference import Reference; "
        "LocalVault(sys.argv[1], sys.argv[2]).set(Reference.parse(sys.argv[3]), 'from-elsewhere')"
    )
    subprocess.run([sys.executable, "-c", write, str(file), PASSPHRASE, str(TOKEN)], check=True, timeout=60)
    assert read(vault) == ("from-elsewhere", "2")


def test_writers_at_the_same_time_lose_nothing(file: Path) -> None:
    """C-3: the lock makes each write start from the one before, across open vaults."""
    vaults = [LocalVault(file, PASSPHRASE) for _ in range(2)]
    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(lambda number: vaults[number % 2].set(TOKEN, f"v{number}"), range(20)))
    assert sorted(versions) == list(range(2, 22))


def test_a_write_that_fails_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C-3: a full disk at the last moment costs the write and nothing else."""
    vault = LocalVault(file, PASSPHRASE)

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", full)
        with pytest.raises(StartupError, match="No space left"):
            vault.set(TOKEN, "new")
    assert read(vault) == (CANARY, "1")
    assert sorted(path.name for path in file.parent.iterdir()) == ["vault", "vault.lock"]


def test_a_file_that_goes_bad_under_a_running_gateway_fails_closed(file: Path) -> None:
    """S32: once open, every trouble is an unavailable credential that names the reference and hides the path."""
    vault = LocalVault(file, PASSPHRASE)
    contents = file.read_bytes()
    assert asyncio.run(vault.check()).endswith("opens and holds 1 secret.")
    for spoil in (lambda: file.write_bytes(contents[:-1]), lambda: file.chmod(0o644), file.unlink):
        spoil()
        with pytest.raises(CredentialUnavailable, match=str(TOKEN)) as failure:
            asyncio.run(vault.read(TOKEN))
        assert CANARY not in str(failure.value)
        assert str(file.parent) not in str(failure.value)
        with pytest.raises(CredentialUnavailable, match=r"vault"):
            asyncio.run(vault.check())


def test_a_vault_shows_neither_passphrase_nor_value(file: Path) -> None:
    """C-6: not in its repr, its attributes, its failures with locals, or a pickle."""
    vault = LocalVault(file, PASSPHRASE)
    asyncio.run(vault.read(TOKEN))
    shown = [repr(vault), repr(vars(vault))]
    try:
        vault.remove(Reference.parse("kv/none#t"))
    except StartupError as error:
        trace = traceback.TracebackException.from_exception(error, capture_locals=True)
        shown.append("".join(trace.format()))
    with pytest.raises(StartupError) as failure:
        LocalVault(file, CANARY)
    trace = traceback.TracebackException.from_exception(failure.value, capture_locals=True)
    shown.append("".join(trace.format()))
    assert len(shown) == 4
    assert not [text for text in shown if CANARY in text or PASSPHRASE in text]
    with pytest.raises(TypeError):
        pickle.dumps(vault)
