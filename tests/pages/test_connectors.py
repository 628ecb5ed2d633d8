"""docs/connectors.md: its commands run, its blocks are one connector and the tests of it, its tables are the code's."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import gateway.connector
import gateway.testing
from gateway.connector import Connector
from gateway.testing import Fault, Harness
from tests.cli.command import Holdgate
from tests.pages.console import Console
from tests.pages.page import Page
from tests.services import free_port

PAGE = Page("docs/connectors.md")
TESTS = [block for block in PAGE.blocks("python") if "async def test_" in block]
CONNECTOR = [block for block in PAGE.blocks("python") if block not in TESTS]
ERRORS = re.findall(r"^\| `(Fault\..+?)` \| (.+?) \| (.+?) \| (.+?) \|$", PAGE.section("Errors"), re.MULTILINE)


def table(heading: str) -> list[str]:
    """The first column of the table whose head begins so."""
    rows = PAGE.text.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    return re.findall(r"^\| `(\w+)` \|", rows, re.MULTILINE)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The page's connector and its tests, as a reader has them."""
    (tmp_path / "shop_connector.py").write_text("\n\n".join(CONNECTOR), encoding="utf-8")
    (tmp_path / "test_shop.py").write_text("\n\n".join(TESTS), encoding="utf-8")
    return tmp_path


@pytest.fixture
def shop(project: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the page's tests, which imports the connector."""
    monkeypatch.syspath_prepend(project)
    monkeypatch.delitem(sys.modules, "shop_connector", raising=False)
    module = ModuleType("test_shop")
    exec((project / "test_shop.py").read_text(encoding="utf-8"), vars(module))
    monkeypatch.delitem(sys.modules, "shop_connector")
    return module


def test_ten_minutes_go_as_the_page_says(tmp_path: Path) -> None:
    """From `holdgate new connector` to a call on the ledger, in the page's order."""
    first, second = PAGE.blocks("console", under="Ten minutes")
    variables = {name: os.environ[name] for name in ("HOME",) if name in os.environ}
    with Console(tmp_path, variables) as console:
        console.play(first)
        free = {"8420": str(free_port()), "8421": str(free_port())}
        for file in (tmp_path / "notes" / "holdgate.yaml", tmp_path / "notes" / "notes_upstream.py"):
            file.write_text(re.sub("842[01]", lambda port: free[port[0]], file.read_text()))
        console.play(second)


def test_every_test_of_the_page_passes(project: Path) -> None:
    """Each capability does what the page says of it."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout
    written = sum(len(re.findall(r"^async def test_", block, re.MULTILINE)) for block in TESTS)
    assert int(re.findall(r"(\d+) passed", ended.stdout)[0]) >= written > 10


def test_the_connector_of_the_page_breaks_no_client(project: Path) -> None:
    """What readers copy is what every known client takes."""
    linted = Holdgate(Path("unused"))("tools", "lint", str(project / "shop_connector.py"))
    assert linted.code == 0
    assert linted.out.rstrip().endswith(" tools: 0 errors, 0 warnings."), linted.out


@pytest.mark.parametrize(("fault", "read", "write", "deduplicated"), ERRORS, ids=[row[0] for row in ERRORS])
@pytest.mark.anyio
async def test_an_error_is_told_as_the_page_says(
    shop: ModuleType, fault: str, read: str, write: str, deduplicated: str
) -> None:
    """Every row of the table, in all its columns, against a real bad day."""
    bad_day: Fault = eval(fault, vars(gateway.testing))
    said = []
    for connector, upstream, tool, arguments, on in (
        (shop.shop, shop.order_desk(dict(shop.ORDER)), "shop_get_order", {"order": "ord_1"}, "GET"),
        (shop.shop, shop.order_desk(dict(shop.ORDER)), "shop_move_order", shop.MOVE, "PATCH"),
        (shop.bank, shop.bank_desk({"cents": 900}), "bank_pay_out", {"account": "DE021203", "cents": 7}, "POST"),
    ):
        async with Harness(connector, upstream=upstream) as gate:
            upstream.inject(bad_day, on=on)
            outcome = await gate.call(tool, arguments)
            said.append(f"{outcome.status} `{outcome.code}`" if outcome.code else str(outcome.status))
    assert said == [read, write, deduplicated]


def test_an_installed_package_is_loaded_by_its_entry_point(project: Path) -> None:
    """The page's pyproject.toml builds, and `holdgate.connectors` finds what was installed from it."""
    (project / "pyproject.toml").write_text(PAGE.blocks("toml", under="Packaging")[0], encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    offline = ["--no-deps", "--no-index", "--no-build-isolation", "--target", str(project / "site")]
    subprocess.run([*pip, *offline, str(project)], check=True, capture_output=True, timeout=120)
    gate = project / "gate"
    gate.mkdir()
    (gate / "holdgate.yaml").write_text(PAGE.blocks("yaml", under="Packaging")[0], encoding="utf-8")
    listed = subprocess.run(
        [sys.executable, "-P", "-m", "gateway.cli", "tools", "ls"],
        cwd=gate,
        env={**os.environ, "PYTHONPATH": str(project / "site")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "mail_send_note" in listed.stdout, listed.stderr


def test_every_public_name_is_in_the_table_and_no_other() -> None:
    """What an author may import is told; what is not told is not public."""
    rows = re.findall(r"^\| `(\w+)` \| `([\w.]+)` \|", PAGE.section("The author's API, whole"), re.MULTILINE)
    exported = {(name, module.__name__) for module in (gateway.connector, gateway.testing) for name in module.__all__}
    assert set(rows) == exported
    assert len(rows) == len(exported)


def test_every_option_is_in_its_table_and_no_other() -> None:
    """A connector's and a tool's, as their functions take them."""

    def options(function: Any) -> set[str]:
        return set(inspect.signature(function).parameters) - {"self"}

    assert set(table("`Connector(…)` takes")) == options(Connector)
    declaring = (Connector.read, Connector.write, Connector.resource, Connector.prompt)
    assert set(table("A tool, a resource or a prompt takes")) == set().union(*map(options, declaring))


def test_everything_of_a_harness_is_in_its_table() -> None:
    """Its methods and what it keeps; what it has beside them from the gateway around is not promised."""
    harness = Harness(Connector("none", base_url="https://none.example"), upstream=gateway.testing.FakeUpstream())
    public = {name for name in (*vars(Harness), *vars(harness)) if not name.startswith("_")}
    told = set(table("A `Harness` has"))
    assert public - {"clock"} <= told
    assert {name for name in told if not hasattr(Harness, name) and name not in vars(harness)} == {"folder"}


@pytest.mark.parametrize("thing", ["FakeUpstream", "Fault", "Request", "Response", "Witnessed", "Harness"])
def test_every_public_method_of_testing_says_what_it_does(thing: str) -> None:
    """Types and behaviour stand in the docstring, where an editor shows them."""
    owner = getattr(gateway.testing, thing)
    for name, member in vars(owner).items():
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, classmethod | property)):
            assert inspect.getdoc(member), f"{thing}.{name}"
