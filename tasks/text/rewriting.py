"""Markdown edited in its source, where the parse says that something must change.

Here: headings in one outline, links and images that may not stay, HTML and hard breaks written out.
Text that the parse does not account for is escaped; everything else stays byte for byte. Not here:
when a text is edited, and how often (`text.cleaning`).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from markdown_it.token import Token

from prefect_llm_reports.tasks.text.allowed_html import (
    BREAK,
    CLOSE,
    COMMENT,
    DETAILS,
    END,
    OPEN,
    unfolded,
)
from prefect_llm_reports.tasks.text.formulas import Formula
from prefect_llm_reports.tasks.text.markdown import Parsed, allowed, escaped, plain
from prefect_llm_reports.tasks.text.mathematics import tamed
from prefect_llm_reports.tasks.text.tool_marks import has_marks, without_marks

_FORBIDDEN = re.compile(
    r"(?P<break>(?<! ) *(?:<br *\/?> *)+)"
    r"|(?P<slashes>(?<!\\)\\*)(?P<mark><(?=[A-Za-z/!?])|!\[|\]\()"
    r"|(?P<hard>(?<!\\)\\*)(?<! ) {2,}\n"
    r"|(?P<label>^[ \t>]*)\[(?=[^\]\n]{1,999}\]:[ \t\n]*(?!https?://|mailto:)\S)"
    r"|(?<![ \t])[ \t]+\n",
    re.MULTILINE | re.IGNORECASE,
)
_BREAKS = re.compile(r"[ \t]*\\?\n\s*|[ \t]*<br ?/?>[ \t]*", re.IGNORECASE)

Span = tuple[int, int, str | None]
"""Start and end in the source, and the replacement; None keeps the source."""


def revised(tree: Parsed, title: str) -> str:
    """Edit the source of a parsed report.

    Args:
        tree: The report.
        title: The H1 of a report that has none, as Markdown.
    """
    original = tree.text.split("\n")
    lines: list[str | None] = [*original]
    covered = bytearray(len(original) + 1)
    code = bytearray(len(original) + 1)
    leaves: list[Token] = tree.env["leaves"]
    marked = has_marks(tree.text)
    places = _headings_outside_footnotes(leaves)
    root = bool(places) and leaves[places[0]].level == 0
    found = [int(leaves[i].tag[1]) for i in places]
    levels, untitled = _outline(found, root=root, leads=bool(places) and places[0] == 0)
    level_at = dict(zip(places, levels, strict=True))
    footnotes, fresh = 0, False
    for i, token in enumerate(leaves):
        if token.type.startswith("footnote_reference"):
            footnotes += token.nesting
            fresh = token.nesting == 1
        if not token.map:
            continue
        first, last = token.map
        if token.type in ("fence", "code_block"):
            fresh = False
            if not footnotes:
                covered[first:last] = code[first:last] = b"\1" * (last - first)
        elif token.type == "heading_open":
            covered[first:last] = b"\1" * (last - first)
            words = _inline_revised(leaves[i + 1], marked=marked)
            _set_heading(lines, token, leaves[i + 1], words, level_at.get(i, 0))
            fresh = False
        elif token.type == "inline":
            covered[first:last] = b"\1" * (last - first)
            if leaves[i - 1].type != "heading_open":
                before, after = token.content, _inline_revised(token, marked=marked)
                after = _not_a_definition(after) if fresh else after
                if leaves[i - 1].type in ("th_open", "td_open"):
                    if before != after:
                        after = _inline_revised(token, marked=marked, cell=True)
                        _set_cell(lines, first, token, after)
                elif leaves[i - 1].type == "summary_open":
                    _set_summary(lines, first, before, after)
                else:
                    _set_lines(lines, first, before, after)
            fresh = False
        elif token.type in (DETAILS, END):
            covered[first:last] = b"\1" * (last - first)
        elif token.type == COMMENT:
            lines[first:last] = [None] * (last - first)
    for definition in [
        *tree.env.get("references", {}).values(),
        *tree.env.get("duplicate_refs", []),
    ]:
        first, last = definition["map"]
        covered[first:last] = b"\1" * (last - first)
        if not allowed(definition["href"]):
            lines[first:last] = [""] * (last - first)
    kept: list[str] = []
    for i, line in enumerate(lines):
        if line is None:
            continue
        if not covered[i]:
            line = defused(line)
        kept.append(line if code[i] else line.rstrip(" \t"))
    if untitled:
        kept[:0] = [f"# {_heading_text(title)}", ""]
    return "\n".join(kept)


def _headings_outside_footnotes(leaves: list[Token]) -> list[int]:
    """Places of the tokens that open a heading with text in it."""
    places: list[int] = []
    footnotes = 0
    for i, token in enumerate(leaves):
        if token.type.startswith("footnote_reference"):
            footnotes += token.nesting
        elif token.type == "heading_open" and not footnotes and leaves[i + 1].content.strip():
            places.append(i)
    return places


def _outline(found: list[int], *, root: bool, leads: bool) -> tuple[list[int], bool]:
    """The level of every heading in one outline, and whether the report needs an H1."""
    titled = root and (found[0] == 1 or (leads and min(found[1:], default=7) > found[0]))
    levels = [1] if titled else []
    open_levels: list[int] = []
    for level in found[len(levels) :]:
        while open_levels and open_levels[-1] >= level:
            open_levels.pop()
        open_levels.append(level)
        levels.append(min(6, len(open_levels) + 1))
    return levels, not titled


def _heading_text(text: str) -> str:
    """Text of a heading whose last `#`s do not count as a closing mark."""
    return re.sub(r"(^|\s)(#+)$", r"\1\\\2", text)


def _set_heading(
    lines: list[str | None], token: Token, inline: Token, after: str, level: int
) -> None:
    """Write a heading on one line at its level; level 0 makes it plain text."""
    first, last = token.map or (0, 0)
    source = lines[first] or ""
    if token.markup.startswith("#"):
        found = re.search(rf"(?<!#){token.markup}(?=[ \t]|$)", source)
        prefix = source[: found.start()] if found else ""
    else:
        opening = inline.content.split("\n", 1)[0].rstrip(" \t")
        stripped = source.rstrip(" \t")
        prefix = stripped[: len(stripped) - len(opening)] if stripped.endswith(opening) else ""
    prefix = prefix if token.level else ""
    words = _BREAKS.sub(" ", after).strip()
    lines[first] = prefix + (f"{'#' * level} {_heading_text(words)}" if level else words)
    lines[first + 1 : last] = [None] * (last - first - 1)


def _set_lines(lines: list[str | None], first: int, before: str, after: str) -> None:
    """Replace inline text in its lines, and keep the marks of lists and quotes before it."""
    if lines[first] == before.split("\n", 1)[0] and (details := unfolded(before)):
        count = before.count("\n")
        lines[first : first + count + 1] = [details, *[None] * count]
        return
    if before == after:
        return
    pairs = zip(before.split("\n"), after.split("\n"), strict=False)
    for i, (old, new) in enumerate(pairs, first):
        source = lines[i] or ""
        if not source.endswith(old):
            source, old = source.rstrip(" \t"), old.rstrip(" \t")
        if source.endswith(old):
            lines[i] = source[: len(source) - len(old)] + new
        else:
            lines[i] = defused(source)


def _set_cell(lines: list[str | None], row: int, token: Token, after: str) -> None:
    """Replace the text of one table cell in the line of its row."""
    source, old = lines[row] or "", _in_cell(token.content, token.meta.get("formulas", {}))
    at = source.find(old)
    whole = source[:at] + after.replace("\n", " ") + source[at + len(old) :]
    lines[row] = defused(source) if at < 0 else whole


def _set_summary(lines: list[str | None], row: int, before: str, after: str) -> None:
    """Replace the words of a summary in their line."""
    source = lines[row] or ""
    at = source.lower().find("<summary>") + len("<summary>")
    if before != after:
        lines[row] = f"{source[:at]}{after}</summary>"


def _not_a_definition(words: str) -> str:
    """Keep viewers without footnotes from taking a footnote's first word for a link."""
    target, _, rest = words.partition(" ")
    target, newline, more = target.partition("\n")
    if re.match(r"[^:/`]*:", html.unescape(target)) and not allowed(target.strip("<>")):
        target = f"`{target}`" if "`" not in target else ""
        rest, more = (f"\\{t}" if t[:1] in ("'", '"', "(") else t for t in (rest, more))
    return target + newline + more + (" " + rest if rest else "")


