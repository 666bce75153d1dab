"""The place a benchmark works in: a Prefect server, endpoints, and runs of both sides.

Bare asyncio and the flow are whole processes from start to exit; what is compared was measured in
the same run.
"""

from __future__ import annotations

import compileall
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from prefect_llm_reports.tasks.contract.reports import Topic
from tests.benchmarks.measured import Measured, measured, reports
from tests.harness import ROOT
from tests.harness.checker import lines
from tests.harness.processes import endpoint_process, prefect_server


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        what: What was measured.
        measured: What came out.
        wanted: What it should be.
        guarded: Whether it is a ratio so stable that `--check` fails when it is missed.
        missed: Whether it was missed.
    """

    what: str
    measured: str
    wanted: str = ""
    guarded: bool = False
    missed: bool = False


@dataclass
class Side:
    """Runs of one side, and medians over them."""

    runs: list[Measured] = field(default_factory=list[Measured])

    def median(self, of: Callable[[Measured], float]) -> float:
        """The median of one figure."""
        return median(map(of, self.runs))

    @property
    def seconds(self) -> float:
        """Wall clock from start to exit."""
        return self.median(lambda run: run.seconds)

    @property
    def cpu_s(self) -> float:
        """CPU of the process."""
        return self.median(lambda run: run.cpu_s)


@dataclass
class Bench:
    """Where the benchmarks run.

    Attributes:
        folder: For everything that is written.
        api_url: The Prefect server's API.
        rounds: How often each side is measured.
        tell: Called with a line for each run, as it ends.
    """

    folder: Path
    api_url: str
    rounds: int
    tell: Callable[[str], None]
    _runs: int = 0

    @classmethod
    @contextmanager
    def open(cls, folder: Path, rounds: int, tell: Callable[[str], None]) -> Iterator[Bench]:
        """A bench with a server of its own; the project compiled, as pip does at installation."""
        for package in ("flows", "tasks", "tests"):
            compileall.compile_dir(ROOT / package, quiet=1)
        with prefect_server(folder) as api_url:
            yield cls(folder, api_url, rounds, tell)

    @contextmanager
    def endpoint(self, latency: float, words: int = 300, *more: str) -> Iterator[tuple[str, Path]]:
        """An endpoint process, with further arguments; its address and its log."""
        self._runs += 1
        log = self.folder / f"endpoint-{self._runs}.log"
        given = ("--latency", str(latency), "--words", str(words), *more)
        with endpoint_process(log, *given) as url:
            yield url, log

    def bare(self, topics: Sequence[str], url: str, concurrency: int) -> Measured:
        """The same requests by bare asyncio."""
        bodies = self.folder / f"bodies-{len(topics)}.json"
        if not bodies.exists():
            bodies.write_text(json.dumps([report.bodies for report in reports(topics)]))
        command = ("-m", "tests.benchmarks.bare", str(bodies), "--base-url", url)
        return self._told(
            "bare asyncio", measured((*command, "--concurrency", str(concurrency)), {}, self._log)
        )

    def flow(
        self,
        topics: Sequence[str] | Sequence[Topic],
        url: str,
        concurrency: int,
        *more: str,
        store: str = "store",
    ) -> tuple[Measured, dict[str, Any]]:
        """A batch by the command line, and its result."""
        file = self.folder / f"topics-{len(topics)}.json"
        file.write_text(
            json.dumps(
                [
                    one if isinstance(one, str) else {"title": one.title, "guidance": one.guidance}
                    for one in topics
                ]
            )
        )
        environment = {
            "PREFECT_API_URL": self.api_url,
            "PREFECT_HOME": str(self.folder / "prefect"),
            "OPENAI_API_KEY": "sk-test",
            "LLM_REPORTS_STORE": str(self.folder / store),
            "LLM_REPORTS_SOURCES": str(self.folder),
        }
        command = (
            *(
                "-m",
                "prefect_llm_reports.flows.cli",
                "run",
                "--topics-file",
                str(file),
                "--model",
                "gpt-5-mini",
            ),
            *("--base-url", url, "--concurrency", str(concurrency), *more),
            *("--output", str(self.folder / "reports"), "--json"),
        )
        run = measured(command, environment, self._log)
        result = json.loads(run.out)
        assert result["status"] == "complete", result["status"]
        return self._told(f"flow, {len(topics)} topics", run), result

    @property
    def _log(self) -> Path:
        return self.folder / "processes.log"

    def _told(self, who: str, run: Measured) -> Measured:
        self.tell(f"{who}: {run.seconds:.2f} s, {run.cpu_s:.2f} s CPU, {run.peak_mb:.0f} MB")
        return run


def names(count: int, about: str) -> list[str]:
    """Topics that no other benchmark has."""
    return [f"Case {n} of {about}" for n in range(count)]


def first_asked(log: Path) -> float:
    """When the first request arrived at an endpoint, on the machine's monotonic clock."""
    return next(event["at"] for event in lines(log) if event["event"] == "asked")


def last_answered(log: Path) -> float:
    """When the last answer left it."""
    return max(event["at"] for event in lines(log) if event["event"] == "answered")
