"""Proof of a report's notes, as readers see it: quotation, source, place, verdict in words.

Here: what is added to the HTML of footnotes and their mentions, and the list of claims. Not here:
what checking found (`citations`), the pages around it (`report`, `reader`, `document`).
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prefect_llm_reports.tasks.contract.evidence import Claim, Evidence, Passage
from prefect_llm_reports.tasks.text.markdown import Parsed, well_formed

VERDICTS = {
    "verified": "Found word for word",
    "misattributed": "Not in the passage it names, but in another",
    "absent": "Not found in any passage",
    "unknown": "Names no passage that there is",
    "own": "The writer's own knowledge or judgement",
    "none": "No quotation",
}
"""Verdicts of code in words."""
OPINIONS = {
    "supported": "supported",
    "partly": "supported in part",
    "not_supported": "not supported",
    "contradicted": "contradicted",
    "not_judged": "not judged",
}
"""Opinions of the judge in words."""
NO_NOTE = "No note"
AROUND = 280
"""Characters on each side of a quotation that a hovering passage shows."""

_MENTION = re.compile(
    r'(<sup class="footnote-ref"><a href="#(?:s-)?fn(\d+)" id="[^"]*"[^>]*)(>\[\d+\]</a>)(</sup>)'
)
_NOTE = re.compile(r'(<li id="(?:s-)?fn(\d+)" class="footnote-item">)(.*?)(</li>)', re.S)
_WAY_BACK = re.compile(r'(\s*<a href="#[^"]*" class="footnote-backref")')


@dataclass(frozen=True)
class Proof:
    """What is known of one claim.

    Attributes:
        claim: The record.
        verdict: Code's verdict in words, with what is wrong.
        where: Source and place of the passage that holds the quotation; empty: none does.
        before: The passage up to the quotation.
        quoted: The quotation as it stands in the passage.
        after: The rest of the passage.
        opinion: The judge's opinion in words; empty: it was not asked.
    """

    claim: Claim
    verdict: str
    where: str = ""
    before: str = ""
    quoted: str = ""
    after: str = ""
    opinion: str = ""

    @property
    def state(self) -> str:
        """`good`, `doubt` or `own`, for the look."""
        if self.claim.doubtful:
            return "doubt"
        return "good" if self.claim.verdict == "verified" else "own"


def proofs_of(evidence: Evidence) -> list[Proof]:
    """The proof of each claim, in the order of the report.

    Args:
        evidence: The report's evidence.
    """
    passages = {passage.id: passage for passage in evidence.passages}
    names = {source.id: source.name for source in evidence.sources}

    def named(id: str | None) -> str:
        passage = passages.get(id or "")
        if passage is None:
            return ""
        return ", ".join(filter(None, (names.get(passage.source, passage.source), passage.place)))

    return [
        _proof(claim, passages, named(claim.passage), named(claim.found_in))
        for claim in evidence.claims
    ]


def _proof(claim: Claim, passages: Mapping[str, Passage], named: str, found: str) -> Proof:
    said = VERDICTS[claim.verdict] if claim.note or claim.verdict != "none" else NO_NOTE
    missing = [number.text for number in claim.numbers if number.nowhere]
    if claim.remark and claim.verdict in ("unknown", "none"):
        said = f"{said}: {claim.remark}"
    if missing:
        noun = "the number" if len(missing) == 1 else "the numbers"
        stand = "stands" if len(missing) == 1 else "stand"
        said += f"; {noun} {', '.join(missing)} {stand} in no source"
    opinion = ""
    if claim.support != "not_judged":
        opinion = OPINIONS[claim.support] + (f": {claim.reason}" if claim.reason else "")
    passage = passages.get((claim.found_in if found else claim.passage) or "")
    text = passage.text if passage else ""
    start, end = claim.start, claim.end
    if found and start is None and claim.quote in text:  # offsets are kept of the named passage
        start = text.find(claim.quote)
        end = start + len(claim.quote)
    if start is None or end is None or not 0 <= start < end <= len(text):
        start = end = 0
    where = found or (named if claim.verdict == "verified" else "")
    return Proof(claim, said, where, text[:start], text[start:end], text[end:], opinion)


def numbers_of(source: Parsed) -> dict[str, int]:
    """The number under which each note is shown, by its label.

    Args:
        source: The report, parsed.
    """
    found: dict[str, int] = {}
    for token in source.tokens:
        for child in token.children or ():
            if child.type == "footnote_ref":
                label = child.meta.get("label")
                if label is not None:
                    found.setdefault(str(label), int(child.meta["id"]) + 1)
    return found


def by_number(proofs: Sequence[Proof], numbers: Mapping[str, int]) -> dict[int, list[Proof]]:
    """The proofs of each note that the page shows, those of equal verdict once.

    Args:
        proofs: Of all claims.
        numbers: The notes' numbers by their labels.
    """
    found: dict[int, list[Proof]] = {}
    for proof in proofs:
        number = numbers.get(proof.claim.note)
        if number is None:
            continue
        known = found.setdefault(number, [])
        if (proof.verdict, proof.opinion) not in [(one.verdict, one.opinion) for one in known]:
            known.append(proof)
    return found


def with_proofs(body: str, proofs: Mapping[int, Sequence[Proof]], english: str = "") -> str:
    """The HTML of a report with the proof of each note, and its passage at each mention.

    Args:
        body: HTML that is safe.
        proofs: By the notes' numbers.
        english: Attributes of elements with English words.
    """

    def mention(found: re.Match[str]) -> str:
        known = proofs.get(int(found[2]))
        if not known:
            return found[0]
        state = " doubtful" if any(one.state == "doubt" for one in known) else ""
        link = f'{found[1]} aria-describedby="proof-{found[2]}"{found[3]}'
        link = link.replace('class="footnote-ref"', f'class="footnote-ref{state}"', 1)
        return f"{link}{_hovering(known[0], english)}{found[4]}"

    def note(found: re.Match[str]) -> str:
        known = proofs.get(int(found[2]))
        if not known:
            return found[0]
        said = "".join(_in_note(one, english) for one in known)
        shown = _whole_passage(known[0], english)
        described = f'<div id="proof-{found[2]}">{said}</div>'
        return f"{found[1]}{found[3]}{described}{shown}{found[4]}"

    return _MENTION.sub(mention, _NOTE.sub(note, body))


def with_words(body: str, proofs: Mapping[int, Sequence[Proof]]) -> str:
    """The HTML of a report with the proof of each note as words of the note, for documents.

    Args:
        body: HTML that is safe.
        proofs: By the notes' numbers.
    """

    def note(found: re.Match[str]) -> str:
        known = proofs.get(int(found[2]))
        if not known:
            return found[0]
        said = " ".join(f"{_where(one)}{one.verdict}." for one in known)
        words = f" <em>{html.escape(well_formed(said), quote=False)}</em>"
        inner, count = _WAY_BACK.subn(lambda back: f"{words}{back[1]}", found[3], count=1)
        return f"{found[1]}{inner if count else found[3] + words}{found[4]}"

    return _NOTE.sub(note, body)


def _where(proof: Proof) -> str:
    return f"{proof.where}: " if proof.where else ""


def _in_note(proof: Proof, english: str) -> str:
    verdict = f'<b class="{proof.state}">{_text(proof.verdict)}</b>'
    where = f" in <cite>{_text(proof.where)}</cite>" if proof.where else ""
    opinion = f". A judge's opinion: {_text(proof.opinion)}" if proof.opinion else ""
    return f'<p class="proof"{english}>{verdict}{where}{opinion}.</p>'


def _hovering(proof: Proof, english: str) -> str:
    """The passage around the quotation, for those who point at a mention; others have the note."""
    head = f'<b class="{proof.state}">{_text(proof.verdict)}</b>'
    if proof.where:
        head += f" <cite>{_text(proof.where)}</cite>"
    text = ""
    if proof.quoted:
        before, after = proof.before[-AROUND:], proof.after[:AROUND]
        text = (
            f"<span>{'… ' if before != proof.before else ''}{_text(before)}"
            f"<mark>{_text(proof.quoted)}</mark>"
            f"{_text(after)}{' …' if after != proof.after else ''}</span>"
        )
    return f'<span class="seen" aria-hidden="true"{english}><span>{head}{text}</span></span>'


def _whole_passage(proof: Proof, english: str) -> str:
    if not proof.quoted:
        return ""
    text = f"{_text(proof.before)}<mark>{_text(proof.quoted)}</mark>{_text(proof.after)}"
    return (
        f'<details class="whole"><summary{english}>The passage</summary>'
        f'<p dir="auto">{text}</p></details>'
    )


def _text(text: str) -> str:
    return html.escape(well_formed(text), quote=False)


def evidence_values(evidence: Evidence | None) -> dict[str, Any]:
    """The values that the tab of evidence shows; empty: the report has no sources.

    Args:
        evidence: The report's evidence.
    """
    if evidence is None:
        return {}
    counts = evidence.counts
    listed = sorted(proofs_of(evidence), key=lambda one: not one.claim.doubtful)
    return {
        "problem": evidence.problem,
        "coverage": f"{counts.coverage:.0%}" if counts else "",
        "doubtful": counts.doubtful if counts else 0,
        "verified": counts.verified if counts else 0,
        "claims": [_claim_values(one) for one in listed],
        "sources": [
            {
                "name": source.name,
                "location": source.location,
                "kind": source.kind,
                "skipped": list(source.skipped),
            }
            for source in evidence.sources
        ],
    }


def _claim_values(proof: Proof) -> dict[str, Any]:
    claim = proof.claim
    return {
        "sentence": claim.sentence,
        "section": claim.section,
        "quote": claim.quote,
        "state": proof.state,
        "verdict": proof.verdict,
        "where": proof.where,
        "opinion": proof.opinion,
        "before": proof.before,
        "quoted": proof.quoted,
        "after": proof.after,
    }


def coverage_text(coverage: float | None) -> str:
    """The share of sentences with a note, for a table; `-`: the report has no sources.

    Args:
        coverage: From 0 to 1.
    """
    return "-" if coverage is None else f"{coverage:.0%}"
