"""`holdgate new connector`: what it writes works as it is, which is tried by doing what it says to do next."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.testing.driver import PATIENCE
from tests.cli.command import Ended, Holdgate, one_sentence
from tests.services import free_port

NAME = "notes"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a new connector; its gateway and stand-in on ports that are free here."""
    where = tmp_path_factory.mktemp("new")
    told = write(where, NAME)
    assert told.code == 0, told.err
    assert [line.split("#")[0].split() for line in told.out.splitlines() if line.startswith("  ")] == [
        ["python", "-m", "pytest"],
        ["python", "notes_upstream.py", "&", "holdgate", "serve"],
        ["holdgate", "call", "notes_get_item", "--arg", "item=itm_1", "--as", "notes-agent"],
    ]
    folder = where / NAME
    ports = {"8420": str(free_port()), "8421": str(free_port())}
    for file in (folder / "holdgate.yaml", folder / "notes_upstream.py"):
        text = file.read_text()
        for told_port, free in ports.items():
            text = text.replace(told_port, free)
        file.write_text(text)
    return folder


def write(where: Path, *words: str) -> Ended:
    """`holdgate new connector` in a folder."""
    with contextlib.chdir(where):
        return Holdgate(Path("unused"))("new", "connector", *words)


def test_settings_that_the_shell_names_elsewhere_are_told(tmp_path: Path) -> None:
    """In a shell in which the demo was tried, `holdgate serve` would serve the demo's settings and not the new ones."""
    with contextlib.chdir(tmp_path):
        told = Holdgate(Path("unused"))("new", "connector", NAME, HOLDGATE_CONFIG="/demo/holdgate.yaml")
    assert "  unset HOLDGATE_CONFIG " in told.out


