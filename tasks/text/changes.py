"""Changes since the last report on the same topic, section by section.

Here: two report.md compared, and changes.md. Not here: which sections are pairs (`text.pairing`),
finding the earlier report (`results.earlier`).
"""

from __future__ import annotations

from dataclasses import dataclass

from prefect_llm_reports.tasks.contract.reports import ChangeCount
from prefect_llm_reports.tasks.text.markdown import escaped
from prefect_llm_reports.tasks.text.note_numbers import renumbered
from prefect_llm_reports.tasks.text.pairing import Pairing
from prefect_llm_reports.tasks.text.sections import Section, sections


@dataclass(frozen=True)
class Earlier:
    """The last report on a topic before this one.

    Attributes:
        run_id: The run that wrote it.
        markdown: Its report.md; empty if it could not be read.
        score: Its score.
        created: The UTC time of its writing, as in its manifest.
        problem: Why it could not be read; empty if it was.
    """

    run_id: str
    markdown: str = ""
    score: float | None = None
    created: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Rewritten:
    """A section whose text, heading or place has changed.

    Attributes:
        moved: Whether it stands in another place.
    """

    before: Section
    after: Section
    moved: bool = False


@dataclass(frozen=True)
class Changes:
    """All differences between a report and the earlier one.

    Attributes:
        rewritten: Sections with another text or heading; some of them have moved as well.
        moved: Sections that are as they were, in another place.
    """

    earlier: Earlier | None
    added: tuple[Section, ...] = ()
    dropped: tuple[Section, ...] = ()
    rewritten: tuple[Rewritten, ...] = ()
    moved: tuple[Rewritten, ...] = ()
    unchanged: int = 0

    @property
    def count(self) -> ChangeCount:
        """The changes in figures."""
        if self.earlier is None:
            return ChangeCount(state="new")
        if self.earlier.problem:
            return ChangeCount(state="unknown", since=self.earlier.run_id)
        numbers = (len(self.added), len(self.dropped), len(self.rewritten), len(self.moved))
        return ChangeCount(
            state="changed" if any(numbers) else "unchanged",
            since=self.earlier.run_id,
            added=numbers[0],
            dropped=numbers[1],
            rewritten=numbers[2],
            moved=numbers[3],
        )


def compared(earlier: Earlier | None, markdown: str) -> Changes:
    """Compare a report with the earlier one.

    Args:
        earlier: The earlier report; None: there is none.
        markdown: The new report.md.
    """
    if earlier is None or earlier.problem:
        return Changes(earlier)
    old, new = sections(renumbered(earlier.markdown, markdown)), sections(markdown)
    pairing = Pairing(old, new)
    pairs = {
        j: Rewritten(old[i], new[j], j in pairing.moved) for j, i in sorted(pairing.old_of.items())
    }
    kept = set(pairing.old_of.values())
    rewritten: list[Rewritten] = []
    moved: list[Rewritten] = []
    unchanged = 0
    for pair in pairs.values():
        if pair.before.words != pair.after.words or pair.before.title != pair.after.title:
            rewritten.append(pair)
        elif pair.moved:
            moved.append(pair)
        else:
            unchanged += not pair.after.notes
    return Changes(
        earlier,
        added=tuple(section for j, section in enumerate(new) if j not in pairs),
        dropped=tuple(section for i, section in enumerate(old) if i not in kept),
        rewritten=tuple(rewritten),
        moved=tuple(moved),
        unchanged=unchanged,
    )


def summary_of(changes: Changes) -> str:
    """The changes in one sentence."""
    earlier, count = changes.earlier, changes.count
    if earlier is None:
        return "This is the first report on the topic here; there is none to compare it with."
    if earlier.problem:
        which = f"the report of run {earlier.run_id}" if earlier.run_id else "an earlier report"
        return f"No comparison with {which}: {earlier.problem}."
    if count.state == "unchanged":
        return f"Nothing has changed since run {earlier.run_id}."
    return (
        f"Since run {earlier.run_id}: {_sections(count.added)} added, {count.dropped} dropped,"
        f" {count.rewritten} rewritten, {f'{count.moved} moved, ' if count.moved else ''}"
        f"{changes.unchanged} unchanged."
    )


def _sections(count: int) -> str:
    return f"{count} {'section' if count == 1 else 'sections'}"


def changes_markdown(changes: Changes, title: str, score: float | None) -> str:
    """Write changes.md.

    Args:
        changes: The changes.
        title: The report's topic.
        score: The new report's score.
    """
    parts = [f"# Changes: {escaped(title) or 'report'}", escaped(summary_of(changes))]
    earlier = changes.earlier
    if earlier and not earlier.problem and earlier.score is not None and score is not None:
        parts.append(f"Score: {earlier.score:g} before, {score:g} now.")
    for head, rows in (
        ("Added", [_row(section, f"{len(section.words)} words") for section in changes.added]),
        ("Dropped", [f"- {escaped(section.title)}" for section in changes.dropped]),
        ("Rewritten", [_row(pair.after, _lengths(pair)) for pair in changes.rewritten]),
        ("Moved", [_row(pair.after, f"{len(pair.after.words)} words") for pair in changes.moved]),
    ):
        if rows:
            parts += [f"## {head}", "\n".join(rows)]
    return "\n\n".join(parts) + "\n"


def _row(section: Section, remark: str) -> str:
    return f"- {escaped(section.title) or 'Opening'} ({remark})"


def _lengths(pair: Rewritten) -> str:
    before, after = len(pair.before.words), len(pair.after.words)
    renamed = pair.before.title != pair.after.title
    was = f'was "{escaped(pair.before.title)}", ' if renamed else ""
    return f"{was}{before} words before, {after} now{', moved' if pair.moved else ''}"
