"""report.pdf and report.docx hold the whole report, equal for equal inputs, whatever is in it."""

from __future__ import annotations

import io
import re
import time
import zipfile
from typing import Any

import docx
import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_llm_reports.tasks.contract.calls import StepRecord
from prefect_llm_reports.tasks.contract.errors import BadInput, FormatFailed
from prefect_llm_reports.tasks.contract.reports import Critique, Draft, Refined, Topic
from prefect_llm_reports.tasks.pages import pdf, word
from prefect_llm_reports.tasks.pages.document import Document, document_of
from prefect_llm_reports.tasks.pages.parts import Part, parts_of
from prefect_llm_reports.tasks.pages.pdf import pdf_of
from prefect_llm_reports.tasks.pages.word import docx_of
from tests.harness.markdown import sanitized_html
from tests.harness.pace import within

REPORT = """# Tidal power in practice

Intro with **bold**, *em*, ~~gone~~, `code <x>`, a [link](https://example.org/a?b=c) and a
soft break  
hard break. A note[^1].

## Background

3. Third
4. Fourth
   - nested

- [x] done
- [ ] open

> A quote

### Numbers

| Item | Cost |
|:-----|-----:|
| Turbine `x` | 1,200 |

```python
def f(x):
    return "#let x = read(\\"/etc/passwd\\")"
```

---

Straße, Ελληνικά, Русский. #set text(red) $x^2$ @ref <label> \\\\ // comment

[^1]: The note.
"""


def refined(text: str, title: str = "Tidal power") -> Refined:
    critique = Critique(score=8, strengths=[], improvements=[], summary="ok")
    step = StepRecord(
        step="draft", iteration=0, model="model-x", endpoint="e", prompt_digest="p",
        answer_key="a", cached=False, attempts=1, request_id=None, usage=None, cost_usd=None,
    )  # fmt: skip
    return Refined(
        topic=Topic(title=title),
        drafts=(Draft(number=1, parent=None, text=text, score=8, critique=critique),),
        best=1,
        iterations=3,
        stop_reason="accepted",
        created=1_773_468_000,
        steps=(step,),
    )


def document(text: str = REPORT, title: str = "Tidal power") -> Document:
    return document_of(refined(text, title), "In short.\n\nIn other words.", offline=True)


def words_of_pdf(body: bytes) -> str:
    pages = pypdf.PdfReader(io.BytesIO(body)).pages
    return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in pages))


def shown(part: Part) -> list[Any]:
    """A part in short: kind and words, or kind and parts."""
    if part.kind == "table":
        return [part.kind, [["".join(r.text for r in cell) for cell in row] for row in part.rows]]
    return [part.kind, part.text or [shown(inner) for inner in part.parts]]


def test_a_report_is_read_into_its_parts() -> None:
    """Headings, lists, tasks, quotes, tables, code, notes: all arrive, in order."""
    found = document()
    assert (found.title, found.topic) == ("Tidal power in practice", "Tidal power")
    assert found.facts == ("Score 8 of 10", "3 critique rounds", "2026-03-14 06:00 UTC")
    assert found.summary == ("In short.", "In other words.")
    assert "model-x" in found.closing
    assert found.banner
    item = [["paragraph", "Fourth"], ["list", [["item", [["paragraph", "nested"]]]]]]
    assert [shown(part) for part in found.parts][:8] == [
        ["paragraph", "Intro with bold, em, gone, code <x>, a link and a soft break\nhard break."
         " A note[1]."],
        ["heading", "Background"],
        ["list", [["item", [["paragraph", "Third"]]], ["item", item]]],
        ["list", [["item", [["paragraph", "done"]]], ["item", [["paragraph", "open"]]]]],
        ["quote", [["paragraph", "A quote"]]],
        ["heading", "Numbers"],
        ["table", [["Item", "Cost"], ["Turbine x", "1,200"]]],
        ["code", 'def f(x):\n    return "#let x = read(\\"/etc/passwd\\")"'],
    ]  # fmt: skip
    first, numbered, tasks = found.parts[0], found.parts[2], found.parts[3]
    assert numbered.start == 3
    assert [item.checked for item in tasks.parts] == [True, False]
    assert found.parts[6].aligned == ["", "right"]
    styles = {run.text: set(run.styles) for run in first.runs if run.styles}
    assert styles == {
        "bold": {"strong"}, "em": {"em"}, "gone": {"s"}, "code <x>": {"code"}, "[1]": {"sup"},
    }  # fmt: skip
    assert {run.link for run in first.runs} == {"", "#fn1", "https://example.org/a?b=c"}


@pytest.mark.parametrize("make", [pdf_of, docx_of])
def test_equal_reports_give_equal_bytes(make: Any) -> None:
    """Nothing in the file depends on when it was made."""
    first = make(document())
    assert make(document()) == first
    assert make(document(REPORT + "\nmore")) != first


