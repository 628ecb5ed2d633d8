"""The catalogue: which connectors load, what their tools publish, and how a call becomes valid arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field, SecretStr

from gateway.connector import Connector, Input, Risk, Upstream
from gateway.errors import StartupError
from gateway.tools import own_tools
from gateway.tools.catalogue import Catalogue, load_connectors
from gateway.tools.published import CONTROLS
from tests.shop import shop
from tests.tools.edge import Sentence, connector_with

CATALOGUE = Catalogue([shop])

MODULE = '''
from gateway.connector import Connector, Input, Output, Upstream

{name} = Connector("{name}", base_url="https://{name}.example")


class Which(Input):
    id: str


class Record(Output):
    id: str


@{name}.read()
async def lookup(args: Which, upstream: Upstream) -> Record:
    """Look one record up."""
    return Record(id=args.id)
'''


def written(folder: Path, name: str, text: str | None = None) -> Path:
    file = folder / f"{name}.py"
    file.write_text(MODULE.format(name=name) if text is None else text)
    return file


# -- loading


def test_connectors_load_from_modules_files_and_folders(tmp_path: Path) -> None:
    """Own connectors need no fork: a dotted module, a file and a folder are the same door."""
    written(tmp_path, "one")
    (tmp_path / "more").mkdir()
    written(tmp_path / "more", "two")
    written(tmp_path / "more", "_private", "1/0")
    loaded = load_connectors(["one.py", "./more", "tests.shop", "tests.shop"], tmp_path)
    assert [connector.name for connector in loaded] == ["one", "two", "shop"]
    of_the_shop = ["shop_lookup", "shop_note", "shop_refund", "shop_reminder", "shop_terms"]
    assert list(Catalogue(loaded).tools) == ["one_lookup", *of_the_shop, "two_lookup"]


def test_the_entry_point_group_is_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package offers its connectors under `holdgate.connectors`."""
    written(tmp_path, "plugged")
    info = tmp_path / "plugged-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[holdgate.connectors]\nplugged = plugged\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "plugged" in {connector.name for connector in load_connectors(["holdgate.connectors"], tmp_path)}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1/0", "does not import: ZeroDivisionError"),
        ("import absent_module", "does not import: ModuleNotFoundError"),
        ("x = 1", "defines no Connector"),
        ("from gateway.connector import Connector\nx = Connector('Not-A-Name', base_url='')", "Connector name"),
    ],
)
def test_a_module_that_cannot_serve_stops_the_start_by_name(tmp_path: Path, text: str, says: str) -> None:
    """The operator is told the file and the reason."""
    written(tmp_path, "bad", text)
    with pytest.raises(StartupError, match=says):
        load_connectors(["bad.py"], tmp_path)


@pytest.mark.parametrize("source", ["connectors.bilingl", "nowhere.billing"])
def test_a_module_that_is_not_there_is_a_wrong_name_and_no_broken_module(tmp_path: Path, source: str) -> None:
    """A misspelled name of a module is told as one, with where to correct it."""
    with pytest.raises(StartupError) as refused:
        load_connectors([source], tmp_path)
    assert refused.value.message == f"There is no connector module {source}."
    assert "`connectors` in holdgate.yaml" in (refused.value.remedy or "")


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("read()", "read", r"bad\.py:1\d: .*parentheses"),
        ('"""Look one record up."""', "...", r"bad\.py:1\d: Tool bad_lookup"),
    ],
)
def test_a_mistake_in_a_tool_is_named_with_the_file_of_its_author(
    tmp_path: Path, right: str, wrong: str, says: str
) -> None:
    """A forgotten pair of parentheses is told with its line, a missing docstring with its file."""
    written(tmp_path, "bad", MODULE.format(name="bad").replace(right, wrong))
    with pytest.raises(StartupError, match=says):
        load_connectors(["bad.py"], tmp_path)


