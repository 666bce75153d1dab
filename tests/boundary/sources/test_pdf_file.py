"""PDF files that the tests make: every page's label, and no text that a reader does not see."""

from __future__ import annotations

import io
from typing import Any

import pytest

from prefect_llm_reports.tasks.sources.pdf_file import read_pdf
from prefect_llm_reports.tasks.sources.pieces import Unreadable
from tests.harness.source_files import pdf, shown


def texts(raw: bytes) -> list[tuple[str, str]]:
    return [(piece.place, " ".join(piece.text.split())) for piece in read_pdf(raw).pieces]


def test_each_page_has_its_label() -> None:
    """One known paragraph a page stands on the page with its label; without labels, its number."""
    pages = [shown(f"Paragraph {n} of the book.") for n in range(1, 6)]
    labels = "0 << /S /r >> 2 << /S /D >> 4 << /P (A-) /S /D /St 7 >>"
    wanted = ["i", "ii", "1", "2", "A-7"]
    assert texts(pdf(pages, labels=labels)) == [
        (f"page {label}", f"Paragraph {n} of the book.") for n, label in enumerate(wanted, 1)
    ]
    assert [place for place, _ in texts(pdf(pages))] == [f"page {n}" for n in range(1, 6)]


GREEN = "0 0.5 0 rg 0 600 600 200 re f "
FORM = (
    "<< /Type /XObject /Subtype /Form /BBox [0 0 600 800] {} /Length {} >>\nstream\n{}\nendstream"
)


def form(content: str, more: str = "") -> str:
    return FORM.format(f"/Resources << /Font << /F1 3 0 R >> >> {more}", len(content), content)


HIDDEN: dict[str, tuple[str, dict[str, Any]]] = {
    "render mode 3": (shown("secret", before="3 Tr"), {}),
    "render mode 7": (shown("secret", before="7 Tr"), {}),
    "mode set outside of the text": ("q 3 Tr " + shown("secret") + " Q ", {}),
    "white, grey": (shown("secret", before="1 g"), {}),
    "white, RGB": (shown("secret", before="1 1 1 rg"), {}),
    "nearly white": (shown("secret", before="0.98 0.99 1 rg"), {}),
    "white, CMYK": (shown("secret", before="0 0 0 0 k"), {}),
    "white by sc": (shown("secret", before="/DeviceRGB cs 1 1 1 scn"), {}),
    "white outlines": (shown("secret", before="1 Tr 1 G"), {}),
    "half a point": (shown("secret", size=0.5), {}),
    "scaled down": ("q 0.01 0 0 0.01 5 7 cm " + shown("secret") + " Q ", {}),
    "scaled in the text": ("BT /F1 12 Tf 0.01 0 0 0.01 50 600 Tm (secret) Tj ET\n", {}),
    "outside of the page": (shown("secret", at=(50, 1200)), {}),
    "the colour of its background": (GREEN + shown("secret", before="0 0.5 0 rg"), {}),
    "transparent": (
        "q /G gs " + shown("secret") + "Q ",
        {"resources": "/ExtGState << /G << /ca 0 >> >>"},
    ),
    "a layer switched off": (
        "/OC /L BDC " + shown("secret") + "EMC\n",
        {
            "resources": "/Properties << /L 100 0 R >>",
            "catalog": "/OCProperties << /OCGs [100 0 R] /D << /OFF [100 0 R] >> >>",
            "objects": ["<< /Type /OCG /Name (L) >>"],
        },
    ),
    "in a form": (
        "q 1 g /X Do Q\n",
        {"resources": "/XObject << /X 100 0 R >>", "objects": [form(shown("secret"))]},
    ),
    "in an array": ("BT 3 Tr /F1 12 Tf 50 600 Td [(sec) -20 (ret)] TJ ET 0 Tr\n", {}),
    "by a quote": ("BT 3 Tr /F1 12 Tf 50 600 Td 14 TL (secret) ' 1 2 (secret) \" ET 0 Tr\n", {}),
}


