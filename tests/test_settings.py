"""What follows from the settings file."""

from __future__ import annotations

from pathlib import Path

import pytest

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
