"""Word documents that the tests make: headings, rows, and no text that Word hides."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from prefect_llm_reports.tasks.sources import packed as packed_files
from prefect_llm_reports.tasks.sources.pieces import Unreadable
from prefect_llm_reports.tasks.sources.word_file import read_word
from tests.harness.source_files import word


def build(document: Any) -> None:
    from docx.enum.style import WD_STYLE_TYPE
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn
    from docx.shared import Pt, RGBColor

    def hidden_run(paragraph: Any, change: Any) -> None:
        change(paragraph.add_run(" secret"))

    document.add_paragraph("Before any heading.")
    document.add_heading("Guide", 0)
    document.add_heading("Costs", 1)
    paragraph = document.add_paragraph("Visible words")
    hidden_run(paragraph, lambda run: setattr(run.font, "hidden", True))
    hidden_run(paragraph, lambda run: setattr(run.font.color, "rgb", RGBColor(255, 255, 255)))
    hidden_run(paragraph, lambda run: setattr(run.font.color, "rgb", RGBColor(253, 254, 255)))
    hidden_run(paragraph, lambda run: setattr(run.font, "size", Pt(0.5)))
    unseen = document.styles.add_style("Unseen", WD_STYLE_TYPE.CHARACTER)
    unseen.font.hidden = True
    hidden_run(paragraph, lambda run: setattr(run, "style", unseen))
    paragraph.add_run(" go on.")
    deleted = OxmlElement("w:del")
    deleted.append(paragraph.add_run(" secret")._r)
    paragraph._p.append(deleted)
    inserted = OxmlElement("w:ins")
    inserted.append(paragraph.add_run(" Inserted.")._r)
    paragraph._p.append(inserted)
    dark = document.add_paragraph()
    run = dark.add_run("White on black.")
    run.font.color.rgb = RGBColor(255, 255, 255)
    shading = OxmlElement("w:shd")
    shading.set(qn("w:fill"), "000000")
    dark._p.get_or_add_pPr().append(shading)
    document.add_heading("Table", 2)
    table = document.add_table(3, 2)
    for row, cells in enumerate([("Region", "Sales"), ("North", "12"), ("South", "13")]):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    document.add_heading("Outlook", 1)
    document.add_paragraph("Last.")


def test_paragraphs_and_rows_below_their_headings() -> None:
    """Every paragraph has its headings, every row its number; what Word hides is left out."""
    reading = read_word(word(build))
    assert [(p.place, p.text, p.row) for p in reading.pieces] == [
        ("", "Before any heading.", 0),
        ("Costs", "Visible words go on. Inserted.", 0),
        ("Costs", "White on black.", 0),
        ("Costs > Table", "Region: North; Sales: 12", 2),
        ("Costs > Table", "Region: South; Sales: 13", 3),
        ("Outlook", "Last.", 0),
    ]
    (said,) = reading.skipped
    assert said.startswith("5 words left out")
    assert "(below 1 pt, hidden in Word, white)" in said


def test_files_that_cannot_be_read_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another kind, an old or encrypted file, a damaged one and an archive that swells."""
    monkeypatch.setattr(packed_files, "UNPACKED_MB", 1)
    whole = word(lambda document: document.add_paragraph("x"))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"0" * 1_100_000)
    with zipfile.ZipFile(io.BytesIO(), "w") as archive:
        archive.writestr("a", b"b")
        other = archive.fp
        assert other is not None
    for raw, wanted in {
        b"\xd0\xcf\x11\xe0" + "EncryptedPackage".encode("utf-16-le"): "encrypted",
        b"\xd0\xcf\x11\xe0old": "of an old kind; save it as a Word document",
        b"PK\x03\x04 broken": "damaged, not a Word document",
        whole[: len(whole) // 2]: "damaged",
        packed.getvalue(): "bytes unpacked, a file may have 1 MB",
        other.getvalue(): "not a Word document .* by its content",
    }.items():
        with pytest.raises(Unreadable, match=wanted):
            read_word(raw)
