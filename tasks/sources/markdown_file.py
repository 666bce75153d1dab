"""Markdown: paragraphs, code and rows of tables, each with the headings above it.

Read line by line, since a parser of the whole syntax takes ten times as long. Here: blocks, and
HTML inside. Not here: what HTML hides (`visibility`), the Markdown of reports (`text.markdown`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from prefect_llm_reports.tasks.sources.html_file import Elements
from prefect_llm_reports.tasks.sources.pieces import Headings, Piece, Reading
from prefect_llm_reports.tasks.sources.rows import row_pieces
from prefect_llm_reports.tasks.sources.text_file import decoded
from prefect_llm_reports.tasks.sources.unseen import Unseen

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*\Z")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*\Z")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_RULE = re.compile(r" {0,3}(?:(?:\*[ \t]*){3,}|(?:_[ \t]*){3,}|(?:-[ \t]*){3,})\Z")
_DEFINITION = re.compile(r" {0,3}\[(?!\^)([^\]]+)\]:[ \t]*(<[^>]*>|\S+)[ \t]*(.*)\Z")
_DELIMITER_ROW = re.compile(r" {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*\Z")
_NEW_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+")
_QUOTED = re.compile(r" {0,3}> ?")
_CELL_END = re.compile(r"(?<!\\)\|")
_LINK = re.compile(
    r"!?\[((?:[^\[\]\\]|\\.)*)\]\((?:<[^>]*>|[^()\s]*(?:\([^()]*\)[^()\s]*)*)"
    r"(?:\s+(\"[^\"]*\"|'[^']*'|\([^()]*\)))?\s*\)"
)
_ELEMENT = re.compile(r"<(?!(?:https?|mailto|ftp):|[\w.+-]+@)[A-Za-z!?/]")
_CODE = re.compile(
    r"^ {0,3}(`{3,}|~{3,})[^\n]*\n.*?(?:^ {0,3}\1[`~]*[ \t]*$|\Z)"
    r"|(?<!`)(`+)(?!`)[^\n]*?(?<!`)\2(?!`)",
    re.M | re.S,
)
_HELD = re.compile("\ue000(\\d+)\ue001")
_AUTOLINK = re.compile(r"<((?:https?|mailto|ftp):[^\s<>]*|[\w.+-]+@[\w.-]+)>")


def read_markdown(raw: bytes) -> Reading:
    """The blocks of a Markdown file.

    Args:
        raw: The file.

    Raises:
        Unreadable: It is not a text.
    """
    unseen = Unseen()
    text = unseen.clean(decoded(raw).replace("\ue000", "").replace("\ue001", ""))
    if _ELEMENT.search(text):
        text = _without_elements(text, unseen)
    pieces = list(_Blocks(text, unseen).pieces())
    return Reading(pieces, unseen.said())


class _Words(Elements):
    """Keeps the text between elements that a reader sees."""

    def __init__(self, text: str, unseen: Unseen) -> None:
        super().__init__(text, unseen)
        self.texts: list[str] = []

    def seen(self, text: str) -> None:
        self.texts.append(text)


def _without_elements(text: str, unseen: Unseen) -> str:
    """Markdown without HTML: elements are taken out, and so is the text that they hide."""
    held: list[str] = []

    def hold(found: re.Match[str]) -> str:
        held.append(found[0])
        return f"\ue000{len(held) - 1}\ue001"

    text = _AUTOLINK.sub(r"\1", _CODE.sub(hold, text))
    words = _Words(text, unseen)
    words.feed(text)
    words.close()
    return _HELD.sub(lambda found: held[int(found[1])], "".join(words.texts))


class _Blocks:
    """The blocks of a text, line by line."""

    def __init__(self, text: str, unseen: Unseen) -> None:
        self._lines = text.split("\n")
        self._unseen = unseen
        self._headings = Headings()
        self._open: list[str] = []
        self._tables = 0

    def pieces(self) -> Iterator[Piece]:
        """All pieces, in order."""
        lines, at = self._lines, self._after_front_matter()
        while at < len(lines):
            line = lines[at]
            at += 1
            if not line or line.isspace():
                yield from self._flush()
                continue
            if line[0] in " >" and (quoted := _QUOTED.match(line)):
                line = line[quoted.end() :]
            sign = line.lstrip()[:1]
            if sign == "#" and (found := _ATX.match(line)):
                yield from self._flush()
                self._begin(len(found[1]), found[2] or "")
            elif sign in "`~" and (found := _FENCE.match(line)):
                yield from self._flush()
                end = self._end_of_code(at, found[1])
                code = "\n".join(lines[at:end]).strip("\n")
                if code.strip():
                    yield Piece(code, self._headings.place)
                at = end + 1
            elif sign in "=-" and self._open and (found := _UNDERLINE.match(line)):
                title, self._open = self._open[-1], self._open[:-1]
                yield from self._flush()
                self._begin(1 if found[1][0] == "=" else 2, title)
            elif sign in "*_-" and _RULE.match(line):
                yield from self._flush()
            elif sign == "[" and not self._open and (found := _DEFINITION.match(line)):
                self._define(found)
            elif "|" in line and at < len(lines) and _DELIMITER_ROW.match(lines[at]):
                yield from self._flush()
                end = self._end_of_table(at)
                yield from self._rows([line, *lines[at + 1 : end]])
                at = end
            else:
                self._open.append(line)
        yield from self._flush()

    def _after_front_matter(self) -> int:
        """The first line after a head of settings between two lines of dashes."""
        if self._lines[0].rstrip() != "---":
            return 0
        for at, line in enumerate(self._lines[1:200], 1):
            if line.rstrip() in ("---", "..."):
                head = "\n".join(self._lines[1:at])
                self._open = [head] if head.strip() else []
                self._lines[at] = ""
                return at
        return 0

    def _begin(self, level: int, title: str) -> None:
        self._tables = 0
        self._headings(level, re.sub(r"[*_`]+", "", self._plain(title)))

    def _flush(self) -> Iterator[Piece]:
        if not self._open:
            return
        lines, self._open = self._open, []
        parts: list[str] = []
        for line in lines:
            if parts and not _NEW_ITEM.match(line):
                parts[-1] += f" {line.strip()}" if "\n" not in line else line
            else:
                parts.append(line.strip())
        text = self._plain("\n".join(parts))
        if text.strip():
            yield Piece(text.strip(), self._headings.place)

    def _define(self, found: re.Match[str]) -> None:
        """Leave out the definition of a link; one that leads nowhere is a comment."""
        if found[2] in ("#", "<>"):
            self._unseen(f"{found[1]} {found[3]}", "comment")
        elif found[3]:
            self._unseen(found[3], "link title")

    def _plain(self, text: str) -> str:
        """A text with the words of its links, without their addresses and titles."""
        if "](" not in text:
            return text

        def words(found: re.Match[str]) -> str:
            if found[2]:
                self._unseen(found[2], "link title")
            return found[1]

        return _LINK.sub(words, _LINK.sub(words, text))  # a picture may stand in a link

    def _end_of_code(self, at: int, fence: str) -> int:
        for end in range(at, len(self._lines)):
            line = self._lines[end].strip()
            if line.startswith(fence) and not line.strip(fence[0]):
                return end
        return len(self._lines)

    def _end_of_table(self, at: int) -> int:
        end = at + 1
        while end < len(self._lines) and "|" in self._lines[end]:
            end += 1
        return end

    def _rows(self, lines: list[str]) -> Iterator[Piece]:
        self._tables += 1
        place = self._headings.place
        if self._tables > 1:
            place = f"{place}, table {self._tables}" if place else f"table {self._tables}"
        rows = [self._cells(line) for line in lines]
        yield from row_pieces(enumerate(rows, 1), place, header=True)

    def _cells(self, line: str) -> list[str]:
        inner = line.strip()
        inner = inner.removeprefix("|")
        if inner.endswith("|") and not inner.endswith("\\|"):
            inner = inner[:-1]
        return [self._plain(cell).replace("\\|", "|").strip() for cell in _CELL_END.split(inner)]