def test_the_pdf_holds_every_word_and_only_the_links(tmp_path: Any) -> None:
    """Words, title and outline are in the PDF; what looks like Typst is shown and never read."""
    body = pdf_of(document())
    reader = pypdf.PdfReader(io.BytesIO(body))
    words = words_of_pdf(body)
    for said in (
        "Tidal power in practice", "Score 8 of 10", "In other words.", "hard break", "Third",
        "nested", "Turbine", "1,200",
        'read(\\"/etc/passwd\\")', "#set text(red)", "@ref <label>",
        "// comment", "Straße, Ελληνικά, Русский", "The note.", "no language model", "1 / 1",
    ):  # fmt: skip
        assert said in words, said
    assert "root:" not in words
    assert reader.metadata
    assert reader.metadata.title == "Tidal power in practice"
    assert [entry["/Title"] for entry in reader.outline if isinstance(entry, dict)]
    links = {
        note.get_object()["/A"]["/URI"]
        for page in reader.pages
        for note in page.get("/Annots", ())
        if "/A" in note.get_object() and "/URI" in note.get_object()["/A"]
    }
    assert links == {"https://example.org/a?b=c"}
    for forbidden in (b"/JavaScript", b"/Launch", b"/EmbeddedFile", b"/OpenAction"):
        assert forbidden not in body


def test_the_docx_holds_every_word_and_only_the_links() -> None:
    """Styles, numbering, table and links are a word processor's own; nothing is fetched."""
    body = docx_of(document())
    file = docx.Document(io.BytesIO(body))
    styles = {p.text: p.style.name for p in file.paragraphs if p.style and p.text}
    assert styles["Tidal power in practice"] == "Title"
    assert styles["Background"] == "Heading 1"
    assert styles["Third"] == "List Number"
    assert styles["nested"] == "List Bullet 2"
    assert styles["☑ done"] == "List Bullet"
    assert styles["A quote"] == "Quote"
    assert [[c.text for c in row.cells] for row in file.tables[0].rows] == [
        ["Item", "Cost"], ["Turbine x", "1,200"],
    ]  # fmt: skip
    names = zipfile.ZipFile(io.BytesIO(body))
    external = [
        target
        for name in names.namelist()
        if name.endswith(".rels")
        for target in re.findall(
            r'Target="([^"]*)"[^>]*TargetMode="External"', names.read(name).decode()
        )
    ]
    assert external == ["https://example.org/a?b=c"]
    assert b'<w:startOverride w:val="3"/>' in names.read("word/numbering.xml")
    assert file.core_properties.title == "Tidal power in practice"


HOSTILE = [
    "![x](file:///etc/passwd) <img src=http://evil.test/x.png> [a](file:///etc/passwd)",
    "> " * 60 + "deep",
    "".join(f"{'  ' * level}- level {level}\n" for level in range(40)),
    "x" * 20_000,
    "| a |" + " b |" * 60 + "\n|---|" + "---|" * 60 + "\n| c |" + " d |" * 60,
    "# \ufffe\uffff\x0b\ud83d half a character",
    "```\n" + "y" * 5000 + "\n```",
    "\u202eright to left\u202c and שלום עולם " * 30,
    "9999999999. far\n",
    "",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_a_model_writes_is_formatted_in_time(text: str) -> None:
    """Deep, long, wide, broken or empty: the formats are made, with no link to a file."""
    with within(10, time.process_time):
        made = document(text, title="T")
        bodies = pdf_of(made), docx_of(made)
    for body in bodies:
        assert b"file:///" not in body
        assert b"/Subtype/Image" not in body.replace(b" ", b"")
        assert b"word/media" not in body


@settings(max_examples=12, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_formatted(text: str) -> None:
    """No text makes a formatter fail."""
    made = document(text or "x", title="T")
    assert pdf_of(made).startswith(b"%PDF")
    assert docx_of(made).startswith(b"PK")


def test_what_would_take_minutes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report beyond bounds is said to be so, in both formats."""
    monkeypatch.setattr(pdf, "MAX_CHARS", 500)
    monkeypatch.setattr(word, "MAX_PARTS", 5)
    with pytest.raises(FormatFailed, match="more than 500 characters"):
        pdf_of(document())
    with pytest.raises(FormatFailed, match="more than 5 parts"):
        docx_of(document())


def test_what_goes_wrong_in_typst_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a panic, which no `except Exception` catches, ends this format only."""

    class PanicException(BaseException):
        pass

    def panics(*arguments: Any, **named: Any) -> bytes:
        raise PanicException("at the disco\nwith a trace")

    monkeypatch.setattr(pdf.typst, "compile", panics)
    with pytest.raises(FormatFailed, match=r"gave up \(at the disco\)$"):
        pdf_of(document())


def test_right_to_left_is_told_from_left_to_right() -> None:
    """A report in Hebrew runs from right to left, one in English does not."""
    assert document("# שלום\n\nשלום עולם").language.rightwards is False
    assert document().language.rightwards is True


def test_reading_forgives_what_the_sanitizer_never_writes() -> None:
    """Text outside of any part becomes a paragraph."""
    assert [shown(part) for part in parts_of("a <b>b</b><p>c</p>")] == [
        ["paragraph", "a b"],
        ["paragraph", "c"],
    ]
    assert parts_of(sanitized_html("")) == []


def test_a_missing_extra_is_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """A format whose library is not installed is refused, with the command that installs it."""
    from prefect_llm_reports.tasks.contract.options import ReportOptions
    from prefect_llm_reports.tasks.reports import checking

    monkeypatch.setattr(checking, "find_spec", lambda name: None)
    with pytest.raises(BadInput) as bad:
        checking._check_makeable(ReportOptions(formats=("pdf", "docx", "pdf")))
    assert len(bad.value.problems) == 2
    assert "pip install 'prefect-llm-reports[pdf]'" in str(bad.value)
    assert "pip install 'prefect-llm-reports[docx]'" in str(bad.value)
