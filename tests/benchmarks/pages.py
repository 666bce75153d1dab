"""CPU that the files of long reports take."""

from __future__ import annotations

import time
from statistics import median

from prefect_llm_reports.tasks.runtime.memory import rarer_collections
from tests.benchmarks.bench import Bench, Figure
from tests.benchmarks.long_reports import WORDS, files_of, report


def pages(bench: Bench) -> list[Figure]:
    """All files of a hundred reports with three drafts each, and an earlier report to compare."""
    used: list[float] = []
    for turn in range(bench.rounds):
        work = [report(1000 * turn + number) for number in range(100)]
        with rarer_collections():  # as in a run
            began = time.process_time()
            for refined, before in work:
                for _, step in files_of(refined, before):
                    step()
            used.append(time.process_time() - began)
        bench.tell(f"pages: {used[-1]:.2f} s CPU")
    return [
        Figure(
            f"text files and pages of 100 reports of {WORDS:,} words, three drafts each",
            f"{median(used):.1f} s of CPU",
            "at most 4 s",
        )
    ]
