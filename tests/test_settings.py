"""What follows from the settings file."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.equipment import load_catalogue
from gateway.errors import StartupError
from gateway.settings import Home


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("{host: 127.0.0.1}", "http://127.0.0.1:8420/mcp"),
        ('{host: "::1", port: 9000}', "http://[::1]:9000/mcp"),
        ("{public_url: https://tools.example.com/}", "https://tools.example.com/mcp"),
    ],
)
def test_the_url_is_one_that_a_client_can_open(tmp_path: Path, listen: str, url: str) -> None:
    """An IPv6 address stands in brackets, and a public URL takes the place of the address."""
    file = tmp_path / "holdgate.yaml"
    file.write_text(f"listen: {listen}\n", encoding="utf-8")
    assert Home(file).url == url


def test_an_installation_has_headers_of_its_own(tmp_path: Path) -> None:
    """A tenant is known where the gateway runs, and not where its connector was written."""
    (tmp_path / "own.py").write_text(_OWN, encoding="utf-8")
    file = tmp_path / "holdgate.yaml"
    file.write_text("connectors: [./own.py]\nconnector: {own: {headers: {X-Tenant: acme, Api-Version: '2'}}}\n")
    (own,) = load_catalogue(Home(file)).connectors
    assert own.headers == {"Api-Version": "2", "X-Tenant": "acme"}
    file.write_text("connectors: [./own.py]\nconnector: {own: {headers: {Authorization: Bearer x}}}\n")
    with pytest.raises(StartupError, match="names the header 'Authorization', which it cannot set"):
        load_catalogue(Home(file))


_OWN = '''
from gateway.connector import Connector, Nothing, Output, Upstream
own = Connector("own", base_url="https://own.example.com", headers={"Api-Version": "1"})

class Thing(Output):
    name: str

@own.read()
async def show_thing(args: Nothing, upstream: Upstream) -> Thing:
    """Show the thing. Call this when it is asked for."""
    return Thing.model_validate(await upstream.get("/thing"))
'''


@pytest.mark.parametrize(
    ("text", "line", "message", "remedy"),
    [
        ('listen:\n  host: "127.0.0.1:8420"', 2, "`listen.host` must be an address or a name alone.", "under `port`"),
        ("listen:\n  host: http://a", 2, "`listen.host` must be an address or a name alone.", "under `port`"),
        ("listen:\n  public_url: tools.example.com", 2, "`listen.public_url` must be a URL.", "https://tools"),
        ("vault:\n  kind: vault", 2, "`vault.kind` must be 'local' or 'hashicorp'.", ""),
        ("vault:\n  file: a.enc", 1, "`kind` is missing in vault.", "Add it."),
    ],
)
def test_a_setting_of_the_wrong_form_is_told_with_its_line(
    tmp_path: Path, text: str, line: int, message: str, remedy: str
) -> None:
    """What cannot be meant is refused where it is read, in the words of the page, and not where it is first used."""
    file = tmp_path / "holdgate.yaml"
    file.write_text(f"{text}\n", encoding="utf-8")
    with pytest.raises(StartupError) as refused:
        Home(file)
    told = refused.value
    assert (told.line, told.message) == (line, message)
    assert remedy in (told.remedy or "")


def test_a_key_of_the_other_vault_is_not_proposed_for_itself(tmp_path: Path) -> None:
    """`passphrase_file` belongs to the local vault; the remedy names keys of the one that was chosen."""
    file = tmp_path / "holdgate.yaml"
    file.write_text("vault: {kind: hashicorp, address: https://v, passphrase_file: x}\n", encoding="utf-8")
    with pytest.raises(StartupError) as refused:
        Home(file)
    assert "passphrase_file" not in (refused.value.remedy or "")
    assert "address" in (refused.value.remedy or "")
