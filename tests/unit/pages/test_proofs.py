"""Proof of notes on pages and in documents: quotation, place, verdict, passage, doubtful first."""

from __future__ import annotations

import re
from typing import Any

from prefect_llm_reports.tasks.contract.evidence import (
    Claim,
    Evidence,
    EvidenceCount,
    Number,
    Passage,
    Source,
)
from prefect_llm_reports.tasks.pages.proofs import (
    by_number,
    evidence_values,
    numbers_of,
    proofs_of,
    with_proofs,
    with_words,
)
from prefect_llm_reports.tasks.text.cleaning import cleaned
from prefect_llm_reports.tasks.text.html import html_of

TEXT = """# T

Verified.[^7] Wrong.[^b] Elsewhere.[^c] Own.[^own] Again.[^7]

[^7]: s1-1 "exact words of it"
[^b]: s1-1 "words of no passage"
[^c]: s1-1 "other words over here"
[^own]: own
"""
EVIL = "<script>alert(1)</script>"
SOURCES = tuple(
    Source(id=f"s{n}", name=f"{name}", location=name, sha256="", bytes=1, kind="pdf")
    for n, name in enumerate(("a.pdf", f"b{EVIL}.md"), 1)
)
PASSAGES = (
    Passage(
        id="s1-1", source="s1", place="page iv", text=f"See exact words of it. {EVIL}", sha256=""
    ),
    Passage(id="s2-1", source="s2", text="Some other words over here.", sha256=""),
)


def claim(sentence: str, note: str, quote: str, verdict: Any, **more: Any) -> Claim:
    return Claim(sentence=sentence, note=note, passage="s1-1", quote=quote, verdict=verdict, **more)


CLAIMS = (
    claim("Verified.", "7", "exact words of it", "verified", start=4, end=21, support="partly",
          reason=f"Nearly {EVIL}"),
    claim("Wrong.", "b", "words of no passage", "absent",
          numbers=(Number(text="12", found=False),)),
    claim("Elsewhere.", "c", "other words over here", "misattributed", found_in="s2-1"),
    Claim(sentence="Own.", note="own", verdict="own"),
    Claim(sentence="Bare.", verdict="none"),
    claim("Again.", "7", "exact words of it", "verified", start=4, end=21, support="partly",
          reason=f"Nearly {EVIL}"),
)  # fmt: skip
EVIDENCE = Evidence(
    slug="t",
    sources=SOURCES,
    passages=PASSAGES,
    claims=CLAIMS,
    counts=EvidenceCount(sentences=6, coverage=5 / 6, verified=2, doubtful=2),
)
PARSED = cleaned(TEXT, "T")
BODY = html_of(PARSED, with_title=False)
PROOFS = by_number(proofs_of(EVIDENCE), numbers_of(PARSED))


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def note(html: str, number: int) -> str:
    found = re.search(rf'<li id="fn{number}".*?</li>', html, re.S)
    assert found
    return found[0]


def test_each_note_shows_verdict_place_and_passage() -> None:
    """Quotation, title, place and verdict are in words; the passage has the quotation marked."""
    page = with_proofs(BODY, PROOFS)
    assert (
        "Found word for word in a.pdf, page iv . A judge's opinion: supported in part: Nearly"
        in (text_of(note(page, 1)))
    )
    assert "See <mark>exact words of it</mark>. &lt;script&gt;" in note(page, 1)
    assert note(page, 1).count('class="proof"') == 1, "equal verdicts on one note are said once"
    wrong = text_of(note(page, 2))
    assert "Not found in any passage; the number 12 stands in no source ." in wrong
    assert "The passage" not in wrong
    moved = note(page, 3)
    assert "Not in the passage it names, but in another" in text_of(moved)
    assert "<mark>other words over here</mark>" in moved
    assert "knowledge or judgement" in text_of(note(page, 4))
    assert "<script" not in page


def test_each_mention_shows_its_passage_and_is_described_by_its_note() -> None:
    """Pointing at a mention shows the passage; a doubtful one looks so; others have the note."""
    page = with_proofs(BODY, PROOFS)
    mentions = re.findall(r'<sup class="footnote-ref( doubtful)?"><a (.*?)>.*?</sup>', page)
    assert [bool(doubtful) for doubtful, _ in mentions] == [False, True, True, False, False]
    ids = re.findall(r'aria-describedby="(proof-\d)"', page)
    assert ids == ["proof-1", "proof-2", "proof-3", "proof-4", "proof-1"]
    assert all(page.count(f'<div id="{one}">') == 1 for one in ids)
    assert page.count('<span class="seen" aria-hidden="true">') == 5


def test_documents_have_the_proof_in_words() -> None:
    """In PDF and DOCX a note ends with its place and its verdict."""
    page = with_words(BODY, PROOFS)
    assert text_of(note(page, 1)).startswith(
        's1-1 "exact words of it" a.pdf, page iv: Found word for word.'
    )
    assert "mark" not in page
    assert "<script" not in page


def test_doubtful_claims_stand_first() -> None:
    """The tab lists doubtful claims before the others, each group in the order of the report."""
    values = evidence_values(EVIDENCE)
    assert [one["sentence"] for one in values["claims"]] == [
        *("Wrong.", "Elsewhere.", "Verified.", "Own.", "Bare.", "Again."),
    ]
    assert (values["coverage"], values["doubtful"], values["verified"]) == ("83%", 2, 2)
    assert [one["state"] for one in values["claims"]][:4] == ["doubt", "doubt", "good", "own"]
    assert values["claims"][4]["verdict"] == "No note"
    assert evidence_values(None) == {}


def test_wrong_offsets_mark_nothing() -> None:
    """Offsets beyond the passage leave it unmarked instead of failing the page."""
    broken = EVIDENCE.model_copy(update={"claims": (CLAIMS[0].model_copy(update={"end": 999}),)})
    (proof,) = proofs_of(broken)
    assert (proof.before, proof.quoted) == ("", "")
    assert with_proofs(BODY, by_number([proof], numbers_of(PARSED)))