def _follows_link(source: str, start: int) -> bool:
    """Whether a bare URL may reach this place; some viewers read on through backticks."""
    before = source[max(0, start - 2000) : start].lower()
    word = before[max(before.rfind(" "), before.rfind("\n")) + 1 :]
    return "://" in word or "www." in word or "@" in word


def _in_cell(text: str, formulas: Mapping[int, Formula]) -> str:
    """The source of a cell with its text: only formulas hold bars that are not escaped."""
    pieces: list[str] = []
    at = 0
    for start, formula in sorted(formulas.items()):
        pieces += [text[at:start].replace("|", "\\|"), formula.source]
        at = start + len(formula.source)
    return "".join([*pieces, text[at:].replace("|", "\\|")])


def _inline_revised(token: Token, *, marked: bool, cell: bool = False) -> str:
    """The source of inline text after its edits; text between the parsed spans is escaped.

    Args:
        token: The text.
        marked: Whether the report may hold citation tokens.
        cell: Whether it stands in a table, where bars outside formulas are escaped.
    """
    source, children = token.content, token.children or []
    if not marked and not cell and len(children) == 1 and children[0].type == "text":
        return defused(source)
    spans = sorted(_spans(token), key=lambda span: span[:2])
    pieces: list[str] = []
    at = 0

    def between(words: str) -> str:
        words = defused(without_marks(words) if marked else words)
        return words.replace("|", "\\|") if cell else words

    for start, end, replacement in spans:
        if start < at:
            continue
        kept = source[start:end]
        pieces.append(between(source[at:start]))
        written = (
            kept
            if replacement is None
            else replacement + "\n" * (kept.count("\n") - replacement.count("\n"))
        )
        formula = start in token.meta.get("formulas", {})
        pieces.append(written.replace("|", "\\|") if cell and not formula else written)
        at = end
    pieces.append(between(source[at:]))
    return "".join(pieces)