@pytest.mark.parametrize("way", HIDDEN)
def test_text_that_is_not_seen_is_left_out(way: str) -> None:
    """Each way of hiding text keeps the text before and after; a warning names the way."""
    content, more = HIDDEN[way]
    page = shown("Seen before.") + content + "0 g " + shown("Seen after.", at=(50, 500))
    reading = read_pdf(pdf([page], **more))
    text = " ".join(piece.text for piece in reading.pieces)
    assert "secret" not in text
    assert "sec" not in text.replace("Seen", "")
    assert text.split() == ["Seen", "before.", "Seen", "after."]
    assert len(reading.skipped) == 1
    assert "secret" not in reading.skipped[0]


SEEN: dict[str, tuple[str, dict[str, Any]]] = {
    "white on a dark ground": (GREEN + shown("seen", before="1 g"), {}),
    "white on a picture": (
        "q 600 0 0 300 0 600 cm /I Do Q " + shown("seen", before="1 g"),
        {
            "resources": "/XObject << /I 100 0 R >>",
            "objects": [
                "<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray"
                " /BitsPerComponent 8 /Length 1 >>\nstream\n0\nendstream"
            ],
        },
    ),
    "the full tint of a single ink": (
        shown("seen", before="/Ink cs 1 scn"),
        {
            "resources": "/ColorSpace << /Ink [/Separation /Black /DeviceGray 100 0 R] >>",
            "objects": ["<< /FunctionType 2 /Domain [0 1] /C0 [1] /C1 [0] /N 1 >>"],
        },
    ),
    "black after white": ("1 g 0 g " + shown("seen"), {}),
    "white restored": ("q 1 g Q " + shown("seen"), {}),
    "scaled up": ("q 20 0 0 20 0 0 cm " + shown("seen", size=0.6, at=(3, 30)) + " Q ", {}),
    "black outlines of white letters": (shown("seen", before="2 Tr 1 g 0 G"), {}),
    "a form that hides what follows": (
        "/X Do " + shown("seen"),
        {"resources": "/XObject << /X 100 0 R >>", "objects": [form("3 Tr 1 g")]},
    ),
}


@pytest.mark.parametrize("way", SEEN)
def test_text_that_is_seen_is_read(way: str) -> None:
    """What only looks like hiding hides nothing."""
    content, more = SEEN[way]
    reading = read_pdf(pdf([content], **more))
    assert "seen" in " ".join(piece.text for piece in reading.pieces)
    assert reading.skipped == []


def test_a_scan_is_read_by_its_layer_of_ocr() -> None:
    """Text without ink over a page's picture is OCR's; it is read, and a warning names it."""
    image = (
        "<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray"
        " /BitsPerComponent 8 /Length 1 >>\nstream\n0\nendstream"
    )
    scan = "q 600 0 0 800 0 0 cm /I Do Q " + shown("Read by OCR.", before="3 Tr")
    more: dict[str, Any] = {"resources": "/XObject << /I 100 0 R >>", "objects": [image]}
    reading = read_pdf(pdf([shown("Typed."), scan], **more))
    assert [(p.place, p.text.strip()) for p in reading.pieces] == [
        ("page 1", "Typed."),
        ("page 2", "Read by OCR."),
    ]
    assert "page 2 is only a picture" in reading.skipped[0]
    with pytest.raises(Unreadable, match="no text layer; run OCR first"):
        read_pdf(pdf(["q 600 0 0 800 0 0 cm /I Do Q "], **more))
    with pytest.raises(Unreadable, match="no text layer; run OCR first"):
        read_pdf(pdf([shown("hidden only", before="3 Tr")]))


def test_files_that_cannot_be_read_say_why() -> None:
    """An encrypted file, a damaged one and one of another kind have their own messages."""
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter()
    writer.append(PdfReader(io.BytesIO(pdf([shown("x")]))))
    writer.encrypt("secret", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    for raw, wanted in {
        out.getvalue(): "encrypted; save it without a password",
        b"%PDF-1.7\nnothing": "damaged",
        b"no PDF at all": "not a PDF by its content",
        pdf([shown("x")])[:300]: "damaged|no text layer",
    }.items():
        with pytest.raises(Unreadable, match=wanted):
            read_pdf(raw)
    writer = PdfWriter()
    writer.append(PdfReader(io.BytesIO(pdf([shown("Open to all.")]))))
    writer.encrypt("", owner_password="owner", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    assert texts(out.getvalue()) == [("page 1", "Open to all.")]
