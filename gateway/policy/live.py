"""The policies in force: read from files, and swapped whole when an edit of them is sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from gateway.connector import Tool
from gateway.documents import Document, parse
from gateway.errors import StartupError
from gateway.policy.check import check
from gateway.policy.decide import Policy
from gateway.policy.document import PolicyDocument


@dataclass(frozen=True, slots=True)
class Reload:
    """What came of an edit: a new policy in force, or the old one still and the problem."""

    before: str
    """Hash of the policy in force until now."""
    after: str
    """Hash of the policy in force from now on; equal to `before` when the edit was refused or changed nothing."""
    problem: StartupError | None = None


def load(paths: Sequence[Path], tools: Mapping[str, Tool]) -> Policy:
    """Read and check the policies at `paths`: files, or folders whose `*.yaml` and `*.yml` are meant.

    Raises:
        StartupError: naming every problem of every file; also when there is no policy at all.
    """
    return _compile(_contents(paths), tools)


class LivePolicy:
    """The policy in force. Readers take `current` once per call and keep it for that call.

    Args:
        paths: as for `load`.
        tools: every tool there is, by name.

    Raises:
        StartupError: when the policies cannot be put into force as they are.
    """

    def __init__(self, paths: Sequence[Path], tools: Mapping[str, Tool]) -> None:
        self._paths = tuple(paths)
        self._tools = tools
        contents = _contents(self._paths)
        self._seen = _mark(contents)
        self._coming = self._seen
        """What stood there at the last look."""
        self._current = _compile(contents, tools)

    @property
    def current(self) -> Policy:
        """The policy in force now. One reference: it is never half old, half new."""
        return self._current

    def reload_if_changed(self) -> Reload | None:
        """Look at the files again. None when nothing was edited, or what was is not the same as at the last look.

        Half of a file, or one of two files, may be sound, and grant what the whole denies. So look now and then: an
        edit is put in force by the second look that sees it.

        A broken edit leaves the old policy in force and is reported once, not at every look. Files that were
        deleted count as an edit; so does the last of them, which is refused.
        """
        before = self._current.hash
        try:
            contents, missing = _contents(self._paths), None
        except StartupError as problem:
            contents, missing = {Path(): str(problem).encode()}, problem
        mark = _mark(contents)
        coming, self._coming = self._coming, mark
        if mark == self._seen or mark != coming:
            return None
        self._seen = mark
        if missing is not None:
            return Reload(before, before, missing)
        try:
            self._current = _compile(contents, self._tools)
        except StartupError as problem:
            return Reload(before, before, problem)
        return Reload(before, self._current.hash)


def files_of(path: Path) -> list[Path]:
    """The files that one path of the settings means: itself, or those of a folder, in the order of their names."""
    return sorted(path.glob("*.y*ml")) if path.is_dir() else [path]


def _contents(paths: Sequence[Path]) -> dict[Path, bytes]:
    """The bytes of every policy file, read once, so that what is hashed is what is parsed."""
    contents: dict[Path, bytes] = {}
    problems: list[StartupError] = []
    for path in paths:
        for file in files_of(path):
            try:
                contents[file] = file.read_bytes()
            except OSError as error:
                problems.append(
                    StartupError(
                        f"The policy cannot be read: {error.strerror}.",
                        file=str(file),
                        remedy="Check the path and its permissions.",
                    )
                )
    if problems:
        raise StartupError.together(problems)
    if not contents:
        where = ", ".join(map(str, paths)) or "no folder given"
        raise StartupError(
            f"There is no policy ({where}).",
            remedy="Write at least one policy; without any, nothing could be allowed or refused for a reason.",
        )
    return contents


def _mark(contents: Mapping[Path, bytes]) -> str:
    digest = sha256()
    for path in sorted(contents):
        digest.update(sha256(str(path).encode()).digest() + sha256(contents[path]).digest())
    return digest.hexdigest()


def _compile(contents: Mapping[Path, bytes], tools: Mapping[str, Tool]) -> Policy:
    documents: list[Document[PolicyDocument]] = []
    problems: list[StartupError] = []
    for path, content in contents.items():
        try:
            documents.append(parse(content, PolicyDocument, path))
        except StartupError as problem:
            problems.append(problem)
    try:
        check(documents, tools, complete=not problems)
    except StartupError as problem:
        problems.append(problem)
    if problems:
        raise StartupError.together(problems)
    return Policy(documents, tools)