def _spans(token: Token) -> Iterator[Span]:
    """Code, links and images of inline text, each with its replacement."""
    source, inside = token.content, False
    for child in token.children or []:
        start, end = child.meta.get("span", (0, 0))
        if child.type == "code_inline":
            if "<" not in source[start:end] or not _follows_link(source, start):
                yield start, end, None
        elif child.type == "formula":
            yield start, end, tamed(source[start:end], source[end:])
        elif child.type in ("footnote_ref", OPEN, CLOSE, BREAK):
            yield start, end, None
        elif child.type == COMMENT:
            yield start, end, ""
        elif child.type == "link_close":
            inside = False
        elif child.type == "link_open":
            inside = True
            href = str(child.attrGet("href") or "")
            if child.markup == "autolink":
                if allowed(href):
                    yield start, end, None
                continue
            tail = child.meta["label_end"]
            label = source[start + 1 : tail]
            if label.strip() and not without_marks(label).strip():
                yield start + 1, tail, escaped(urlsplit(href).hostname or "source")
            if not allowed(href):
                yield start, start + 1, ""
                yield tail, end, ""
            elif "<" in source[tail:end]:
                yield tail, end, f"]({href.replace('(', '%28').replace(')', '%29')})"
            else:
                yield tail, end, None
        elif child.type == "image":
            href = str(child.attrGet("src") or "").replace("(", "%28").replace(")", "%29")
            words = escaped(plain(child.children or []))
            linked = allowed(href) and not inside
            yield start, end, f"[{words or 'image'}]({href})" if linked else words


def defused(text: str) -> str:
    """Escape everything in a text that a parser could take for HTML, an image or a link."""
    angles, brackets = "<" in text, "](" in text or "![" in text or "]:" in text
    if not (angles or brackets or " \n" in text or "\t\n" in text):
        return text

    def escape(found: re.Match[str]) -> str:
        if found["break"] is not None:
            return " "
        if found["hard"] is not None:
            return found["hard"] + ("\n" if len(found["hard"]) % 2 else "\\\n")
        if found["label"] is not None:
            return f"{found['label']}\\["
        if found["mark"] is None:
            return "\n"
        slashes, mark = found["slashes"], found["mark"]
        if len(slashes) % 2 and mark != "<":
            return slashes + mark
        if len(slashes) % 2:
            return slashes[:-1] + "&lt;"
        return slashes + {"<": "&lt;", "![": "\\![", "](": "]\\("}[mark]

    return _FORBIDDEN.sub(escape, text)
