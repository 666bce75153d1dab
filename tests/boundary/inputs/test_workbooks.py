"""Excel's own files, as openpyxl writes them."""

from __future__ import annotations

import io
import sys
import zipfile
from datetime import date
from typing import Any

import pytest
from openpyxl import Workbook

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.inputs import workbooks
from prefect_llm_reports.tasks.inputs.queries import read_queries
from prefect_llm_reports.tasks.inputs.topics import ColumnNames, gather_topics


def workbook(*rows: list[Any], hidden: list[list[Any]] | None = None) -> bytes:
    book = Workbook()
    sheet: Any = book.active
    if hidden is not None:
        for row in hidden:
            sheet.append(row)
        sheet.sheet_state = "hidden"
        sheet = book.create_sheet()
    for row in rows:
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def problem_of(raw: bytes) -> str:
    with pytest.raises(BadInput) as bad:
        gather_topics(None, ("t.xlsx", raw))
    return bad.value.problems[0]


def test_topics_of_a_workbook() -> None:
    """The first visible sheet is a table like one in CSV: header, empty cells, further columns."""
    raw = workbook(
        [None, None, None],
        ["Title", "Guidance", "Owner", None],
        ["Tidal power", "for CTOs", "Ada", None],
        [1984, None, "Bob"],
        [None, "", None],
        hidden=[["title"], ["Secret"]],
    )
    found, warnings = gather_topics(None, ("t.xlsx", raw))
    assert [(topic.title, topic.guidance) for topic in found] == [
        ("Tidal power", "for CTOs"),
        ("1984", ""),
    ]
    assert ([topic.row for topic in found], warnings) == ([{"Owner": "Ada"}, {"Owner": "Bob"}], [])
    named = workbook(["Thema", "Hinweise"], ["Rust", "kurz"])
    found, _ = gather_topics(None, ("t.xlsx", named), ColumnNames("thema", "hinweise"))
    assert [(topic.title, topic.guidance) for topic in found] == [("Rust", "kurz")]


def test_queries_of_a_workbook() -> None:
    """Inputs are texts as people see them: whole numbers, days, yes and no."""
    raw = workbook(["city", "year", "since", "large"], ["Rome", 1960.0, date(2026, 3, 1), True])
    assert [value for _, value in read_queries("q.xlsx", raw)] == [
        {"city": "Rome", "year": "1960", "since": "2026-03-01", "large": "TRUE"}
    ]


def test_bad_workbooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no workbook, or no table of topics, is refused in a sentence."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("other.txt", "x")
    for raw, wanted in {
        b"title\nRust\n": "t.xlsx: not an Excel workbook; save it as .xlsx again",
        packed.getvalue(): "t.xlsx row 1: not readable as a workbook (KeyError); open it in Ex",
        b"\xd0\xcf\x11\xe0": "t.xlsx: an old or password-protected Excel file; save it as .xlsx",
        workbook(["name", "notes"], ["Rust", "x"]): "t.xlsx row 1: no column title (or topic), f",
        workbook(["title"], ["Rust"], ["#REF!"]): "t.xlsx row 3: a cell shows the error #REF!;",
        workbook(["title"], [None], ["Rust"]): "t.xlsx row 2: the title is blank",
        workbook(): "t.xlsx: no topics in the file",
    }.items():
        assert problem_of(raw).startswith(wanted)
    monkeypatch.setattr(workbooks, "UNPACKED_MB", 0)
    assert "bytes unpacked, a workbook may have 0 MB" in problem_of(workbook(["title"], ["Rust"]))


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without openpyxl the message says how to install it, or what to do without it."""
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    said = problem_of(workbook(["title"], ["Rust"]))
    assert "pip install 'prefect-llm-reports[xlsx]', or save the file as CSV UTF-8" in said
