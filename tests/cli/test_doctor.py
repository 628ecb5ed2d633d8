"""Who answers on the port: `doctor` tells this installation's gateway from every other program."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

from gateway.settings import Home
from tests.cli.command import Holdgate


def server(holdgate: Holdgate) -> tuple[str, str]:
    """Verdict and message about the server."""
    (found,) = (finding for finding in holdgate("doctor", "--json").json if finding["check"] == "server")
    return found["verdict"], found["message"]


class Friendly(BaseHTTPRequestHandler):
    """Says 200 to everything."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def somebody_else(port: int) -> Iterator[None]:
    """Another program on the port."""
    with ThreadingHTTPServer(("127.0.0.1", port), Friendly) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        yield
        other.shutdown()


@contextmanager
def no_http(port: int) -> Iterator[None]:
    """A program that speaks something else on the port."""
    with socket.create_server(("127.0.0.1", port)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            connection.sendall(b"220 mail.example.com ESMTP\r\n")
            connection.close()

        threading.Thread(target=greet, daemon=True).start()
        yield


def test_the_gateway_of_this_folder_is_known(holdgate: Holdgate) -> None:
    """ok, with the name under which the process stands in its ledger."""
    with holdgate.serving():
        (opened,) = holdgate("ledger", "query", "--event", "WRITER_OPEN", "--json").jsons
        verdict, message = server(holdgate)
    assert verdict == "ok"
    assert opened["instance"] in message
    assert server(holdgate)[0] == "warn"


def test_another_folders_gateway_is_not_taken_for_this_one(home: Path, holdgate: Holdgate, tmp_path: Path) -> None:
    """A gateway that answers in good health on our port, and serves other people's data, is a failure."""
    other = tmp_path / "other"
    assert holdgate("init", str(other)).code == 0
    port = Home(home / "holdgate.yaml").settings.listen.port
    settings = other / "holdgate.yaml"
    settings.write_text(settings.read_text().replace("port: 8420", f"port: {port}"))
    with Holdgate(settings).serving():
        verdict, message = server(holdgate)
    assert verdict == "fail"
    assert f"another data folder than {home / 'holdgate-data'}" in message


def test_another_program_is_not_taken_for_a_gateway(home: Path, holdgate: Holdgate) -> None:
    """What says 200 to everything, and what does not even speak HTTP, has the port and is no gateway."""
    port = Home(home / "holdgate.yaml").settings.listen.port
    for other in (somebody_else, no_http):
        with other(port):
            assert server(holdgate) == ("fail", f"What answers at http://127.0.0.1:{port}/readyz is no Holdgate.")


def test_whom_stdio_acts_for_must_be_somebody(home: Path, holdgate: Holdgate) -> None:
    """A name without an active key under `stdio_principal` shows before a client's first start fails."""

    def stdio() -> tuple[str, str]:
        (found,) = (finding for finding in holdgate("doctor", "--json").json if finding["check"] == "stdio")
        return found["verdict"], found["message"]

    assert stdio() == ("ok", "`serve --stdio` acts for support-agent.")
    settings = home / "holdgate.yaml"
    settings.write_text(settings.read_text().replace("stdio_principal: support-agent", "stdio_principal: nobody"))
    assert stdio() == ("warn", "`serve --stdio` would act for 'nobody', who has no active key.")


def test_a_disabled_principal_counts_for_nobody(holdgate: Holdgate) -> None:
    """Its keys are not active ones, stdio cannot act for it, and the remedy is to enable it."""

    def active() -> int:
        return int(doctor()["keys"]["message"].split()[0])

    def doctor() -> dict[str, dict[str, str]]:
        return {finding["check"]: finding for finding in holdgate("doctor", "--json").json}

    before = active()
    holdgate("keys", "disable", "support-agent")
    assert active() == before - 1
    found = doctor()
    assert found["stdio"]["verdict"] == "warn"
    assert "holdgate keys enable support-agent" in found["stdio"]["remedy"]
    assert "holdgate keys enable support-agent" in holdgate.program("serve", "--stdio").err


def test_holds_that_nobody_could_decide_show_before_an_agent_waits(holdgate: Holdgate) -> None:
    """A policy that asks for people who are not there, or have no key, is a warning that says whom to let in (H-5)."""

    def approvers() -> tuple[str, str]:
        (found,) = (finding for finding in holdgate("doctor", "--json").json if finding["check"] == "approvers")
        return found["verdict"], found["message"]

    verdict, message = approvers()
    assert verdict == "warn"
    assert message.endswith("holds needs 1 of finance; with an active key there is nobody.")
    holdgate("keys", "create", "clerk", "--kind", "human", "--group", "finance")
    assert approvers()[0] == "warn"
    made = holdgate("keys", "create", "fiona", "--kind", "human", "--group", "finance", "--role", "approver")
    assert approvers() == ("ok", "1 person to decide about held calls.")
    holdgate("keys", "revoke", made.out.split("_")[1])
    assert approvers()[0] == "warn"


def test_an_access_that_ends_soon_is_told_before_it_does(holdgate: Holdgate) -> None:
    """A week ahead, for those only who have no key that lasts longer; `keys ls` shows until when each does (A-3)."""

    def ending() -> list[str]:
        found = (finding for finding in holdgate("doctor", "--json").json if finding["check"] == "keys")
        return [finding["message"] for finding in found if finding["verdict"] == "warn"]

    holdgate("keys", "create", "clerk", "--days", "90")
    holdgate("keys", "create", "bot", "--days", "3")
    assert ending() == ["The last key of bot expires in 2 d 23 h."]
    assert holdgate("keys", "ls").out.count(" (until 20") == 2
    holdgate("keys", "create", "bot", "--days", "90")
    assert ending() == []


DESK = '''"""A help desk."""

from gateway.connector import Connector, Nothing, Output, Upstream

desk = Connector("desk", base_url="https://desk.example", credential="kv/desk/api#login", auth="basic")


class Me(Output):
    id: str


@desk.read()
async def me(args: Nothing, upstream: Upstream) -> Me:
    """Show who is logged in."""
    return Me.model_validate(await upstream.get("/me"))
'''


def test_a_login_that_lacks_its_user_shows_before_the_first_call_fails(home: Path, holdgate: Holdgate) -> None:
    """What the vault holds must be what the connector's `auth` presents; its value is not shown (C-5)."""

    def login() -> tuple[str, str]:
        found = [one for one in holdgate("doctor", "--json").json if one["check"] == "credential"]
        return next((one["verdict"], one["message"]) for one in found if "kv/desk/api#login" in one["message"])

    (home / "desk.py").write_text(DESK)
    settings = yaml.safe_load(holdgate.config.read_text())
    connectors = [*settings["connectors"], str(home / "desk.py")]
    holdgate.config.write_text(yaml.safe_dump({**settings, "connectors": connectors}))
    holdgate("secret", "set", "kv/desk/api#login", stdin="s3cret-of-the-desk\n")
    verdict, message = login()
    assert verdict == "fail"
    assert "is not `user:password`" in message
    assert "s3cret" not in message
    holdgate("secret", "set", "kv/desk/api#login", stdin="me@desk.example:s3cret-of-the-desk\n")
    assert login() == ("ok", "kv/desk/api#login has a value.")
