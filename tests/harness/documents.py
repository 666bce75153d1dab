"""Markdown pages of the project as their readers see them: links, anchors, examples, commands.

Here: taking a page apart. Not here: what has to hold of the parts (`test_documents_*.py`
in `tests/boundary/harness`).
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.harness import ROOT

FOLDERS = ("flows", "tasks", "deployments", "tests")


@dataclass(frozen=True)
class Page:
    """One Markdown file.

    Args:
        path: Where it is.
    """

    path: Path

    @property
    def name(self) -> str:
        """The page by its path in the project."""
        return str(self.path.relative_to(ROOT))

    @cached_property
    def text(self) -> str:
        """The page as it is written."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def _tokens(self) -> list[Token]:
        return MarkdownIt("commonmark").enable("table").parse(self.text)

    def _inline(self) -> Iterator[Token]:
        for token in self._tokens:
            yield from token.children or ()

    @cached_property
    def links(self) -> list[str]:
        """The targets of all links and pictures."""
        found = [token.attrGet("href") or token.attrGet("src") for token in self._inline()]
        return [str(target) for target in found if target]

    @cached_property
    def code(self) -> list[str]:
        """Everything that is set as code within a sentence or a table."""
        return [token.content for token in self._inline() if token.type == "code_inline"]

    @cached_property
    def anchors(self) -> set[str]:
        """The anchors of the headings, as GitHub makes them."""
        seen: Counter[str] = Counter()
        found: set[str] = set()
        for token, inside in zip(self._tokens, self._tokens[1:], strict=False):
            if token.type == "heading_open":
                words = "".join(part.content for part in inside.children or ())
                anchor = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
                found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
                seen[anchor] += 1
        return found

    def blocks(self, language: str) -> list[str]:
        """The code blocks of a language, in order."""
        return [t.content for t in self._tokens if t.type == "fence" and t.info == language]

    @cached_property
    def commands(self) -> list[list[str]]:
        """Every command that is shown at a prompt, as its words without variables before it."""
        lines = [line for block in self.blocks("sh") for line in block.splitlines()]
        for block in self.blocks("console"):
            lines += [line[2:] for line in block.splitlines() if line.startswith("$ ")]
        found: list[list[str]] = []
        for line in lines:
            for part in re.split(r" && |(?<=.) > ", line.split("   #")[0]):
                words = shlex.split(part)
                while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                    words.pop(0)
                if words:
                    found.append(words)
        return found


def pages() -> list[Page]:
    """Every Markdown page of the project, README.md first."""
    found = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.md"))]
    return [page(path) for path in (ROOT / "README.md", *found)]


@cache
def page(path: str | Path) -> Page:
    """The page with a path in the project; it is taken apart once.

    Args:
        path: From the root of the project, or whole.
    """
    return Page(ROOT / path)
