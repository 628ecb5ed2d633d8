"""`new`: the first files of something of one's own, complete and passing, to be changed from there."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.invocation import CONFIG_FILE, CONFIG_VARIABLE, AsJson

if TYPE_CHECKING:
    from gateway.settings import Home

app = typer.Typer(no_args_is_help=True, help="Write the first files of a connector of your own.")

_FILES: Final = {
    "{name}_connector.py": "connector.py",
    "{name}_upstream.py": "upstream.py",
    "test_{name}.py": "test.py",
    "policy.yaml": "policy.yaml",
    CONFIG_FILE: "holdgate.yaml",
    ".gitignore": "gitignore",
}
"""What is written, and from which template."""


def _name(text: str) -> str:
    from gateway.connector import CONNECTOR_NAME

    if not CONNECTOR_NAME.fullmatch(text):
        raise typer.BadParameter(
            f"{text!r} cannot begin the names of tools. Use a lower-case letter, then letters and digits, 16 at most:"
            " for example `crm`."
        )
    return text


@app.callback()
def _new() -> None:
    """Write the first files of a connector of your own."""


@app.command("connector", short_help="Write a connector, its policy and its tests.")
def connector(
    name: Annotated[
        str, typer.Argument(metavar="NAME", callback=_name, help="Of the system; every tool's name begins with it.")
    ],
    json_output: AsJson = False,
) -> None:
    """Write a connector into the folder NAME: two tools, a policy, tests, a stand-in upstream, a gateway to try it."""
    from gateway.cli.output import emit, say
    from gateway.settings import Home
    from gateway.setup import prepare, write_new

    folder = Path(name)
    files = {folder / file.format(name=name): _filled(template, name) for file, template in _FILES.items()}
    write_new(files)
    home = Home(folder / CONFIG_FILE)
    prepare(home)
    _furnish(home, name)
    if json_output:
        emit({"folder": str(folder.absolute()), "files": [path.name for path in files], "config": str(home.file)})
        return
    say(
        f"Wrote {', '.join(path.name for path in files)} into {folder}/, with a data folder, a made-up credential"
        f" and a key for {name}-agent.",
        "",
        f"Next, in {folder}/:",
        *(f"  {command:<68}# {why}" for command, why in _next(name)),
        "",
        f"To load it into a gateway that you have, name {folder}/{name}_connector.py under `connectors`, and"
        f" {folder}/policy.yaml under `policies`, of its {CONFIG_FILE}.",
    )


def _next(name: str) -> tuple[tuple[str, str], ...]:
    elsewhere = ((f"unset {CONFIG_VARIABLE}", "it names another gateway's settings"),)
    return (
        *(elsewhere if os.environ.get(CONFIG_VARIABLE) else ()),
        ("python -m pytest", "its tests pass as they are (pip install pytest)"),
        (f"python {name}_upstream.py & holdgate serve", "a stand-in for the system, and a gateway before it"),
        (
            f"holdgate call {name}_get_item --arg item=itm_1 --as {name}-agent",
            "in another terminal: the first governed call",
        ),
    )


def _filled(template: str, name: str) -> str:
    file = resources.files("gateway.cli") / "templates" / "connector" / f"{template}.template"
    return Template(file.read_text(encoding="utf-8")).substitute(name=name)


def _furnish(home: Home, name: str) -> None:
    """A key for a first agent, and something in place of the credential."""
    import secrets

    from gateway.cli.invocation import opened_store
    from gateway.cli.whoami import os_user
    from gateway.model import Kind, Principal
    from gateway.passphrase import passphrase
    from gateway.settings import LocalVaultSettings
    from gateway.setup import admit, keep_key
    from vault.local import LocalVault
    from vault.reference import Reference

    settings = home.settings.vault
    assert isinstance(settings, LocalVaultSettings)
    vault = LocalVault(home.data / settings.file, passphrase(home, settings))
    vault.set(Reference.parse(f"kv/{name}/api#token"), secrets.token_urlsafe())
    agent = Principal(home.settings.tenant, f"{name}-agent", Kind.AGENT, frozenset({"agents"}))
    with opened_store(home) as store:
        keep_key(home, agent.id, admit(store, agent, by=os_user()))
