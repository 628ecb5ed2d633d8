"""The embedded vault: one encrypted file beside the gateway, for a machine without a vault of its own."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import CredentialUnavailable, StartupError
from gateway.wording import counted
from vault import sealed
from vault.broker import Reading
from vault.reference import Reference
from vault.secret import Secret


@dataclass(frozen=True, slots=True)
class _Entry:
    version: int
    """Goes on counting after a removal, so that no version ever names two values."""
    secret: Secret | None
    """None: removed."""


class LocalVault:
    """Secrets in one file, sealed with a passphrase. Any number of processes may read and write it.

    The file is replaced whole, under a lock, and never edited. Every read opens it anew, so that a value written by
    another process is seen at once; only the stretched passphrase is kept. The file must belong to its owner alone
    (mode 0600): an open one is refused and not repaired, because it may have been copied already.

    `set`, `remove` and `names` block; they are for the command line.

    Args:
        path: the vault file, made by `LocalVault.create`.
        passphrase: what it was created with.

    Raises:
        StartupError: no file, no passphrase, the wrong one, a damaged or altered file, one that others can read, or
            a format newer than this program's. Also from `set`, `remove` and `names`.
    """

    def __init__(self, path: Path | str, passphrase: str, *, _key: sealed.Key | None = None) -> None:
        self._path = Path(os.path.realpath(path))
        self._passphrase = _hidden(passphrase)
        del passphrase  # a traceback with locals would show it
        self._deriving = threading.Lock()
        self._key = _key
        self._load()

    @classmethod
    def create(cls, path: Path | str, passphrase: str) -> LocalVault:
        """Make an empty vault, with its folder.

        Raises:
            StartupError: there is a file already, no passphrase, or the folder cannot be written.
        """
        hidden = _hidden(passphrase)
        path = Path(os.path.realpath(path))
        with _writing(path):
            if path.exists():
                raise StartupError(
                    "There is a file at the vault's path already.", file=str(path), remedy="Open it, or move it away."
                )
            key = sealed.Key.fresh(hidden)
            _replace(path, sealed.seal(key, _encoded({})))
        return cls(path, passphrase, _key=key)

    def set(self, reference: Reference, value: str) -> int:
        """Store a value, and return its version: 1, or one more than the last.

        Raises:
            StartupError: also when the value could not be sent as a header.
        """
        secret = Secret(value)
        del value  # a traceback with locals would show it
        if not secret.fits_a_header():
            raise StartupError(
                f"The value for {reference} is empty, starts or ends with a space or a line break, or holds a "
                "character that is not printable ASCII.",
                remedy="Give the credential alone, on one line.",
            )
        return self._write(reference, secret)

    def remove(self, reference: Reference) -> None:
        """Forget a value.

        Raises:
            StartupError: also when there is none.
        """
        self._write(reference, None)

    def names(self) -> list[str]:
        """The references that have a value, in alphabetical order."""
        return sorted(name for name, entry in self._load().items() if entry.secret is not None)

    async def read(self, reference: Reference) -> Reading:
        """The newest value; see `Backend.read`."""
        try:
            entry = (await asyncio.to_thread(self._load)).get(str(reference))
        except StartupError as trouble:
            # The path stays with the operator: an agent may read this sentence.
            raise CredentialUnavailable(
                f"The local vault gave no value for {reference}. {trouble.message} {trouble.remedy}"
            ) from None
        if entry is None or entry.secret is None:
            raise CredentialUnavailable(
                f"The local vault has no value for {reference}. Store one, or correct the reference."
            )
        return Reading(entry.secret, str(entry.version))

    async def check(self) -> str:
        """How many secrets the file holds; see `Backend.check`."""
        try:
            count = len(await asyncio.to_thread(self.names))
        except StartupError as trouble:
            raise CredentialUnavailable(str(trouble)) from None
        return f"The local vault {self._path} opens and holds {counted(count, 'secret')}."

    async def close(self) -> None:
        """Nothing is held open."""

    def _write(self, reference: Reference, secret: Secret | None) -> int:
        name = str(reference)
        with _writing(self._path):
            key, entries = self._opened()
            before = entries.get(name, _Entry(0, None))
            if secret is None and before.secret is None:
                raise StartupError(
                    f"The vault has no value for {name}.", file=str(self._path), remedy="See `holdgate secret ls`."
                )
            entries[name] = _Entry(before.version + (secret is not None), secret)
            _replace(self._path, sealed.seal(key, _encoded(entries)))
            return entries[name].version

    def _load(self) -> dict[str, _Entry]:
        return self._opened()[1]

    def _opened(self) -> tuple[sealed.Key, dict[str, _Entry]]:
        file = str(self._path)
        contents = sealed.parse(_contents(self._path), file=file)
        key = self._key_of(contents)
        # Authenticated: only a holder of the passphrase can have written what is decoded here.
        return key, _decoded(contents.opened(key, file=file))

    def _key_of(self, contents: sealed.Sealed) -> sealed.Key:
        with self._deriving:  # or every thread of a cold start would spend 128 MiB on the same answer
            if self._key is None or self._key.salt != contents.salt:
                self._key = sealed.Key(self._passphrase, contents.salt)
            key = self._key
        if not contents.matches(key):
            raise StartupError(
                "The passphrase does not open this vault.",
                file=str(self._path),
                remedy="Give the passphrase it was created with; without it the credentials have to be stored anew.",
            )
        return key


def _hidden(passphrase: str) -> Secret:
    if not passphrase:
        raise StartupError(
            "The local vault needs a passphrase, and none was given.",
            remedy="Give the passphrase the vault was created with.",
        )
    return Secret(passphrase)


def _encoded(entries: dict[str, _Entry]) -> bytes:
    return json.dumps(
        {
            name: {"version": entry.version, "value": None if entry.secret is None else entry.secret.expose()}
            for name, entry in entries.items()
        }
    ).encode()


def _decoded(plaintext: bytes) -> dict[str, _Entry]:
    return {
        name: _Entry(entry["version"], None if entry["value"] is None else Secret(entry["value"]))
        for name, entry in json.loads(plaintext).items()
    }


def _contents(path: Path) -> bytes:
    file = str(path)
    try:
        with path.open("rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            contents = stream.read()
    except FileNotFoundError:
        raise StartupError(
            "There is no vault file.",
            file=file,
            remedy="Correct its path, or restore it from your back-up; docs/operations.md says how to make one.",
        ) from None
    except OSError as trouble:
        raise StartupError(
            f"The vault file cannot be read: {trouble.strerror}.", file=file, remedy="Let the gateway's user read it."
        ) from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise StartupError(
            f"The vault file is open to other users of this machine (mode {mode:04o}).",
            file=file,
            remedy="Run `chmod 600` on it, and replace the credentials if someone may have copied it.",
        )
    return contents


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Keep other writers out. The lock has a file of its own, because the vault's file is replaced."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as trouble:
        raise _unwritable(path, trouble) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _replace(path: Path, contents: bytes) -> None:
    """Put `contents` in place whole and durable, or leave the file as it was."""
    scratch = None
    try:
        descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp's mode is 0600
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(contents)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(scratch, path)
        scratch = None
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as trouble:
        raise _unwritable(path, trouble) from None
    finally:
        if scratch is not None:
            Path(scratch).unlink(missing_ok=True)


def _unwritable(path: Path, trouble: OSError) -> StartupError:
    return StartupError(
        f"The vault file cannot be written: {trouble.strerror}.",
        file=str(path),
        remedy="Let this user write to its folder, and see that the disk has room.",
    )
