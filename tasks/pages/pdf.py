"""report.pdf: a report typeset by Typst.

Here: the only importer of Typst, which comes with the extra `pdf`; import this module only to make
a report.pdf. The template reads nothing but its values, and Typst never reads a word of a report as
code, so that a report can open no file and no connection. Typst brings fonts for Latin, Greek and
Cyrillic letters; fonts for other scripts come from the machine, and `characters_without_font` says
what is missing. Not here: the document (`pages.document`), DOCX (`pages.word`).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

import typst

from prefect_llm_reports.tasks.contract.errors import FormatFailed
from prefect_llm_reports.tasks.pages.columns import columns_of
from prefect_llm_reports.tasks.pages.document import Document
from prefect_llm_reports.tasks.pages.fonts import families
from prefect_llm_reports.tasks.pages.parts import Part, Run
from prefect_llm_reports.tasks.pages.typst_math import typst_of
from prefect_llm_reports.tasks.text.foreign import shown
from prefect_llm_reports.tasks.text.language import Language

TEMPLATE = Path(__file__).parents[1] / "templates/pdf/report.typ"
MAX_CHARS = 400_000
MAX_RUNS = 40_000
"""A report with more text or more changes of style is refused because Typst would need minutes."""

_LONG = re.compile(r"[!-~\u00a1-\u052f]{40,}")
_SEAMS = re.compile(r"(?<=[/?&=_.,;:-])(?=\w)|(?<=\S{30})(?=\S{10})")
_ENDLESS = re.compile(
    r"[^\s!-~\u00a1-\u052f\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\U0003ffff]{120,}"
)
_SIGN = re.compile(r"[/?&=_.,;:)\]}-]")
SEAM = "\u200b"
TITLE_WORD, HEADING_WORD = 20, 28
"""Characters of a word that fit on a line of the title, and of a heading."""


def pdf_of(document: Document) -> bytes:
    """Typeset a document; equal documents give equal bytes on one machine.

    Raises:
        FormatFailed: The document is too long, or Typst cannot typeset it.
    """
    chars, runs = _size(document.parts)
    title, closing = (document.title, document.topic, document.banner), document.closing
    around = (*title, *document.facts, *document.summary, closing)
    chars += sum(map(len, around))
    for count, most, what in ((chars, MAX_CHARS, "characters"), (runs, MAX_RUNS, "runs of words")):
        if count > most:
            raise FormatFailed(
                f"report.pdf: the report has more than {most:,} {what}; use the other formats"
            )
    values = _values(document)
    try:
        return _typeset(values, document.created)
    except FormatFailed:
        if not _without_formulas(values):
            raise
        return _typeset(values, document.created)


def _typeset(values: dict[str, Any], created: int) -> bytes:
    try:
        made = typst.compile(
            TEMPLATE,
            root=TEMPLATE.parent,
            font_paths=_fonts(),
            sys_inputs={"report": json.dumps(values, ensure_ascii=False)},
            timestamp=created,
            format="pdf",
        )
    except BaseException as error:
        # A panic inside Typst is a bare BaseException.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise FormatFailed(f"report.pdf: Typst gave up ({_first_line(error)})") from None
    assert isinstance(made, bytes)
    return made


def _without_formulas(value: Any) -> bool:
    """Show formulas as code; whether there were any."""
    if isinstance(value, list | tuple):
        return sum(map(_without_formulas, cast("list[Any]", value))) > 0
    if not isinstance(value, dict):
        return False
    named = cast("dict[str, Any]", value)
    if named.get("math"):
        named.update(math=None, display=False, styles=["code"])
        return True
    return sum(map(_without_formulas, named.values())) > 0


@cache
def _fonts() -> Any:
    """The fonts, found once, because the search takes longer than typesetting."""
    return typst.Fonts()


def characters_without_font(document: Document) -> str:
    """The characters of a document that no font of this machine has, each once.

    Args:
        document: The report; its PDF shows an empty box for each of these characters.
    """
    parts = (document.title, document.topic, *document.summary, *_texts(document.parts))
    used = {sign for text in parts if not text.isascii() for sign in text}
    return "".join(sorted(_without_font("".join(sorted(s for s in used if s > "\u024f")))))


def _size(parts: Sequence[Part]) -> tuple[int, int]:
    """Characters, and runs of words in one style."""
    chars = runs = 0
    for part in parts:
        inner = _size(part.parts)
        own = [*part.runs, *(run for row in part.rows for cell in row for run in cell)]
        cells = sum(map(len, part.rows))
        chars += inner[0] + sum(len(run.text) for run in own)
        runs += inner[1] + len(own) + cells
    return chars, runs


def _texts(parts: Sequence[Part]) -> Iterator[str]:
    for part in parts:
        yield part.text
        yield from ("".join(run.text for run in cell) for row in part.rows for cell in row)
        yield from _texts(part.parts)


@lru_cache(maxsize=64)
def _without_font(signs: str) -> frozenset[str]:
    """Typst names each character without a glyph when the PDF shall be one for archives."""
    printed = [s for s in signs if s.isprintable() and not unicodedata.combining(s)]
    if not printed:
        return frozenset()
    try:
        typst.compile(
            b"#for s in json(bytes(sys.inputs.signs)) [#text(s) \n]",
            font_paths=_fonts(),
            sys_inputs={"signs": json.dumps(printed)},
            format="pdf",
            pdf_standards="a-2b",
        )
    except typst.TypstError as error:
        said = str(getattr(error, "diagnostic", error))
        return frozenset(found for found in printed if f'`"{found}"` could not' in said)
    return frozenset()


def _values(document: Document) -> dict[str, Any]:
    created = datetime.fromtimestamp(document.created, UTC) if document.created else None
    title = document.title
    parts = list(_with_turned(document.parts))
    return {
        "title": _breakable(title, TITLE_WORD),
        "short": title if len(title) <= 90 else f"{title[:89]}…",
        "topic": _breakable(document.topic),
        "facts": document.facts,
        "keywords": document.keywords,
        "description": document.description,
        "heading": [_run(run, longest=TITLE_WORD) for run in document.heading],
        "summary": [[_run(run) for run in runs] for runs in document.summarized],
        "banner": document.banner,
        "closing": document.closing,
        **_language(document.language),
        "contents": [
            {"anchor": anchor, "runs": [_run(run) for run in runs]}
            for anchor, runs in document.contents
        ],
        "created": created and {"year": created.year, "month": created.month, "day": created.day},
        "parts": parts,
    }


def _language(language: Language) -> dict[str, Any]:
    base, *more = language.tag.split("-")
    script = next((one for one in more if len(one) == 4), "")
    region = next((one for one in more if len(one) == 2), "")
    return {
        "lang": base,
        "script": script.lower(),
        "region": region.lower(),
        "rightwards": language.rightwards,
        "fonts": families(language, _fonts().families()),
    }


def _part(part: Part, depth: int = 0) -> dict[str, Any]:
    # Typst sets a table's head on each page, but an anchor must stand in one place.
    again = part.rows[0] if part.rows else []
    repeated = [run.anchor for cell in again for run in cell if run.anchor]
    longest = HEADING_WORD if part.kind == "heading" else 0
    return {
        "kind": part.kind,
        "text": _breakable(part.text) if part.kind == "code" else "",
        "runs": [_run(run, longest=longest) for run in part.runs],
        "parts": [_part(inner, depth + (part.kind != "item")) for inner in part.parts],
        "level": part.level,
        "start": part.start,
        "checked": part.checked,
        "tables": _tables(part, depth) if part.rows else [],
        "anchors": [part.anchor, *repeated] if part.anchor else repeated,
    }


def _with_turned(parts: Sequence[Part]) -> Iterator[dict[str, Any]]:
    """The parts; a heading just above a table on a turned page goes with the table."""
    headings: list[dict[str, Any]] = []
    for part in parts:
        made = _part(part)
        if part.kind == "heading":
            headings.append(made)
            continue
        turned = any(table["turned"] for table in made["tables"])
        if turned:
            yield {**_part(Part("quote")), "kind": "turned", "parts": [*headings, made]}
        else:
            yield from headings
            yield made
        headings = []
    yield from headings


def _tables(part: Part, depth: int) -> list[dict[str, Any]]:
    """A table as it fits on a page; a very wide one becomes several."""
    tables: list[dict[str, Any]] = []
    named: set[int] = set()
    for columns in columns_of(part, depth):
        rows = [
            [
                [
                    _run(run, named=y > 0 and place not in named, longest=most)
                    for run in (row[place] if place < len(row) else [])
                ]
                for place, most in zip(columns.places, columns.most, strict=True)
            ]
            for y, row in enumerate(part.rows)
        ]
        named.update(columns.places)
        sides = [*part.aligned, *[""] * len(part.rows[0])]
        tables.append(
            {
                "rows": rows,
                "aligned": [sides[place] for place in columns.places],
                "widths": columns.widths,
                "size": columns.size,
                "turned": columns.turned,
            }
        )
    return tables


def _run(run: Run, *, named: bool = True, longest: int = 0) -> dict[str, Any]:
    return {
        "text": run.text if run.math else _breakable(run.text, longest),
        "styles": sorted(run.styles),
        "link": run.link,
        "anchor": run.anchor if named else "",
        "math": typst_of(run.math) if run.math else None,
        "display": run.math is not None and run.math.attributes.get("display") == "block",
    }


def _breakable(text: str, longest: int = 0) -> str:
    """Allow line breaks within very long words, such as addresses.

    Args:
        text: Words.
        longest: Characters of a word that fit on a line; 0: many.
    """
    if longest:
        text = _long(longest).sub(lambda word: _cut(word[0], longest), text)
    else:
        text = _LONG.sub(lambda word: _SEAMS.sub(SEAM, word[0]), text)
    return _ENDLESS.sub(lambda word: _cut(word[0], 60), text)


@cache
def _long(longest: int) -> re.Pattern[str]:
    return re.compile(rf"[!-~\u00a1-\u052f]{{{longest + 1},}}")


def _cut(word: str, longest: int) -> str:
    """A word in pieces that fit on a line, rather after a sign than within letters."""
    pieces: list[str] = []
    while len(word) > longest:
        signs = [m.end() for m in _SIGN.finditer(word, longest // 2, longest)]
        at = signs[-1] if signs else longest
        pieces.append(word[:at])
        word = word[at:]
    return SEAM.join([*pieces, word])


def _first_line(error: BaseException) -> str:
    return shown(str(error).strip().partition("\n")[0])
