"""Runs the commands of a page as its reader would: in one shell, in order, comparing what is shown with what comes.

In a page's `console` blocks a line behind `$ ` is a command, and the lines below it are what it prints. An id of an
action or a key stands for the one that really came, there and in every later command; `…` stands for anything, and
lines may be left out. A command that ends with another code than 0 says so: `# exits 2`.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from gateway.testing.driver import PATIENCE

_ID: Final = re.compile(r"act_[0-9a-f]{32}|\b[0-9a-f]{16}\b")
"""Of an action, or of a key."""
_EXITS: Final = re.compile(r"# exits (\d)\b")
_PORT: Final = re.compile(r"\b8420\b")
_LOOKS: Final = re.compile(r"holdgate (ledger|approvals ls|doctor|kill ls)\b")
"""Commands that change nothing: where they do not show it yet, a reader looks again."""
_SOON: Final = 15.0
"""Seconds for which they do."""


@dataclass(frozen=True)
class Command:
    """A command of a page, and the lines that the page shows below it."""

    text: str
    shown: tuple[str, ...]

    @property
    def code(self) -> int:
        """The exit code that the page promises."""
        said = _EXITS.search(self.text)
        return int(said[1]) if said else 0


def commands(block: str) -> list[Command]:
    """The commands of one `console` block. A line that ends with a backslash goes on in the next one."""
    found: list[Command] = []
    for line in block.replace("\\\n", "").splitlines():
        if line.startswith("$ "):
            found.append(Command(re.sub(r"\s+", " ", line.removeprefix("$ ")), ()))
        elif line.strip():
            assert found, f"a block begins with a command, and not with {line!r}"
            found[-1] = Command(found[-1].text, (*found[-1].shown, line))
    return found


@dataclass
class Console:
    """A shell that remembers its folder and its variables from one command to the next.

    Args:
        folder: where it begins, and where its own files lie.
        variables: the environment, and nothing else of this process's.
        port: the one that stands for the 8420 of the pages.
        stdin: what a reader answers to every question.
    """

    folder: Path
    variables: dict[str, str]
    port: int = 8420
    stdin: str = "y\n"
    ids: dict[str, str] = field(default_factory=dict)
    """Id as shown -> the one that really came."""

    def __post_init__(self) -> None:
        self._state = self.folder / ".console"
        self._state.mkdir()
        program = self._state / "holdgate"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m gateway.cli "$@"\n')
        program.chmod(0o755)
        self._here = self.folder
        self._serving: list[subprocess.Popen[str]] = []
        path = f"{self._state}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        self._variables = {**self.variables, "PATH": path}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._serving:
            self._stop()

    def play(self, *blocks: str) -> None:
        """Every command of these blocks, each as the page shows it."""
        for block in blocks:
            for command in commands(block):
                if command.text.endswith("&") or re.match(r"holdgate .*serve\b", command.text):
                    self._serve(command)
                elif command.text == "kill %1":
                    self._stop()
                else:
                    self._act(command)

    def _act(self, command: Command) -> None:
        end = time.monotonic() + (_SOON if _LOOKS.search(command.text) else 0)
        while trouble := self._trouble(command):
            assert time.monotonic() < end, trouble
            time.sleep(0.1)

    def run(self, command: str) -> tuple[int, str]:
        """One command: its exit code, and all that it said."""
        remember = f'code=$?; pwd > "{self._state}/pwd"; env -0 > "{self._state}/env"; exit $code'
        done = subprocess.run(
            ["/bin/sh", "-c", f"{self._real(command)}\n{remember}"],
            cwd=self._here,
            env=self._variables,
            input=self.stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=90,
        )
        with contextlib.suppress(FileNotFoundError):  # a shell that was ended early wrote neither
            self._here = Path((self._state / "pwd").read_text().strip())
            pairs = (self._state / "env").read_text().split("\0")
            self._variables = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        return done.returncode, done.stdout

    def _serve(self, command: Command) -> None:
        """A command that goes on: until it says where it serves."""
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {self._real(command.text).removesuffix('&')}"],
            cwd=self._here,
            env=self._variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._serving.append(process)
        assert process.stderr
        said = ""
        while "http://127.0.0.1:" not in said:
            line = process.stderr.readline()
            assert line, f"$ {command.text}\n{said}"
            said += line
        assert (missing := self._missing(command, said)) is None, f"$ {command.text}\nshown: {missing}\n{said}"

    def _stop(self) -> None:
        """End what serves, in order."""
        process = self._serving.pop()
        process.terminate()
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0

    def _real(self, text: str) -> str:
        """A command as it is run here: with the ids that came, and the port that is free."""
        for shown, came in self.ids.items():
            text = text.replace(shown, came)
        return _PORT.sub(str(self.port), text)

    def _trouble(self, command: Command) -> str | None:
        """Run it; how it differs from the page, or None."""
        code, said = self.run(command.text)
        if code == command.code and (missing := self._missing(command, said)) is None:
            return None
        what = f"exits {code}" if code != command.code else f"shown: {missing}"
        return f"$ {command.text}\n{what}\n{said}"

    def _missing(self, command: Command, said: str) -> str | None:
        """The first line that is shown and did not come, in its place; None when all came."""
        rest = [line.strip() for line in said.splitlines()]
        for shown in command.shown:
            pattern = self._pattern(shown)
            for number, line in enumerate(rest):
                if found := re.fullmatch(pattern, line):
                    self.ids.update(zip(self._unknown(shown), found.groups(), strict=True))
                    rest = rest[number + 1 :]
                    break
            else:
                return shown
        return None

    def _unknown(self, shown: str) -> list[str]:
        return [id for id in dict.fromkeys(_ID.findall(shown)) if id not in self.ids]

    def _pattern(self, shown: str) -> str:
        """A regular expression for a shown line; columns may be wider, and what is shown is not all of them."""
        pattern = r"\s+".join(re.escape(word) for word in shown.split())
        pattern = pattern.replace("…", ".*?").replace("8420", str(self.port))
        for id in dict.fromkeys(_ID.findall(shown)):
            if id in self.ids:
                pattern = pattern.replace(id, self.ids[id])
            else:
                pattern = pattern.replace(id, rf"({_ID.pattern})", 1).replace(id, _ID.pattern)
        return pattern
