"""Wide tables, long code and long words stay on the page of a PDF, and lose no word."""

from __future__ import annotations

import io
import re
from collections import Counter

import pypdf
import pytest

from prefect_llm_reports.tasks.contract.reports import Draft, Refined, Topic
from prefect_llm_reports.tasks.pages.columns import columns_of
from prefect_llm_reports.tasks.pages.document import document_of
from prefect_llm_reports.tasks.pages.parts import parts_of
from prefect_llm_reports.tasks.pages.pdf import pdf_of
from prefect_llm_reports.tasks.pages.word import docx_of
from tests.harness.markdown import sanitized_html

MARGIN = 70
CELLS = (
    "{n:,}",
    "`package.module.function_name_{n}(argument)`",
    "A sentence that says what it is about",
    "潮力発電は月の重力で動く",
    "Unternehmensberatungsgesellschaften",
)


def table(columns: int, rows: int = 3, only: str = "") -> str:
    """A table whose cells hold numbers, code, prose, Japanese and long words in turn."""
    lines = [[f"Head {c}" for c in range(columns)], ["---"] * columns]
    for row in range(rows):
        cells = [only or CELLS[c % len(CELLS)] for c in range(columns)]
        lines.append([cell.format(n=1000 * row + c) for c, cell in enumerate(cells)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def pdf(text: str) -> pypdf.PdfReader:
    refined = Refined(
        topic=Topic(title="Wide"),
        drafts=(Draft(number=1, parent=None, text=f"# Wide\n\n{text}", score=8),),
        best=1, iterations=1, stop_reason="accepted", created=1_773_468_000, steps=(),
    )  # fmt: skip
    document = document_of(refined, "S.", offline=False)
    assert docx_of(document)
    return pypdf.PdfReader(io.BytesIO(pdf_of(document)))


def pieces(reader: pypdf.PdfReader) -> list[tuple[float, float, float, str]]:
    """Each piece of text with its left edge, its least right edge and the width of its page."""
    found: list[tuple[float, float, float, str]] = []
    for page in reader.pages:
        width = float(page.mediabox.width)

        def note(text: str, cm: list[float], tm: list[float], font: object, size: float) -> None:
            if text.strip():
                left = cm[4] + tm[4] * cm[0]
                widest = max(map(len, text.strip().split("\n")))
                found.append((left, left + widest * abs(size) * 0.3, width, text))  # noqa: B023

        page.extract_text(visitor_text=note)
    return found


@pytest.mark.parametrize("columns", [7, 10, 30])
@pytest.mark.parametrize("around", ["", "> ", "- x\n\n  "])
def test_no_table_leaves_the_page(columns: int, around: str) -> None:
    """Tables are laid out by content, turned or cut; every cell stands within the margins."""
    lines = table(columns).split("\n")
    indent = around if around == "> " else "  " if around else ""
    text = around.removesuffix(indent) + "\n".join(indent + line for line in lines)
    reader = pdf(f"## Above\n\n{text}\n\nBelow.")
    for left, right, width, words in pieces(reader):
        assert MARGIN - 5 <= left <= right <= width - MARGIN + 5, words
    # Cells that stand side by side are read line by line, so letters are counted.
    found = Counter("".join(page.extract_text() for page in reader.pages))
    signs = Counter(
        sign for line in (lines[0], *lines[2:]) for sign in line if re.match("[A-Za-z0-9]", sign)
    )
    assert not signs - found


def test_a_table_has_the_layout_that_its_words_need() -> None:
    """A small one is as wide as its words, a wide one has a turned page, a huge one is cut."""

    def layout(text: str, depth: int = 0) -> list[tuple[int, bool, float]]:
        [part] = parts_of(sanitized_html(text))
        found = columns_of(part, depth)
        assert all(sum(one.widths) <= (700.1 if one.turned else 453.1) for one in found)
        return [(len(one.places), one.turned, one.size) for one in found]

    assert layout(table(3, only="ab")) == [(3, False, 9.5)]
    assert layout(table(7, only="12")) == [(7, False, 9.5)]
    assert layout(table(6, only="Some words that may well be wrapped")) == [(6, False, 8.5)]
    assert layout(table(8, only="Transformationen sind hier"))[0][1] is True
    assert layout(table(8, only="Transformationen sind hier"), depth=1)[0][1] is False
    cut = layout(table(24, only="Transformationen sind hier"))
    assert len(cut) > 2
    assert not any(turned for _, turned, _ in cut)


def test_a_heading_stands_on_the_turned_page_of_its_table() -> None:
    """No heading is left alone on the page before a table that is turned."""
    reader = pdf(f"## Above\n\n{table(8, only='Transformationen sind hier')}\n\nBelow.")
    turned = [page for page in reader.pages if page.mediabox.width > page.mediabox.height]
    assert len(turned) == 1
    assert "Above" in turned[0].extract_text()


def test_thirty_thousand_words_make_a_pdf() -> None:
    """The bound is on the text, whatever its styles add to it."""
    text = "\n\n".join(f"## {n}\n\n" + "some **words** more and `x` " * 60 for n in range(100))
    assert len(text.split()) > 30_000
    assert len(pdf(text).pages) > 30


def test_long_words_wrap_wherever_they_stand() -> None:
    """Code in a line, addresses, headings and long lists stay within the margins."""
    name = "a_very_long_name." * 12
    text = (
        f"`{name}`\n\n## {'W' * 70}\n\n- - - `{name}`\n\nhttps://example.org/{name}\n\n{'ب' * 900}"
    )
    for left, right, width, words in pieces(pdf(text)):
        assert MARGIN - 5 <= left <= right <= width - MARGIN + 5, words


def test_a_drawing_is_code_with_its_language_named() -> None:
    """Mermaid and its like are shown as code, with the language before it, in every format."""
    html = sanitized_html("```mermaid\ngraph TD; A-->B\n```\n\n```python\nx\n```")
    assert '<p class="language">mermaid</p>\n<pre' in html
    assert "python" not in html
    assert [part.text for part in parts_of(html)] == ["mermaid", "graph TD; A-->B", "x"]
