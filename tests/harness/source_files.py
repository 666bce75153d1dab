"""Source files made from code: PDF, Word, Excel and HTML with known text in known places."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any


def pdf(
    pages: Sequence[str],
    *,
    labels: str = "",
    resources: str = "",
    catalog: str = "",
    objects: Sequence[str] = (),
) -> bytes:
    """A PDF of these pages, each a content stream; fonts `/F1`, further objects from number 100.

    Args:
        pages: Operators of each page.
        labels: The array of page labels.
        resources: Further resources of every page.
        catalog: Further entries of the catalog.
        objects: Further objects, numbered from 100.
    """
    numbered: dict[int, bytes] = {}
    kids = " ".join(f"{10 + 2 * at} 0 R" for at in range(len(pages)))
    named = f"/PageLabels << /Nums [{labels}] >>" if labels else ""
    numbered[1] = f"<< /Type /Catalog /Pages 2 0 R {named} {catalog} >>".encode()
    numbered[2] = f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>".encode()
    numbered[3] = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    for at, content in enumerate(pages):
        numbered[10 + 2 * at] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents {11 + 2 * at} 0 R"
            f" /Resources << /Font << /F1 3 0 R >> {resources} >> >>"
        ).encode()
        body = content.encode()
        numbered[11 + 2 * at] = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(body), body)
    numbered |= {100 + at: one.encode() for at, one in enumerate(objects)}
    out = io.BytesIO()
    out.write(b"%PDF-1.7\n")
    places: dict[int, int] = {}
    for number, body in numbered.items():
        places[number] = out.tell()
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 1\n0000000000 65535 f \n")
    for number, place in places.items():
        out.write(b"%d 1\n%010d 00000 n \n" % (number, place))
    size = max(numbered) + 1
    out.write(b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, start))
    return out.getvalue()


def shown(text: str, *, before: str = "", size: float = 12, at: tuple[int, int] = (50, 700)) -> str:
    """Operators that show a text.

    Args:
        text: The text, without brackets.
        before: Operators before it, such as `3 Tr`.
        size: Of the font.
        at: Where it stands.
    """
    return f"q BT {before} /F1 {size} Tf {at[0]} {at[1]} Td ({text}) Tj ET Q\n"


def word(build: Any) -> bytes:
    """A Word document; `build` gets python-docx's document."""
    from docx import Document

    document = Document()
    build(document)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def workbook(sheets: Mapping[str, Sequence[Sequence[Any]]], change: Any = None) -> bytes:
    """An Excel workbook with these sheets; `change` gets openpyxl's workbook."""
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    if change:
        change(book)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
