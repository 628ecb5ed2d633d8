"""Strict YAML: what a reader sees is what is loaded, and every problem has its line."""

import contextlib
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from gateway.documents import Document, load, parse
from gateway.errors import StartupError


class Server(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    host: str = "localhost"
    port: int = 1


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    planned: ClassVar[frozenset[str]] = frozenset({"telepathy"})
    name: str
    value: Any = None
    number: float = 0.0
    flag: bool = False
    servers: tuple[Server, ...] = ()
    by_name: dict[str, Server] = {}
    either: Server | None = None


def read(text: str | bytes) -> Document[Settings]:
    content = text.encode() if isinstance(text, str) else text
    return parse(content, Settings, Path("holdgate.yaml"))


def refused(text: str | bytes) -> StartupError:
    with pytest.raises(StartupError) as caught:
        read(text)
    return caught.value


def test_a_document_knows_its_value_and_its_lines(tmp_path: Path) -> None:
    """A loaded document gives typed values, and the line of every key and item."""
    path = tmp_path / "holdgate.yaml"
    path.write_text("# who we are\nname: acme\nservers:\n  - host: a\n  - host: b\n    port: 8\n")
    document = load(path, Settings)
    assert document.value.servers[1] == Server(host="b", port=8)
    assert [document.line("name"), document.line("servers", 1, "port"), document.line("servers", 1)] == [2, 6, 5]


def test_the_line_of_what_is_not_written_is_the_line_of_what_is_around_it() -> None:
    """A default has no line of its own; its parent's is told."""
    assert read("name: x\nservers:\n  - host: a\n").line("servers", 0, "port") == 3


@pytest.mark.parametrize(
    "word",
    [
        "on",
        "off",
        "yes",
        "no",
        "Yes",
        "True",
        "12:30",
        "0777",
        "1_000",
        "2024-01-01",
        "0x10",
        "+1",
        ".5",
        ".inf",
        "<<",
        "=",
    ],
)
def test_words_that_only_look_like_values_stay_text(word: str) -> None:
    """YAML 1.1's booleans, sexagesimal and octal numbers and dates do not bite."""
    assert read(f"name: {word}").value.name == word


@pytest.mark.parametrize(
    ("text", "value"),
    [("12", 12), ("-3", -3), ("1.5", 1.5), ("1e3", 1000.0), ("true", True), ("null", None), ("'1'", "1")],
)
def test_json_scalars_are_what_json_says(text: str, value: object) -> None:
    """A plain scalar is a number, a boolean or null where JSON would say so."""
    loaded = read(f"name: x\nvalue: {text}").value.value
    assert loaded == value
    assert type(loaded) is type(value)


def test_a_word_is_no_boolean_and_a_text_is_no_number() -> None:
    """Types are strict: `yes` is not true, `"1"` is not 1."""
    problems = refused("name: x\nflag: yes\nservers:\n  - port: '1'\n").problems
    assert [problem.line for problem in problems] == [2, 4]


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    """One run names every problem, each with its line, and the text has a line for each."""
    error = refused("nmae: x\nservers:\n  - hots: a\n    port: x\n")
    assert [(problem.line, problem.message) for problem in error.problems] == [
        (1, "`name` is missing."),
        (1, "`nmae` is not a known key."),
        (3, "`hots` is not a known key."),
        (4, "`servers.0.port` must be a whole number."),
    ]
    assert len(str(error).splitlines()) == 4


@pytest.mark.parametrize("place", ["servers:\n  - hots: a", "by_name:\n  a:\n    hots: a", "either:\n  hots: a"])
def test_an_unknown_key_is_answered_with_the_closest_known_one(place: str) -> None:
    """The remedy names the key that was probably meant, wherever the model stands."""
    assert refused(f"name: x\n{place}\n").remedy == "Did you mean `host`?"


def test_an_unknown_key_like_no_other_is_answered_with_all_known_ones() -> None:
    """Without a close match, the remedy lists what there is."""
    assert refused("name: x\neither: {zzz: 1}\n").remedy == "Known here: host, port."


def test_a_planned_key_is_refused_as_not_built_yet() -> None:
    """A key that has no effect is never ignored."""
    assert refused("name: x\ntelepathy: 1\n").message == "`telepathy` is planned, but not built yet."


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "The file is empty."),
        ("# only a comment\n", 1, "The file is empty."),
        ("name: x\nname: y\n", 2, "`name` is given twice; first on line 1."),
        ("name: x\nby_name:\n  a: {host: x, host: y}\n", 3, "`host` is given twice; first on line 3."),
        ("name: &a x\n", 1, "Anchors and aliases are not used here."),
        ("name: x\nvalue: *a\n", 2, "Anchors and aliases are not used here."),
        ("name: x\nvalue: !!python/object/apply:os.system [ls]\n", 2, "The tag tag:yaml.org,2002:python/object"),
        ("name: x\nservers:\n\t- host: a\n", 3, "A tab is used for layout."),
        ("name: x\n---\nname: y\n", 2, "A second document starts here."),
        ("name: [x\n", 2, "This is not YAML"),
        ("? [a]\n: x\n", 1, "A key must be one word or text."),
        ("- a\n", 1, "`The document` must be"),
        ("name: x\nvalue: 9007199254740992\n", 2, "9007199254740992 is too large a number."),
        ("name: x\nvalue: 1e999\n", 2, "1e999 is too large a number."),
        ('name: "\\ud800"\n', 1, "A \\ud800-\\udfff escape is half a character."),
        ("name: x # \u202e\n", 1, "The invisible character U+202E"),
        ("name: x\nvalue: allo\u00adw\n", 2, "The invisible character U+00AD"),
        ("name: x\nvalue: a\u2028host: b\n", 2, "The invisible character U+2028"),
        ("name: x\n# \U000e0041\n", 2, "The invisible character U+E0041"),
        ("name: x\nvalue: a\x07b\n", 2, "Character U+0007 is not allowed."),
    ],
)
def test_what_is_not_plain_yaml_is_refused_with_its_line(text: str, line: int, message: str) -> None:
    """Whatever could read as something else than it is stops the load and says where."""
    problem = refused(text).problems[0]
    assert (problem.line, problem.message[: len(message)]) == (line, message)
    assert problem.file == "holdgate.yaml"


def test_bytes_that_are_not_utf8_are_refused_with_their_line() -> None:
    """The encoding is never guessed."""
    error = refused(b"name: x\nvalue: \xff\n")
    assert (error.line, error.message) == (2, "This is not UTF-8.")


def test_an_alias_bomb_is_refused_before_it_is_expanded() -> None:
    """Aliases are seen as events, so ten lines cannot become gigabytes."""
    bomb = "a: &a [x]\n" + "".join(
        f"{name}: &{name} [*{last},*{last}]\n" for last, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert refused(bomb).message == "Anchors and aliases are not used here."


def test_deep_nesting_is_refused() -> None:
    """Depth is bounded before anything recurses into it."""
    assert "nested deeper" in refused("name: " + "[" * 5000).message


def test_a_huge_file_is_refused() -> None:
    """Size is bounded."""
    assert "larger than" in refused("name: x\n" + "#" * 1_000_001).message


def test_a_missing_file_is_a_startup_error(tmp_path: Path) -> None:
    """A file that cannot be read is told like any other problem."""
    with pytest.raises(StartupError, match="cannot be read"):
        load(tmp_path / "none.yaml", Settings)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_load_or_raise_a_startup_error(content: bytes) -> None:
    """No input makes the reader fail in another way."""
    with contextlib.suppress(StartupError):
        read(content)
