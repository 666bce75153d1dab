"""CPU that the files of long reports take."""

from __future__ import annotations

import random
import time
from functools import cache
from statistics import median

from prefect_llm_reports.tasks.contract.reports import Critique, Draft, Refined
from prefect_llm_reports.tasks.pages.reader import reader_page
from prefect_llm_reports.tasks.pages.report import report_html, report_markdown
from prefect_llm_reports.tasks.runtime.memory import rarer_collections
from prefect_llm_reports.tasks.text.changes import Earlier, changes_markdown, compared
from tests.benchmarks.bench import Bench, Figure, names
from tests.benchmarks.measured import reports

WORDS = 3000
_SYLLABLES = ("ba", "de", "fi", "go", "lu", "mar", "nel", "os", "pra", "qui", "ren", "sta", "tur")


@cache
def _vocabulary() -> list[str]:
    chance = random.Random(1)
    return ["".join(chance.choices(_SYLLABLES, k=chance.randint(1, 4))) for _ in range(4000)]


def _text(title: str, chance: random.Random) -> list[str]:
    """A report in paragraphs: sections of prose, with a list, a table and code among them."""
    vocabulary, parts, count = _vocabulary(), [f"# {title}"], 0
    while count < WORDS:
        parts.append(f"## {' '.join(chance.choices(vocabulary, k=4)).capitalize()}")
        for _ in range(4):
            words = chance.choices(vocabulary, k=90)
            words[20], words[50] = f"**{words[20]}**", f"[{words[50]}](https://example.com/x)"
            parts.append(" ".join(words).capitalize() + ".")
            count += 90
        parts.append("\n".join(f"- {' '.join(chance.choices(vocabulary, k=8))}" for _ in range(5)))
        rows = "\n".join(f"| {' | '.join(chance.choices(vocabulary, k=4))} |" for _ in range(4))
        parts.append(f"| a | b | c | d |\n| --- | --- | ---: | --- |\n{rows}")
        count += 60
    parts.append("```python\nprint('done')\n```")
    return parts


def _revised(parts: list[str], chance: random.Random) -> list[str]:
    """The same report with every fifth paragraph partly rewritten."""
    found = list(parts)
    for at in range(2, len(found), 5):
        words = found[at].split(" ")
        chance.shuffle(words)
        found[at] = " ".join(words) if found[at][0].isalpha() else found[at]
    return found


def _report(base: Refined, number: int) -> tuple[Refined, str]:
    """A report with three drafts, and the Markdown of an earlier one on the topic."""
    chance = random.Random(number)
    texts = [_text(base.topic.title, chance)]
    for _ in range(3):
        texts.append(_revised(texts[-1], chance))
    critique = base.drafts[0].critique
    assert isinstance(critique, Critique)
    drafts = tuple(
        Draft(
            number=n,
            text="\n\n".join(parts),
            parent=n - 1 or None,
            critique=critique.model_copy(update={"score": 5 + n}),
            score=float(5 + n),
        )
        for n, parts in enumerate(texts[:3], start=1)
    )
    earlier = base.model_copy(update={"drafts": (drafts[0],), "best": 1})
    return base.model_copy(update={"drafts": drafts, "best": 3}), report_markdown(
        earlier, offline=False
    )


def _make_files(refined: Refined, before: str) -> None:
    markdown = report_markdown(refined, offline=False)
    html = report_html(refined, "First.\n\nSecond.", offline=False)
    changes = compared(Earlier("earlier", markdown=before, score=6.0), markdown)
    told = changes_markdown(changes, refined.topic.title, refined.winner.score)
    sizes = {"report.md": len(markdown), "report.html": len(html), "changes.md": len(told)}
    reader_page(refined, "First.", markdown, changes, sizes, offline=False)


def pages(bench: Bench) -> list[Figure]:
    """All files of a hundred reports with three drafts each, and an earlier report to compare."""
    made = reports(names(100, "long reports"))
    used: list[float] = []
    for turn in range(bench.rounds):
        work = [_report(one.refined, 1000 * turn + n) for n, one in enumerate(made)]
        with rarer_collections():  # as in a run
            began = time.process_time()
            for refined, before in work:
                _make_files(refined, before)
            used.append(time.process_time() - began)
        bench.tell(f"pages: {used[-1]:.2f} s CPU")
    return [
        Figure(
            f"Markdown, HTML, comparison and reader's page of 100 reports of {WORDS:,} words,"
            " three drafts each",
            f"{median(used):.1f} s of CPU",
            "at most 2 s",
        )
    ]
