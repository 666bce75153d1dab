"""One file read: its format by its ending, its text as passages.

This runs in a process of its own (`child`), so it imports nothing of Prefect or pydantic. Not here:
which files are read (`finding`), what reads each format (`*_file`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import NamedTuple

from prefect_llm_reports.tasks.sources.csv_file import read_csv
from prefect_llm_reports.tasks.sources.html_file import read_html
from prefect_llm_reports.tasks.sources.markdown_file import read_markdown
from prefect_llm_reports.tasks.sources.pdf_file import read_pdf
from prefect_llm_reports.tasks.sources.pieces import Reading, Unreadable
from prefect_llm_reports.tasks.sources.text_file import read_text
from prefect_llm_reports.tasks.sources.word_file import read_word
from prefect_llm_reports.tasks.sources.workbook_file import read_workbook


class _Format(NamedTuple):
    kind: str
    read: Callable[[bytes], Reading]


_MARKDOWN = _Format("markdown", read_markdown)
_HTML = _Format("html", read_html)
_TEXT = _Format("text", read_text)
_CSV = _Format("csv", read_csv)
_WORKBOOK = _Format("xlsx", read_workbook)
FORMATS = {
    ".md": _MARKDOWN,
    ".markdown": _MARKDOWN,
    ".txt": _TEXT,
    ".text": _TEXT,
    ".html": _HTML,
    ".htm": _HTML,
    ".xhtml": _HTML,
    ".csv": _CSV,
    ".tsv": _CSV,
    ".pdf": _Format("pdf", read_pdf),
    ".docx": _Format("docx", read_word),
    ".xlsx": _WORKBOOK,
    ".xlsm": _WORKBOOK,
}
"""The formats by ending."""


def ending(name: str) -> str:
    """The ending of a file's name, in small letters.

    Args:
        name: A name, a path or an address.
    """
    return PurePath(name).suffix.lower()


def kind_of(name: str) -> str:
    """The format of a file by its ending; empty: not one that we read.

    Args:
        name: A name, a path or an address.
    """
    found = FORMATS.get(ending(name))
    return found.kind if found else ""


def read(name: str, raw: bytes) -> Reading:
    """Read a file.

    Args:
        name: Its name; the ending decides the format.
        raw: The file as stored.

    Raises:
        Unreadable: With the reason, and the next action.
    """
    if not raw:
        raise Unreadable("empty; give it text, or leave it out")
    found = FORMATS[ending(name)].read(raw)
    if not found.pieces:
        hidden = "; its text is hidden" if found.skipped else ""
        raise Unreadable(f"no text in it{hidden}; leave it out")
    return found
