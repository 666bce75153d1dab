"""Records of evidence: sources, their passages, and the claims of a report; nothing here acts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from prefect_llm_reports.tasks.contract.records import SCHEMA_VERSION, Record

Verdict = Literal["verified", "misattributed", "absent", "unknown", "own", "none"]
"""What code found of a claim's quotation: in its passage, in another one, nowhere; the note names
no passage that there is; the writer's own knowledge; no note at all."""
Support = Literal["supported", "partly", "not_supported", "contradicted", "not_judged"]
"""The judge's opinion of whether a passage supports a claim."""


OPINIONS: tuple[Support, ...] = ("supported", "partly", "not_supported", "contradicted")
"""What the judge can say."""
COMPARISON = 1
"""Version of the rules by which quotations are compared; to raise whenever they accept others."""


class Source(Record):
    """One file, or one row of a topics file, that reports may quote."""

    id: str = Field(description="s1, s2, … in the order of the sources.")
    name: str = Field(description="Name for readers: the file's name, or the row.")
    location: str = Field(description="Where it was read: a path below its root, or an address.")
    sha256: str = Field(description="Of the bytes that were read.")
    bytes: int = Field(ge=0)
    kind: str = Field(description="markdown, text, html, csv, pdf, docx, xlsx or row.")
    skipped: tuple[str, ...] = Field(
        default=(), description="What was left out of it, and why, one sentence each."
    )


class Passage(Record):
    """A piece of a source, of 100 to 250 words where the source has as many."""

    id: str = Field(description="The source's id and the passage's number, as in s2-14.")
    source: str
    place: str = Field(
        default="", description="Page label, heading path, or sheet and rows. Empty: not known."
    )
    text: str
    sha256: str = Field(description="Of the text, UTF-8.")


class Grounds(Record):
    """What the prompts of one topic show of its sources."""

    sources: tuple[Source, ...] = ()
    passages: tuple[Passage, ...] = ()

    @property
    def shown(self) -> list[str]:
        """Each passage as prompts show it: a line with its id and its place, then its text."""
        names = {source.id: source.name for source in self.sources}
        return [shown_passage(one, names.get(one.source, "")) for one in self.passages]


def shown_passage(passage: Passage, name: str) -> str:
    """A passage as prompts show it: `s2-14 · report.pdf · p. 12`, a blank line, and its text."""
    head = (" ".join(part.split()) for part in (passage.id, name, passage.place))
    return f"{' · '.join(filter(None, head))}\n\n{passage.text}"


class Number(Record):
    """A number of a claim, and where it comes from."""

    text: str
    found: bool = Field(
        description="It stands in a cited passage or in the topic, or follows from the note's sums."
    )
    found_in: str | None = Field(
        default=None, description="Another passage that the prompt showed, and that has it."
    )

    @property
    def nowhere(self) -> bool:
        """Whether no passage that the writer was shown has it."""
        return not self.found and self.found_in is None


class Claim(Record):
    """A sentence of a report with one of its notes, and what is known of it."""

    sentence: str
    section: str = ""
    note: str = Field(
        default="", description="Label of the footnote. Empty: the sentence has none."
    )
    passage: str | None = Field(default=None, description="The passage that the note names.")
    quote: str = ""
    start: int | None = Field(
        default=None, description="First character of the quotation in the passage's text."
    )
    end: int | None = Field(default=None, description="One past its last character.")
    verdict: Verdict
    found_in: str | None = Field(default=None, description="Another passage that holds it.")
    numbers: tuple[Number, ...] = Field(
        default=(), description="Of the sentence; only the first claim of a sentence lists them."
    )
    support: Support = "not_judged"
    reason: str = Field(default="", description="The judge's reason.")
    remark: str = Field(default="", description="What is wrong with the note, in words.")

    @property
    def doubtful(self) -> bool:
        """Whether a reader should not believe it: code found a fault, or the judge doubts it."""
        return (
            self.verdict in DOUBTFUL
            or any(number.nowhere for number in self.numbers)
            or self.support in ("not_supported", "contradicted")
        )


DOUBTFUL: tuple[Verdict, ...] = ("misattributed", "absent", "unknown")
"""Verdicts on notes that lead to no such words."""


class EvidenceCount(Record):
    """What checking found in one draft, counted."""

    sentences: int = Field(description="Sentences that claim something.")
    coverage: float = Field(description="Share of them that have a note, 0 to 1.")
    verified: int = Field(default=0, description="Quotations that stand in the passage they name.")
    misattributed: int = Field(default=0, description="Quotations that stand in another passage.")
    absent: int = Field(default=0, description="Quotations that stand nowhere.")
    unknown: int = Field(default=0, description="Notes that name no passage that there is.")
    own: int = Field(default=0, description="Sentences marked as the writer's own knowledge.")
    none: int = Field(default=0, description="Sentences without a note that quotes something.")
    numbers: int = Field(default=0, description="Numbers that stand in no passage at all.")
    supported: int = Field(default=0, description="In the judge's opinion: borne out.")
    partly: int = Field(default=0, description="In the judge's opinion: borne out in part.")
    not_supported: int = Field(default=0, description="In the judge's opinion: not borne out.")
    contradicted: int = Field(default=0, description="In the judge's opinion: contradicted.")
    not_judged: int = Field(default=0, description="Quoted claims that no judge has judged.")
    doubtful: int = Field(default=0, description="Claims that a reader should not believe.")


class Evidence(Record):
    """The content of evidence.json."""

    schema_version: int = SCHEMA_VERSION
    slug: str
    sources: tuple[Source, ...] = Field(description="Sources of the passages below.")
    passages: tuple[Passage, ...] = Field(description="Passages that the notes name or quote.")
    claims: tuple[Claim, ...]
    counts: EvidenceCount | None = Field(default=None, description="The claims, counted.")
    comparison: int = Field(
        default=COMPARISON, description="Version of the rules by which quotations were compared."
    )
    problem: str = Field(
        default="", description="Why the report was not checked to the end. Empty: it was."
    )
