"""`holdgate demo`: what a newcomer types first has to work, end, and come back."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.connect import Client, snippet
from gateway.demo.site import built
from gateway.demo.stage import agent, effects
from gateway.demo.world import World
from gateway.errors import HoldgateError
from gateway.testing.driver import PATIENCE
from tests.demo.running import HOLDGATE, environment, holdgate, nothing_runs_in, running_demo
from tests.services import free_port


def test_the_story_plays_to_its_end_and_leaves_nothing(tmp_path: Path) -> None:
    """Without a demo that runs, a play has a world of its own: every check holds, and no process or file stays."""
    ended = holdgate(tmp_path, "demo", "--play")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "The story played to its end." in ended.stdout
    for status in ("previewed", "done", "replayed", "held", "refused"):
        assert f"← {status}" in ended.stdout
    assert nothing_runs_in(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_play_in_a_running_demo_is_on_its_ledger_and_is_told_there_once(tmp_path: Path) -> None:
    """Acme's money goes back once; a second play leaves that world alone, and has one of its own."""
    with running_demo(tmp_path / "demo") as demo:
        first = holdgate(tmp_path, "demo", "--play", "--data", str(demo.world.folder))
        refunds = effects(demo.world, "/invoices/inv_1002/refunds")
        second = holdgate(tmp_path, "demo", "--play", "--data", str(demo.world.folder))
        assert first.returncode == 0, first.stdout + first.stderr
        assert [refund["committed"] for refund in refunds] == [True]
        assert second.returncode == 0, second.stdout + second.stderr
        assert effects(demo.world, "/invoices/inv_1002/refunds") == refunds


def test_a_play_is_not_taken_in_by_another_gateway_on_its_port(tmp_path: Path) -> None:
    """What answers at a stopped demo's port may serve another folder: the play then has a world of its own."""
    stopped = _made(tmp_path / "stopped")
    with running_demo(tmp_path / "demo") as demo:
        port, other = stopped.home.settings.listen.port, demo.world.home.settings.listen.port
        settings = stopped.home.file.read_text()
        stopped.home.file.write_text(settings.replace(f"port: {port}", f"port: {other}"))
        ended = holdgate(tmp_path, "demo", "--play", "--data", str(stopped.folder))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "The story played to its end." in ended.stdout


def test_a_second_start_finds_the_data_of_the_first(tmp_path: Path) -> None:
    """Keys, ledger and Acme's books stay in the folder: the agent of before looks up what it did before."""
    folder = tmp_path / "demo"
    with running_demo(folder) as demo:
        done = asyncio.run(_small_refund(demo.world))
        key = demo.world.key("support-bot")
        assert demo.stop() == 0
    with running_demo(folder) as again:
        assert again.world.key("support-bot") == key
        found = asyncio.run(_ask(again.world, "get_action", {"action_id": done["action_id"]}))
        invoice = asyncio.run(_ask(again.world, "billing_lookup_invoice", {"invoice": "inv_1001"}))
    assert found["data"] == done["data"]
    assert invoice["data"]["refunded_cents"] == done["data"]["cents"]