@pytest.mark.parametrize("source", ["absent.py", "./empty", "no.such.module"])
def test_a_source_that_is_not_there_stops_the_start(tmp_path: Path, source: str) -> None:
    """A misspelt source must not silently mean fewer tools."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(StartupError):
        load_connectors([source], tmp_path)


def test_two_connectors_of_one_name_stop_the_start(tmp_path: Path) -> None:
    """Their tools would be indistinguishable in policies and on the ledger."""
    written(tmp_path, "one")
    written(tmp_path, "again", MODULE.format(name="one"))
    with pytest.raises(StartupError, match="Two connectors are named one"):
        load_connectors(["one.py", "again.py"], tmp_path)


# -- what is published


class Reserved(Input):
    reason: str


class Which(Input):
    which: str


class Hidden(Input):
    token: SecretStr


class Excluded(Input):
    which: Annotated[str, Field(exclude=True)]


@pytest.mark.parametrize(
    ("connector", "says"),
    [
        (connector_with(Hidden), "token is hidden"),
        (connector_with(Excluded), "which is hidden"),
        (connector_with(Reserved), "reserved"),
        (connector_with(Which, risk=Risk.HIGH), "HIGH write without a preview"),
        (connector_with(Which, name="get", function="action"), "built-in"),
    ],
)
def test_an_unsafe_tool_stops_the_start(connector: Connector, says: str) -> None:
    """A HIGH write has a preview, no tool takes a name of the gateway's, and every argument shows (I-5, H-1)."""
    with pytest.raises(StartupError, match=says):
        Catalogue([connector])


def test_all_unsafe_tools_are_named_at_once() -> None:
    """An operator mends a configuration in one round, not in three."""
    with pytest.raises(StartupError) as raised:
        Catalogue([connector_with(Reserved, name="one"), connector_with(Reserved, name="two")])
    assert len(raised.value.problems) == 2


def test_writes_get_the_control_arguments_and_reads_do_not() -> None:
    """I-3: models can only set arguments, so what controls a write is one; a dry run only where there is a preview."""
    assert set(CONTROLS) <= set(CATALOGUE.published("shop_refund").input_schema["properties"])
    assert "dry_run" not in CATALOGUE.published("shop_note").input_schema["properties"]
    assert set(CATALOGUE.published("shop_lookup").input_schema["properties"]) == {"invoice"}
    assert CATALOGUE.published("shop_refund").input_schema["required"] == ["invoice"]


def test_the_hints_say_what_a_tool_does() -> None:
    """Clients prompt, or not, by these."""
    hints = {name: CATALOGUE.published(name).annotations for name in ("shop_lookup", "shop_refund", "shop_note")}
    assert hints["shop_lookup"]["readOnlyHint"] is True
    assert hints["shop_refund"]["destructiveHint"] is True
    assert hints["shop_note"]["destructiveHint"] is False
    assert all(len(each) == 4 for each in hints.values())


def test_the_hash_moves_with_the_promise_and_not_with_the_gateway() -> None:
    """T-1: another description or argument is another tool; the same source gives the same hash."""
    first, same = Catalogue([connector_with(Which)]), Catalogue([connector_with(Which)])
    assert first.tools["edge_act"].schema_hash == same.tools["edge_act"].schema_hash != ""

    class More(Input):
        which: str
        more: str = ""

    assert Catalogue([connector_with(More)]).tools["edge_act"].schema_hash != first.tools["edge_act"].schema_hash


def test_the_built_in_tools_are_published_like_any_other() -> None:
    """H-9: get_action waits at most 25 seconds, below the shortest client timeout that allows waiting."""
    assert list(own_tools.PUBLISHED) == list(own_tools.INPUTS) == sorted(own_tools.INPUTS)
    wait = own_tools.PUBLISHED["get_action"].input_schema["properties"]["wait_seconds"]
    assert (wait["minimum"], wait["maximum"]) == (0, 25)
    assert own_tools.PUBLISHED["cancel_action"].annotations["readOnlyHint"] is False


def test_a_description_that_is_too_long_stops_the_start() -> None:
    """VS Code cuts above 1,024 characters."""
    connector = Connector("wordy", base_url="https://wordy.example")

    class Any_(Input):
        x: Annotated[str, Field(max_length=5)] = ""

    async def talk(args: Any, upstream: Any) -> Any: ...

    talk.__doc__ = "word " * 300
    talk.__annotations__ = {"args": Any_, "upstream": Upstream, "return": Sentence}
    connector.read()(talk)
    with pytest.raises(StartupError, match="at most 1024"):
        Catalogue([connector])
