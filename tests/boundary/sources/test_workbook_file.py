"""Excel workbooks that the tests make: sheets, rows and columns, and no cell that Excel hides."""

from __future__ import annotations

from datetime import date
from typing import Any

from prefect_llm_reports.tasks.sources.workbook_file import read_workbook
from tests.harness.source_files import workbook


def hide(book: Any) -> None:
    from openpyxl.styles import Font, PatternFill

    costs = book["Costs"]
    costs.column_dimensions["C"].hidden = True
    costs.row_dimensions[4].hidden = True
    costs["B3"].number_format = "0.0%"
    costs["A5"].font = Font(color="FFFFFFFF")
    costs["B5"].number_format = ";;;"
    costs["D5"].font = Font(color="FFFFFFFF")
    costs["D5"].fill = PatternFill("solid", fgColor="FF000000")
    book["Hidden"].sheet_state = "hidden"
    book["Very"].sheet_state = "veryHidden"


def test_sheets_rows_and_columns() -> None:
    """One known row a sheet has its sheet, its row and its columns; hidden parts are left out."""
    sheets: dict[str, list[list[Any]]] = {
        "Costs": [
            ["Region", "Sales", "Secret", "Note"],
            ["North", 12, "secret", "first"],
            ["South", 0.125, "secret", date(2026, 3, 1)],
            ["secret", "secret", "secret", "secret"],
            ["secret", "secret", "secret", "on black"],
            [None, 1250000.0, None, True],
        ],
        "Hidden": [["secret"]],
        "Very": [["secret"]],
        "Notes": [[None], ["A single note of the last sheet."]],
    }
    reading = read_workbook(workbook(sheets, hide))
    assert [(p.place, p.row, p.columns, p.text) for p in reading.pieces] == [
        ("sheet Costs", 2, "A to D", "Region: North; Sales: 12; Note: first"),
        ("sheet Costs", 3, "A to D", "Region: South; Sales: 12.5%; Note: 2026-03-01"),
        ("sheet Costs", 5, "A to D", "Note: on black"),
        ("sheet Costs", 6, "A to D", "Sales: 1250000; Note: TRUE"),
        ("sheet Notes", 2, "A", "A single note of the last sheet."),
    ]
    (said,) = reading.skipped
    assert "(format ;;;, hidden column, hidden row, hidden sheet, white)" in said
