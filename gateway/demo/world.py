"""The demo's folder: settings, policies to edit, people with keys, and Acme with a key that only two places know.

holdgate.yaml       written anew at each start
policies/           copied once; edit them while the demo runs
data/               the gateway's: ledger, vault, its own key, and keys/ with one file per person or agent
acme/               the company's: its records, the key it accepts, its port and its log
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.settings import Home

AGENT: Final = "support-bot"
APPROVER: Final = "fiona"
OWNER: Final = "olivia"

HOST: Final = "127.0.0.1"


@dataclass(frozen=True)
class World:
    """A demo as its folder tells it."""

    folder: Path
    home: Home
    acme_url: str

    def key_file(self, name: str) -> Path:
        """Where the API key of a person or agent of the demo is kept."""
        return self.home.keys / f"{name}.key"

    def key(self, name: str) -> str:
        """The API key of a person or agent of the demo."""
        return self.key_file(name).read_text(encoding="utf-8").strip()


def found(folder: Path) -> World | None:
    """The demo folder as it stands, running or not; None where there is none.

    Raises:
        StartupError: its settings cannot be read.
    """
    folder = folder.expanduser().absolute()
    if not (folder / "holdgate.yaml").exists() or not (folder / "acme" / "port").exists():
        return None
    port = (folder / "acme" / "port").read_text().strip()
    return World(folder, Home(folder / "holdgate.yaml"), f"http://{HOST}:{port}")
