"""Footnotes and links within a report lead to their places in every format."""

from __future__ import annotations

import io
import re

import docx
import pypdf

from prefect_llm_reports.tasks.contract.reports import Draft, Refined, Topic
from prefect_llm_reports.tasks.pages.document import document_of
from prefect_llm_reports.tasks.pages.pdf import pdf_of
from prefect_llm_reports.tasks.pages.report import report_html
from prefect_llm_reports.tasks.pages.word import docx_of

_FILLER = "Words that fill the page and say nothing of importance. " * 30
TEXT = f"""# Notes

See [the costs](#costs-und-überblick) and [nothing](#nowhere). One.[^a] Two.[^b] One again.[^a]

## A heading with a note[^b]

| head[^a] | b |
| --- | --- |
| cell[^c] | d |

- item[^c]

{_FILLER}

## Costs und Überblick

{_FILLER}

{"".join(f"## Section {n}{chr(10) * 2}{_FILLER}{chr(10) * 2}" for n in range(5))}
[^a]: First note.

[^b]: Second note, see [^a].

[^c]: Third note

    in two paragraphs.
"""


def _refined() -> Refined:
    return Refined(
        topic=Topic(title="Notes"),
        drafts=(Draft(number=1, parent=None, text=TEXT, score=8),),
        best=1,
        iterations=1,
        stop_reason="accepted",
        created=1_773_468_000,
        steps=(),
    )


def test_a_second_mention_has_its_notes_number_in_html() -> None:
    """All mentions of a note show one number; the note leads back to each of them."""
    html = report_html(_refined(), "S.", offline=False)
    body = html[html.index("<article") :]
    mentions = re.findall(r'<a href="#fn(\d+)" id="(fnref[^"]+)"[^>]*>\[([^]]+)\]</a>', body)
    assert [(note, shown) for note, _, shown in mentions[:3]] == [
        ("1", "1"),
        ("2", "2"),
        ("1", "1"),
    ]
    assert all(note == shown for note, _, shown in mentions)
    back = re.findall(r'href="#(fnref[^"]+)" class="footnote-backref" aria-label="([^"]+)"', body)
    assert sorted(place for place, _ in back) == sorted(place for _, place, _ in mentions)
    labels = [label for place, label in back if re.match(r"fnref1\b", place)]
    assert len(labels) == len(set(labels)) == 4
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_links_within_a_report_work_in_pdf_and_docx() -> None:
    """Mentions lead to notes, notes back to mentions, links to headings; a dead link is plain."""
    document = document_of(_refined(), "S.", offline=False)
    pages = pypdf.PdfReader(io.BytesIO(pdf_of(document))).pages
    links = [a.get_object() for page in pages for a in page.get("/Annots", ())]
    inner = [link["/Dest"] for link in links if "/Dest" in link]
    file = docx.Document(io.BytesIO(docx_of(document)))
    xml = file.element.xml
    anchors = re.findall(r'<w:hyperlink [^>]*w:anchor="([^"]+)"', xml)
    places = re.findall(r'<w:bookmarkStart [^>]*w:name="([^"]+)"', xml)
    mentions = TEXT.count("[^") - 3
    sections = TEXT.count("\n## ")
    assert len(anchors) == 2 * mentions + 1 + sections, "mentions, ways back, a link, the contents"
    targets = {(place[0].idnum, float(place[2]), float(place[3])) for place in inner}
    assert len(targets) == len(set(anchors)) == mentions + 3 + sections
    assert set(anchors) <= set(places)
    assert len(places) == len(set(places))
    assert all(re.fullmatch(r"[a-z_][a-z_0-9]{0,39}", place) for place in places)
