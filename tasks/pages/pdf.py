"""report.pdf: a report typeset by Typst.

Here: the only importer of Typst, which comes with the extra `pdf`; import this module only to make
a report.pdf. The template reads nothing but its values, and Typst never reads a word of a report as
code, so that a report can open no file and no connection. Typst brings its fonts; fonts for other
scripts come from the machine. Not here: the document (`pages.document`), DOCX (`pages.word`).
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import typst

from prefect_llm_reports.tasks.contract.errors import FormatFailed
from prefect_llm_reports.tasks.pages.document import Document
from prefect_llm_reports.tasks.pages.parts import Part, Run

TEMPLATE = Path(__file__).parents[1] / "templates/pdf/report.typ"
CONTENTS_SECTIONS, CONTENTS_CHARS = 5, 8000
MAX_CHARS = 400_000
"""A longer report is refused because Typst would need minutes and gigabytes."""

_LONG = re.compile(r"\S{40,}")
_SEAMS = re.compile(r"(?<=[/?&=_.,;:-])(?=\w)|(?<=\S{30})(?=\S{10})")


def pdf_of(document: Document) -> bytes:
    """Typeset a document; equal documents give equal bytes on one machine.

    Raises:
        FormatFailed: The document is too long, or Typst cannot typeset it.
    """
    report = json.dumps(_values(document), ensure_ascii=False)
    if len(report) > MAX_CHARS:
        raise FormatFailed(
            f"report.pdf: the report has more than {MAX_CHARS:,} characters; use the other formats"
        )
    try:
        made = typst.compile(
            TEMPLATE,
            root=TEMPLATE.parent,
            font_paths=_fonts(),
            sys_inputs={"report": report},
            timestamp=document.created,
            format="pdf",
        )
    except BaseException as error:
        # A panic inside Typst is a bare BaseException.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise FormatFailed(f"report.pdf: Typst gave up ({_first_line(error)})") from None
    assert isinstance(made, bytes)
    return made


@cache
def _fonts() -> Any:
    """The fonts, found once, because the search takes longer than typesetting."""
    return typst.Fonts()


def _values(document: Document) -> dict[str, Any]:
    created = datetime.fromtimestamp(document.created, UTC) if document.created else None
    title = document.title
    parts = [_part(part) for part in document.parts]
    long = sum(len(part.text) for part in document.parts) > CONTENTS_CHARS
    return {
        "title": _breakable(title),
        "short": title if len(title) <= 90 else f"{title[:89]}…",
        "topic": _breakable(document.topic),
        "facts": document.facts,
        "summary": [_breakable(paragraph) for paragraph in document.summary],
        "banner": document.banner,
        "closing": document.closing,
        "rightwards": document.rightwards,
        "contents": long and len(document.sections) >= CONTENTS_SECTIONS,
        "created": created and {"year": created.year, "month": created.month, "day": created.day},
        "parts": parts,
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "kind": part.kind,
        "text": _breakable(part.text) if part.kind == "code" else "",
        "runs": [_run(run) for run in part.runs],
        "parts": [_part(inner) for inner in part.parts],
        "level": part.level,
        "start": part.start,
        "checked": part.checked,
        "rows": [[[_run(run) for run in cell] for cell in row] for row in part.rows],
        "aligned": part.aligned,
    }


def _run(run: Run) -> dict[str, Any]:
    return {"text": _breakable(run.text), "styles": sorted(run.styles), "link": run.link}


def _breakable(text: str) -> str:
    """Allow line breaks within very long words, such as addresses."""
    return _LONG.sub(lambda word: _SEAMS.sub("\u200b", word[0]), text)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200]