@pytest.mark.parametrize("lost", ["data", "acme"])
def test_a_half_that_was_removed_is_made_again(tmp_path: Path, lost: str) -> None:
    """The gateway's data or the company's may be thrown away alone: the next start joins the two again."""
    folder = tmp_path / "demo"
    _made(folder)
    shutil.rmtree(folder / lost)
    with running_demo(folder) as demo:
        assert asyncio.run(_small_refund(demo.world))["status"] == "done"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_demo_leaves_only_its_folder(tmp_path: Path, how: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end the gateway and Acme in order, with exit code 0."""
    with running_demo(tmp_path / "demo") as demo:
        assert demo.stop(how) == 0
    assert nothing_runs_in(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_acme_does_not_outlive_a_killed_demo(tmp_path: Path) -> None:
    """kill -9 of the demo closes Acme's stdin, and Acme goes."""
    with running_demo(tmp_path / "demo") as demo:
        demo.stop(signal.SIGKILL)
    assert nothing_runs_in(tmp_path)


def test_a_play_that_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C in the middle of the story ends the agent, and the gateway and the company that it brought."""
    process = subprocess.Popen(
        [*HOLDGATE, "demo", "--play"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    while not process.stdout.readline().startswith("A large refund"):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in rest
    assert nothing_runs_in(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_one_line_with_its_remedy(tmp_path: Path) -> None:
    """The demo says which port, and what to type instead; it has made nothing."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = holdgate(tmp_path, "demo", "--port", str(port))
    assert ended.returncode == 3
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert f"Port {port} on 127.0.0.1 is taken" in ended.stderr
    assert "holdgate demo --port" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_demos_ports_are_its_own_from_the_moment_they_are_chosen(tmp_path: Path) -> None:
    """Between the choice of a port and the start nobody takes it, and the company moves where a neighbour listens."""
    port = free_port()
    with socket.create_server(("127.0.0.1", port + 1)), built(tmp_path / "demo", port) as site:
        ports = {int(url.rpartition(":")[2]) for url in (site.home.url.removesuffix("/mcp"), site.acme_url)}
        assert port in ports
        assert len(ports - {port + 1}) == 2
        for chosen in ports:
            with pytest.raises(OSError, match="in use"):
                socket.create_server(("127.0.0.1", chosen))
    for given_back in ports:
        socket.create_server(("127.0.0.1", given_back)).close()


def test_a_story_that_differs_ends_with_1_and_says_where(tmp_path: Path) -> None:
    """Where policy lets an agent refund almost any sum alone, nothing is held, and the play says that it should be."""
    folder = tmp_path / "demo"
    _made(folder)
    policy = folder / "policies" / "support-agents.yaml"
    text = policy.read_text()
    looser = text.replace("approve_over: {cents: 2500}", "approve_over: {cents: 19999}")
    looser = looser.replace("cause: duplicate}, expect: hold", "cause: duplicate}, expect: allow")
    assert looser != text
    policy.write_text(looser)
    with running_demo(folder):
        ended = holdgate(tmp_path, "demo", "--play", "--data", str(folder))
    assert ended.returncode == 1
    assert "The story differs here" in ended.stdout


def test_the_demo_prints_a_line_for_each_client_and_never_a_key(tmp_path: Path) -> None:
    """C-6: what is pasted names the key's file or variable; the key itself is on no screen, and its file is private."""
    with running_demo(tmp_path / "demo") as demo:
        for command in ("claude mcp add", "codex mcp add", "gemini mcp add", "inspector --cli"):
            assert command in demo.printed
        key_file = demo.world.key_file("support-bot")
        assert str(key_file) in demo.printed
        assert demo.world.key("support-bot") not in demo.printed
        assert key_file.stat().st_mode & 0o777 == 0o600


def test_what_the_demo_prints_to_watch_it_works_in_any_terminal(tmp_path: Path) -> None:
    """`make demo` and `uvx` put the command on no PATH; a pasted line finds it, and a folder with a space."""
    script = Path(sys.executable).with_name("holdgate")
    with running_demo(tmp_path / "a demo", [sys.executable, str(script)]) as demo:
        (line,) = (line for line in demo.printed.splitlines() if line.endswith(" approvals ls"))
        bare = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        ran = subprocess.run(["sh", "-ec", line], cwd="/", env=bare, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_acmes_key_is_only_where_acme_and_the_vault_keep_it(tmp_path: Path) -> None:
    """C-6: of all the files of a used demo, one holds Acme's key in the clear."""
    with running_demo(tmp_path / "demo") as demo:
        asyncio.run(_small_refund(demo.world))
        demo.stop()
    key = (demo.world.folder / "acme" / "api-key").read_bytes().strip()
    holders = [path for path in demo.world.folder.rglob("*") if path.is_file() and key in path.read_bytes()]
    assert [path.name for path in holders] == ["api-key"]


def test_every_client_has_lines_and_only_scripts_are_given_the_key(tmp_path: Path) -> None:
    """What is pasted survives a path with a space, and an unknown client is told which are known."""
    key_file = tmp_path / "a key"
    key_file.write_text("hg_secret\n")
    for client in Client:
        lines = snippet(client, "http://127.0.0.1:8420/mcp", key_file)
        assert "http://127.0.0.1:8420/mcp" in lines
        assert ("hg_secret" in lines) == (client == "json")
    assert f"'{key_file}'" in snippet("claude", "http://127.0.0.1:8420/mcp", key_file)
    with pytest.raises(HoldgateError, match="claude, codex"):
        snippet("emacs", "http://127.0.0.1:8420/mcp", key_file)


def _made(folder: Path) -> World:
    """A demo's folder, and nobody who serves it."""
    with built(folder, 0) as site:
        return site


async def _ask(world: Any, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    async with agent(world) as bot:
        return await bot.call(tool, arguments)


async def _small_refund(world: Any) -> dict[str, Any]:
    async with agent(world) as bot:
        invoice = await bot.call("billing_lookup_invoice", {"invoice": "inv_1001"})
        refund = {"invoice": "inv_1001", "cents": 1600, "cause": "not_received", "reason": "It was not in the box."}
        return await bot.call("billing_refund", {**refund, "evidence": [invoice["action_id"]]})
