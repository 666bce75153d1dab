"""Changes since the last report on the same topic, section by section.

Here: two report.md compared, and changes.md. Sections match by their headings, the opening by its
place. Not here: finding the earlier report (`results.earlier`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from prefect_llm_reports.tasks.contract.reports import ChangeCount
from prefect_llm_reports.tasks.text.markdown import escaped, one_line, slug

MAX_HEADING = 2000

_FRONT = re.compile(r"---\n.*?\n---\n", re.DOTALL)
_CONTENTS = re.compile(r"^\*\*Contents\*\*\n\n(?:- \[[^\n]*\)\n)+\n?", re.MULTILINE)
_HEADING = re.compile(r"(#{1,6}) +(\S.*)")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_MARKUP = re.compile(r"\\([\\`*_\[\]#~<>|])|[*_`]")
_LINK = re.compile(r"\[([^\]\n]*)\]\([^)\n]*\)")


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
class Section:
    """A heading and the text up to the next one."""

    title: str
    anchor: str
    text: str

    @property
    def words(self) -> list[str]:
        """Its words; two sections are compared by these, without spaces and line ends."""
        return self.text.split()


@dataclass(frozen=True)
class Rewritten:
    """A section whose text or heading has changed."""

    before: Section
    after: Section


@dataclass(frozen=True)
class Changes:
    """All differences between a report and the earlier one."""

    earlier: Earlier | None
    added: tuple[Section, ...] = ()
    dropped: tuple[Section, ...] = ()
    rewritten: tuple[Rewritten, ...] = ()
    unchanged: int = 0

    @property
    def count(self) -> ChangeCount:
        """The changes in figures."""
        if self.earlier is None:
            return ChangeCount(state="new")
        if self.earlier.problem:
            return ChangeCount(state="unknown", since=self.earlier.run_id)
        numbers = (len(self.added), len(self.dropped), len(self.rewritten))
        return ChangeCount(
            state="changed" if any(numbers) else "unchanged",
            since=self.earlier.run_id,
            added=numbers[0],
            dropped=numbers[1],
            rewritten=numbers[2],
        )


def compared(earlier: Earlier | None, markdown: str) -> Changes:
    """Compare a report with the earlier one.

    Args:
        earlier: The earlier report; None: there is none.
        markdown: The new report.md.
    """
    if earlier is None or earlier.problem:
        return Changes(earlier)
    old = {section.anchor: section for section in sections(earlier.markdown)}
    added: list[Section] = []
    rewritten: list[Rewritten] = []
    unchanged = 0
    for section in sections(markdown):
        before = old.pop(section.anchor, None)
        if before is None:
            added.append(section)
        elif before.words == section.words and before.title == section.title:
            unchanged += 1
        else:
            rewritten.append(Rewritten(before, section))
    renamed = {tuple(section.words): section for section in old.values() if section.words}
    for section in [*added]:
        before = renamed.pop(tuple(section.words), None)
        if before is not None:
            added.remove(section)
            del old[before.anchor]
            rewritten.append(Rewritten(before, section))
    return Changes(earlier, tuple(added), tuple(old.values()), tuple(rewritten), unchanged)


def sections(markdown: str) -> list[Section]:
    """Split a report.md at its headings, without front matter and list of contents."""
    front = _FRONT.match(markdown)
    body = markdown[front.end() :] if front else markdown
    return list(_cut(_CONTENTS.sub("", body, count=1)))


def _cut(body: str) -> Iterator[Section]:
    title, anchor, fence = "", "", ""
    lines: list[str] = []
    taken: dict[str, int] = {}
    for line in body.split("\n"):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and not mark[2].strip():
            fence = ""
        heading = None if fence or mark else _HEADING.match(line)
        if heading is None:
            lines.append(line)
            continue
        words = _plain(heading[2])
        if heading[1] == "#" and not anchor:  # the title belongs to the opening
            title = words
            continue
        yield Section(title, anchor, "\n".join(lines).strip())
        base = slug(words) or "section"
        taken[base] = again = taken.get(base, -1) + 1
        title, anchor, lines = words, f"{base}-{again}" if again else base, []
    yield Section(title, anchor, "\n".join(lines).strip())


def _plain(heading: str) -> str:
    return one_line(_MARKUP.sub(r"\1", _LINK.sub(r"\1", heading[:MAX_HEADING])))


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
        f" {count.rewritten} rewritten, {changes.unchanged} unchanged."
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
    return f"{was}{before} words before, {after} now"
