"""report.pdf: a report typeset by Typst; its only importer.

Typst comes with the extra `pdf`: import this module only when a report.pdf is wanted. The
template is this package's own and reads nothing but the values it is handed: no word of a report
is ever read as Typst, so it can open no file and no connection. Fonts are those that come with
Typst; scripts that they lack are taken from the machine, where it has them.
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
"""A longer report is not typeset: it would take minutes and gigabytes."""

_LONG = re.compile(r"\S{40,}")
_SEAMS = re.compile(r"(?<=[/?&=_.,;:-])(?=\w)|(?<=\S{30})(?=\S{10})")


def pdf_of(document: Document) -> bytes:
    """Typeset a document; equal documents give equal bytes on one machine.

    Raises:
        FormatFailed: It is too long, or Typst could not typeset it.
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
        # What goes wrong inside Typst arrives as a bare BaseException.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise FormatFailed(f"report.pdf: Typst gave up ({_first_line(error)})") from None
    assert isinstance(made, bytes)
    return made


@cache
def _fonts() -> Any:
    """The fonts, looked for once: searching the machine takes longer than typesetting."""
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
    """Let very long words, such as addresses, go on in the next line."""
    return _LONG.sub(lambda word: _SEAMS.sub("\u200b", word[0]), text)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200]