@contextmanager
def stand_in(folder: Path) -> Iterator[list[str]]:
    """`python notes_upstream.py`, until the end of the block; yields what it printed, then."""
    printed: list[str] = []
    with subprocess.Popen(
        [sys.executable, f"{NAME}_upstream.py"], cwd=folder, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            assert "http://127.0.0.1:" in process.stderr.readline()
            yield printed
        finally:
            process.terminate()
            printed += process.communicate(timeout=PATIENCE)[1].splitlines()


def test_its_tests_pass_as_they_are(written: Path) -> None:
    """An author begins with something green: reads, previews, repeats, lost answers and policy are tested."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"]
    ended = subprocess.run(command, cwd=written, capture_output=True, text=True, timeout=3 * PATIENCE)
    assert ended.returncode == 0, ended.stdout
    assert "5 passed" in ended.stdout


def test_its_tests_fail_when_the_connector_does(written: Path, tmp_path: Path) -> None:
    """Green means something: a preview that lies about the title turns two of them red."""
    for file in written.glob("*.[py][ya]*"):
        (tmp_path / file.name).write_text(file.read_text().replace('{"title": args.title})\n', '{"title": "?"})\n'))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=3 * PATIENCE)
    assert ended.returncode == 1, ended.stdout
    assert "the preview of notes_rename_item promises title as '?'" in ended.stdout


def test_policy_and_doctor_are_content(written: Path) -> None:
    """Settings, policy, connector, vault and keys lack nothing."""
    holdgate = Holdgate(written / "holdgate.yaml")
    for words in (("policy", "check"), ("policy", "test"), ("doctor",)):
        ended = holdgate(*words)
        assert ended.code == 0, ended.out + ended.err


def test_the_first_call_is_governed(written: Path) -> None:
    """Read, previewed, refused for want of a reason, done and replayed: one change reaches the stand-in."""
    holdgate = Holdgate(written / "holdgate.yaml")
    agent = ("--as", "notes-agent", "--json")
    change = ("call", "notes_rename_item", "--arg", "item=itm_1", "--arg", "title=Second draft", *agent)
    with stand_in(written) as arrived, holdgate.serving():
        read = holdgate("call", "notes_get_item", "--arg", "item=itm_1", *agent)
        assert read.code == 0, read.err
        assert (read.code, read.json["data"]) == (0, {"id": "itm_1", "title": "First draft"})
        assert holdgate(*change).json["code"] == "needs_reason"
        reason = ("--reason", "Its author asked for it.")
        assert holdgate(*change, *reason, "--dry-run").json["diff"][0]["after"] == "Second draft"
        assert [holdgate(*change, *reason).json["status"] for _ in range(2)] == ["done", "replayed"]
    assert [line for line in arrived if line.startswith("PATCH")] == ["PATCH /items/itm_1 -> 200"]
    assert holdgate("ledger", "verify").code in (0, 3)


def test_it_is_written_as_linters_want_it(written: Path) -> None:
    """What an author begins with is formatted and linted, as a project of its own."""
    ruff, plain = [sys.executable, "-m", "ruff"], ["--isolated", "--no-cache", "--line-length=120"]
    for words in (["format", "--check"], ["check", "--extend-select=I,UP,B,PT,SIM"]):
        done = subprocess.run([*ruff, *words, *plain], cwd=written, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


MORE = """
from gateway.connector import Answer, Askable, Connector, Form, Nothing, Output, Sample, Upstream
from gateway.testing import FakeUpstream, Fault, Harness

desk = Connector("desk", base_url="https://desk.example")


class Name(Answer):
    name: str


class Said(Output):
    text: str


@desk.read()
async def greeting(args: Nothing, upstream: Upstream, caller: Askable) -> Said:
    who = await caller.ask("who", Form("Who is it?", Name))
    return Said(text=f"{await caller.ask('words', Sample('Greet.'))} {who.name if who else ''}")


async def play() -> None:
    async with Harness(desk, upstream=FakeUpstream()) as gate:
        gate.upstream.inject(Fault.stall())
        await gate.call("desk_greeting")
        await gate.upstream.stalled()
"""
"""What an author goes on to: questions, and an upstream that has bad days."""


def test_it_is_typed(written: Path, tmp_path: Path) -> None:
    """An author's type checker sees the whole surface: `gateway` says that it is typed, and keeps it in strict mode."""
    (tmp_path / "more.py").write_text(MORE)
    checked = [f"{NAME}_connector.py", f"{NAME}_upstream.py", str(tmp_path / "more.py")]
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(written.parent / "mypy"), *checked]
    done = subprocess.run(command, cwd=written, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_overwritten(written: Path) -> None:
    """A second one of that name changes no file, and says which is there."""
    before = {file: file.read_bytes() for file in written.iterdir() if file.is_file()}
    again = write(written.parent, NAME)
    assert "notes/notes_connector.py: There is a file already" in one_sentence(again, 3)
    assert {file: file.read_bytes() for file in written.iterdir() if file.is_file()} == before


@pytest.mark.parametrize("name", ["Notes", "my-crm", "1st", "notes_app", "a" * 17, "../up", ""])
def test_a_name_that_no_tool_could_begin_with_is_refused(tmp_path: Path, name: str) -> None:
    """Wrong usage, in one sentence with a name that would do; nothing is written."""
    told = write(tmp_path, name)
    assert told.code == 2
    assert "lower-case letter" in " ".join(told.err.replace("│", " ").split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["import", "str", "a" * 16])
def test_every_name_that_is_allowed_works(tmp_path: Path, name: str) -> None:
    """A word of Python's, and the longest one: the tools load, and are printed as JSON for programs too."""
    told = write(tmp_path, name, "--json").json
    assert told["folder"] == str(tmp_path / name)
    assert set(told["files"]) == {file.name for file in Path(told["folder"]).iterdir() if file.is_file()} - {
        "vault.passphrase"
    }
    listed = Holdgate(Path(told["config"]))("tools", "ls", "--json").json
    assert [tool["name"] for tool in listed] == [f"{name}_get_item", f"{name}_rename_item"]


def test_what_it_makes_belongs_to_one_user(written: Path) -> None:
    """Keys, database, vault and passphrase are readable by their owner only, and git is told to leave them."""
    data = written / "holdgate-data"
    for path in (data, data / "gateway.key", data / "vault.enc", data / "keys", written / "vault.passphrase"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert "/holdgate-data/\n/vault.passphrase\n" in (written / ".gitignore").read_text()
