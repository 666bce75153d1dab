"""The reader's page of one report: summary, text, source, drafts with differences, changes, files.

Here: index.html of a result directory. Not here: report.html, the published document
(`pages.report`), and how texts are compared (`text.differences`, `text.changes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from prefect_llm_reports.tasks.contract.provenance import Provenance
from prefect_llm_reports.tasks.contract.reports import Critique, Draft, PanelCritique, Refined
from prefect_llm_reports.tasks.pages.page import page
from prefect_llm_reports.tasks.pages.proofs import evidence_values
from prefect_llm_reports.tasks.pages.report import report_values, score_text
from prefect_llm_reports.tasks.text.changes import Changes, Section, summary_of
from prefect_llm_reports.tasks.text.differences import Passage, blocks, differences
from prefect_llm_reports.tasks.text.markdown import well_formed
from prefect_llm_reports.tasks.text.note_numbers import renumbered
from prefect_llm_reports.tasks.text.words import count_words

FILES = {
    "report.html": "The report as one page without scripts, to read, print and pass on",
    "report.md": "The report as Markdown, with front matter",
    "report.pdf": "The report for printing",
    "report.docx": "The report for a word processor",
    "summary.txt": "The executive summary as plain text",
    "changes.md": "What changed since the last report on this topic",
    "history.json": "Every draft and critique, with scores",
    "evidence.json": "Sources, quoted passages, and what checking found of each claim",
    "manifest.json": "How the report was made: models, prompts, usage, cost, checksums",
}
MAX_SHOWN = 100_000
MAX_CHANGED = 40
KINDS = ("same", "changed", "added", "removed", "moved", "away", "split", "joined")
"""Kinds of passages, as `text.differences` names them."""
SAID = ("changed", "added", "removed")
"""Kinds whose number is always said."""


def reader_page(
    refined: Refined,
    summary: str,
    markdown: str,
    changes: Changes,
    files: Mapping[str, int],
    *,
    offline: bool,
    templates: str | None = None,
    provenance: Provenance | None = None,
) -> str:
    """Write a result directory's index.html.

    Args:
        refined: The report and its drafts.
        summary: Its executive summary.
        markdown: Its report.md.
        changes: Changes since the last report on the topic.
        files: Size of each file of the directory in bytes, by name.
        offline: Whether the embedded engine wrote it.
        templates: Folder of the user's own templates.
        provenance: Who made it and decided on it; None: the page does not say it.
    """
    values = reader_values(
        refined, summary, markdown, changes, files, offline=offline, provenance=provenance
    )
    return page("reader", values, templates)


def reader_values(
    refined: Refined,
    summary: str,
    markdown: str,
    changes: Changes,
    files: Mapping[str, int],
    *,
    offline: bool,
    provenance: Provenance | None = None,
) -> dict[str, Any]:
    """The values that the page shows; for the arguments see `reader_page`."""
    names = [*(name for name in FILES if name in files or name == "manifest.json")]
    names += [name for name in files if name not in FILES]
    return {
        **report_values(refined, summary, offline=offline, provenance=provenance),
        "markdown": markdown,
        "drafts": [_draft(draft, refined) for draft in refined.drafts],
        "changes": _changes(changes, refined.topic.slug),
        "evidence": evidence_values(refined.evidence),
        "files": [
            {"name": name, "about": FILES.get(name, ""), "size": _size(files.get(name))}
            for name in names
        ],
    }


def _draft(draft: Draft, refined: Refined) -> dict[str, Any]:
    parent = next((d for d in refined.drafts if d.number == draft.parent), None)
    text = well_formed(draft.text)
    before = renumbered(well_formed(parent.text), text) if parent else ""
    passages = differences(before, text) if parent else None
    long = len(draft.text) > MAX_SHOWN
    return {
        "number": draft.number,
        "parent": draft.parent or 0,
        "score": "not scored" if draft.score is None else score_text(draft.score),
        "best": draft.number == refined.best,
        "words": count_words(draft.text),
        "critique": _critique(draft.critique),
        "text": [] if parent or long else blocks(text),
        "too_long": passages is None if parent else long,
        **_difference(passages),
    }


def _critique(critique: Critique | PanelCritique | None) -> dict[str, Any]:
    if critique is None:
        return {}
    panel = critique.critics if isinstance(critique, PanelCritique) else ()
    return {
        "summary": critique.summary,
        "strengths": critique.strengths,
        "improvements": critique.improvements,
        "critics": [
            {
                "name": opinion.name,
                "score": score_text(opinion.critique.score),
                "summary": opinion.critique.summary,
            }
            for opinion in panel
        ],
    }


def _difference(passages: list[Passage] | None) -> dict[str, Any]:
    counts = dict.fromkeys(KINDS, 0)
    for passage in passages or ():
        counts[passage.kind] += 1 if passage.kind == "split" else len(passage.blocks)
    return {
        "passages": [
            {"kind": passage.kind, "blocks": passage.blocks, "parts": passage.parts}
            for passage in passages or ()
        ],
        "counts": counts,
        "told": ", ".join(
            f"{count} {kind}"
            for kind, count in counts.items()
            if kind in SAID or (count and kind not in ("same", "away"))
        ),
    }


def _changes(changes: Changes, slug: str) -> dict[str, Any]:
    said, since = summary_of(changes), changes.count.since
    readable = changes.earlier is not None and not changes.earlier.problem
    linked = readable and bool(since) and f"run {since}" in said
    before, _, after = said.partition(f"run {since}") if linked else ("", "", "")
    return {
        "state": changes.count.state,
        "said": said,
        "link": f"{quote(since)}/{quote(slug)}" if linked else "",
        "said_before": before,
        "said_after": after,
        "since": changes.count.since,
        "score_before": score_text(changes.earlier.score) if changes.earlier else "-",
        "added": [_section(section) for section in changes.added],
        "dropped": [_section(section) for section in changes.dropped],
        "rewritten": [
            {
                **_section(pair.after),
                "was": pair.before.title if pair.before.title != pair.after.title else "",
                "moved": pair.moved,
                **_difference(differences(pair.before.text, pair.after.text)),
            }
            for pair in changes.rewritten[:MAX_CHANGED]
        ],
        "moved": [_section(pair.after) for pair in changes.moved],
        "more": max(0, len(changes.rewritten) - MAX_CHANGED),
    }


def _section(section: Section) -> dict[str, Any]:
    return {
        "title": section.title or "Opening",
        "anchor": section.anchor,
        "words": len(section.words),
    }


def _size(size: int | None) -> str:
    if size is None:
        return ""
    return f"{size / 1000:,.1f} kB" if size >= 1000 else f"{size} bytes"
