"""A page of the documentation, as its readers and these tests see it: its sections, what it shows, where it leads."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Page:
    """One Markdown file.

    Args:
        path: relative to the repository, e.g. `docs/quickstart.md`.
    """

    def __init__(self, path: str) -> None:
        self.path = ROOT / path
        self.text = self.path.read_text(encoding="utf-8")

    def section(self, title: str) -> str:
        """What stands under a heading, up to the next one of its level or above."""
        shown = _FENCED.sub(lambda block: re.sub(r"[^\n]", " ", block[0]), self.text)  # a `#` in a block is no heading
        found = re.search(rf"^(#+) {re.escape(title)}$", shown, re.MULTILINE)
        assert found, f"{self.path.name} has no section {title!r}"
        following = re.compile(rf"^#{{1,{len(found[1])}}} ", re.MULTILINE).search(shown, found.end())
        return self.text[found.end() : following.start() if following else None]

    def blocks(self, language: str, *, under: str | None = None) -> list[str]:
        """The fenced blocks of one language, in order; of one section, or of the page."""
        text = self.text if under is None else self.section(under)
        return [block for named, block in _FENCED.findall(text) if named == language]

    @property
    def prose(self) -> str:
        """The text without its fenced blocks."""
        return _FENCED.sub("", self.text)

    @property
    def anchors(self) -> set[str]:
        """What a link may name after `#`, as GitHub makes it of headings."""
        made: set[str] = set()
        for heading in re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE):
            shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
            plain = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
            same = sum(1 for anchor in made if re.fullmatch(rf"{re.escape(plain)}(-\d+)?", anchor))
            made.add(f"{plain}-{same}" if same else plain)
        return made

    @property
    def links(self) -> list[str]:
        """Where it leads, but for other sites."""
        return [to for to in re.findall(r"\]\(([^)\s]+)\)", self.prose) if not re.match(r"[a-z]+:", to)]


def told(module: ModuleType) -> dict[str, dict[str, str]]:
    """Class -> field -> the text under it in the source; the class's own text is under the empty name."""
    return {
        node.name: {"": ast.get_docstring(node) or "", **dict(_fields(node))}
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.ClassDef)
    }


def _fields(model: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for statement, following in zip(model.body, [*model.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            text = following.value if isinstance(following, ast.Expr) else None
            said = text.value if isinstance(text, ast.Constant) and isinstance(text.value, str) else ""
            yield statement.target.id, " ".join(said.split())
