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


def add_notes(document: Any, kind: str, texts: list[str]) -> None:
    """Give a document a part with notes, whose ids are 2, 3, …; 0 is the line above them."""
    from docx.opc.packuri import PackURI
    from docx.opc.part import Part

    def note(id: int, text: str, attribute: str = "") -> str:
        run = f"<w:r><w:t>{text}</w:t></w:r>"
        return f'<w:{kind} w:id="{id}"{attribute}><w:p>{run}</w:p></w:{kind}>'

    notes = [note(0, "line", ' w:type="separator"'), *(note(n, t) for n, t in enumerate(texts, 2))]
    names = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    body = f"<w:{kind}s {names}>{''.join(notes)}</w:{kind}s>"
    office = "application/vnd.openxmlformats-officedocument.wordprocessingml"
    part = Part(
        PackURI(f"/word/{kind}s.xml"),
        f"{office}.{kind}s+xml",
        body.encode(),
        document.part.package,
    )
    types = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    document.part.relate_to(part, f"{types}/{kind}s")


def mention(paragraph: Any, kind: str, id: int, **about: str) -> Any:
    """Mention a note at the end of a paragraph; the run that does."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    run = paragraph.add_run()._r
    reference = OxmlElement(f"w:{kind}Reference")
    for name, value in {"id": str(id), **about}.items():
        reference.set(qn(f"w:{name}"), value)
    run.append(reference)
    return run


def build_with_notes(document: Any) -> None:
    """A heading, paragraphs and a cell that mention notes, in another order than they are kept."""
    from docx.oxml import OxmlElement

    add_notes(document, "footnote", ["Kept first.", "Mentioned first.", "Deleted.", "Starred."])
    add_notes(document, "endnote", ["At the end."])
    mention(document.add_heading("Costs", 1), "footnote", 3)
    paragraph = document.add_paragraph("It pays.")
    deleted = OxmlElement("w:del")
    deleted.append(mention(paragraph, "footnote", 4))
    paragraph._p.append(deleted)
    mention(paragraph, "footnote", 2)
    mention(paragraph, "endnote", 2)
    mention(paragraph, "footnote", 5, customMarkFollows="1")
    mention(paragraph, "footnote", 77)
    table = document.add_table(2, 2)
    for row, cells in enumerate([("Region", "Sales"), ("North", "12")]):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    mention(table.cell(1, 1).paragraphs[0], "footnote", 2)


def test_notes_stand_behind_what_mentions_them() -> None:
    """With the number that Word gives them; notes that nothing mentions are no text."""
    reading = read_word(word(build_with_notes))
    assert [(p.place, p.text) for p in reading.pieces] == [
        ("Costs, footnote 1", "Mentioned first."),
        ("Costs", "It pays."),
        ("Costs, footnote 2", "Kept first."),
        ("Costs, endnote 1", "At the end."),
        ("Costs, footnote", "Starred."),
        ("Costs", "Region: North; Sales: 12"),
        ("Costs, footnote 3", "Kept first."),
    ]


def test_notes_that_are_numbered_in_another_way_have_no_number() -> None:
    """A place that is not known is not guessed."""

    def build(document: Any) -> None:
        from docx.oxml import OxmlElement

        build_with_notes(document)
        section = document.element.body.sectPr
        numbers = OxmlElement("w:footnotePr")
        numbers.append(OxmlElement("w:numRestart"))
        section.append(numbers)

    places = [piece.place for piece in read_word(word(build)).pieces]
    assert places.count("Costs, footnote") == 4
    assert not any(place[-1].isdigit() for place in places)


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
