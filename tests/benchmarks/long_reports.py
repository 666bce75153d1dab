"""Long reports as models write them, and the CPU that their files take.

Run as a program it answers each line on its stdin, `SEED COUNT`, with the CPU seconds by part of
that many reports, as JSON. It imports nothing of the tests and works with the packages of earlier
commits, too. Not here: sides compared (`beside`).
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from prefect_llm_reports.tasks.contract.reports import Critique, Draft, Refined, Topic
from prefect_llm_reports.tasks.pages.reader import reader_page
from prefect_llm_reports.tasks.pages.report import (
    history_json,
    report_html,
    report_markdown,
    summary_text,
)
from prefect_llm_reports.tasks.runtime.memory import rarer_collections
from prefect_llm_reports.tasks.text.changes import Earlier, changes_markdown, compared

WORDS = 3000
CREATED = 1_770_000_000

_SYLLABLES = ("ba", "de", "fi", "go", "lu", "mar", "nel", "os", "pra", "qui", "ren", "sta", "tur")
_COMMON_WORDS = """the the the of of and and to to in in is that for for with are on as be this by
    from or not which can more has have it its than into over between while when these their"""
_COMMON = tuple(_COMMON_WORDS.split())
_ASIDES = (
    "**{}**",
    "*{}*",
    "`{}`",
    "\u201c{}\u201d",
    "{}\u2019s",
    "{} \u2014",
    "({})",
    "[{}](https://example.com/{}?id=7)",
    "US$40 {}",
    "24\u201336 {}",
)
_FORMULAS = (
    r"\(P = \tfrac{1}{2} \rho A v^3 C_p\)",
    "$E = mc^2$",
    "\n\n$$\n\\sum_{i=1}^{n} \\frac{c_i}{(1 + r)^i} \\le B_{\\max}\n$$\n\n",
)


@cache
def _vocabulary() -> list[str]:
    chance = random.Random(1)
    return ["".join(chance.choices(_SYLLABLES, k=chance.randint(2, 4))) for _ in range(4000)]


def _words(chance: random.Random, count: int) -> list[str]:
    """Words of which half are common ones, as in prose."""
    return [
        chance.choice(_COMMON if chance.random() < 0.45 else _vocabulary()) for _ in range(count)
    ]


def _sentence(chance: random.Random) -> str:
    words = _words(chance, chance.randint(12, 26))
    if chance.random() < 0.4:
        at = chance.randrange(3, len(words) - 1)
        words[at] = chance.choice(_ASIDES).replace("{}", words[at])
    words[len(words) // 2] += ","
    return " ".join(words).capitalize() + "."


def _paragraph(chance: random.Random) -> str:
    return " ".join(_sentence(chance) for _ in range(chance.randint(3, 5)))


def _heading(chance: random.Random) -> str:
    return " ".join(_words(chance, chance.randint(2, 6))).capitalize()


def _parts(title: str, chance: random.Random) -> list[str]:
    """A report in paragraphs: sections of prose with a list, a table, notes and formulas."""
    parts, count, notes = [f"# {title}", _paragraph(chance)], 0, 0
    formulas = iter(_FORMULAS)
    while count < WORDS:
        parts.append(f"## {_heading(chance)}")
        for number in range(4):
            if number == 2:
                parts.append(f"### {_heading(chance)}")
            text = _paragraph(chance)
            if number == 1:
                text += next(formulas, "")
            if number == 3 and notes < 4:
                notes += 1
                text += f"[^{notes}]"
            parts.append(text.rstrip("\n"))
        parts.append("\n".join(f"- **{_heading(chance)}**: {_sentence(chance)}" for _ in range(4)))
        rows = "\n".join(
            f"| {_heading(chance)} | {chance.random():.2f} | {' '.join(_words(chance, 4))} |"
            for _ in range(3)
        )
        if len(parts) % 2:
            parts.append(f"| Option | Share | Remark |\n| --- | ---: | --- |\n{rows}")
        count = sum(len(part.split()) for part in parts)
    parts += ["> " + _sentence(chance), "```python\nprint('done')  # _all_\n```"]
    for note in range(1, notes + 1):
        parts.append(f"[^{note}]: {_sentence(chance)} See https://example.com/{note}.")
    return parts


def _revised(parts: list[str], chance: random.Random) -> list[str]:
    """The same report with a third of its paragraphs revised, one split and one added."""
    found: list[str] = []
    for part in parts:
        sentences = part.split(". ")
        if part[0].isalpha() and chance.random() < 0.4:
            at = chance.randrange(len(sentences))
            sentences[at] = _sentence(chance).removesuffix("." if at + 1 < len(sentences) else "")
            part = ". ".join(sentences)
        found.append(part)
    found.insert(6, _paragraph(chance))
    return found


def report(number: int) -> tuple[Refined, str]:
    """A refined report of three drafts, and an earlier text on its topic.

    Args:
        number: Equal numbers give equal reports.
    """
    chance = random.Random(number)
    texts = [_parts(f"Case {number} of long reports", chance)]
    texts += [_revised(texts[-1], chance)]
    texts += [_revised(texts[-1], chance)]
    drafts = tuple(
        Draft(
            number=n,
            text="\n\n".join(parts),
            parent=n - 1 or None,
            score=float(5 + n),
            critique=Critique(
                score=5 + n,
                strengths=[_sentence(chance) for _ in range(3)],
                improvements=[_sentence(chance) for _ in range(3)],
                summary=_sentence(chance),
            ),
        )
        for n, parts in enumerate(texts, start=1)
    )
    refined = Refined(
        topic=Topic(title=f"Case {number} of long reports"),
        drafts=drafts,
        best=3,
        iterations=3,
        stop_reason="accepted",
        created=CREATED,
        steps=(),
    )
    return refined, "\n\n".join(_revised(texts[0], chance))


def _chosen(refined: Refined) -> tuple[Refined, dict[str, Any]]:
    """What this version decides once a report: its language, and who made it."""
    try:
        from prefect_llm_reports.tasks.pages.provenance import provenance_of
        from prefect_llm_reports.tasks.text.language import language_of
        from prefect_llm_reports.tasks.text.wrappers import unwrapped
    except ModuleNotFoundError:
        return refined, {"offline": False}
    text = refined.winner.text
    unwrapped(text)  # said in the log
    refined = refined.model_copy(update={"language": language_of("English", text).tag})
    return refined, {"offline": False, "provenance": provenance_of(refined, offline=False)}


def files_of(refined: Refined, before: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The steps that make the text files of a report, by name, in the order of a run.

    Args:
        refined: The report.
        before: The Markdown of the earlier report on the topic.
    """
    made: dict[str, Any] = {}
    summary = "\n\n".join(refined.drafts[0].text.split("\n\n")[4:6])

    def choose() -> None:
        made["refined"], made["how"] = _chosen(refined)

    def write_markdown() -> None:
        made["report.md"] = report_markdown(made["refined"], **made["how"])

    def write_html() -> None:
        made["report.html"] = report_html(made["refined"], summary, **made["how"])

    def write_changes() -> None:
        earlier = Earlier("earlier", markdown=before, score=6.0)
        made["changes"] = compared(earlier, made["report.md"])
        made["changes.md"] = changes_markdown(made["changes"], refined.topic.title, 8.0)

    def write_small_files() -> None:
        made["summary.txt"] = summary_text(summary)
        made["history.json"] = history_json(made["refined"])

    def write_reader() -> None:
        names = ("report.md", "report.html", "summary.txt", "history.json", "changes.md")
        sizes = {name: len(made[name].encode()) for name in names}
        refined, changes = made["refined"], made["changes"]
        made["index.html"] = reader_page(
            refined, summary, made["report.md"], changes, sizes, **made["how"]
        )

    yield "decisions", choose
    yield "report.md", write_markdown
    yield "report.html", write_html
    yield "changes.md", write_changes
    yield "summary.txt, history.json", write_small_files
    yield "index.html", write_reader


def main() -> None:
    """Answer each line with CPU seconds by part."""
    for line in sys.stdin:
        seed, count = map(int, line.split())
        work = [report(seed + n) for n in range(count)]
        used: dict[str, float] = {}
        with rarer_collections():  # as in a run
            for refined, before in work:
                for name, step in files_of(refined, before):
                    began = time.process_time()
                    step()
                    used[name] = used.get(name, 0.0) + time.process_time() - began
        sys.stdout.write(json.dumps(used) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
