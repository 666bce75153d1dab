"""How long the command line takes before anything else happens."""

from __future__ import annotations

from statistics import median

from tests.benchmarks.bench import Bench, Figure
from tests.benchmarks.measured import measured


def starts(bench: Bench) -> list[Figure]:
    """`--help`, and a batch with the embedded server when it is started for the second time."""
    log = bench.folder / "starts.log"
    helped = [
        measured(("-m", "prefect_llm_reports.flows.cli", "--help"), {}, log).seconds
        for _ in range(5)
    ]
    environment = {
        "PREFECT_HOME": str(bench.folder / "embedded"),
        "LLM_REPORTS_STORE": str(bench.folder / "embedded-store"),
    }
    output = str(bench.folder / "embedded-reports")
    command = (
        "-m",
        "prefect_llm_reports.flows.cli",
        "run",
        "Tidal power",
        "--model",
        "offline",
        "--output",
        output,
    )
    first, second = (measured(command, environment, log).seconds for _ in range(2))
    return [
        Figure("`llm-reports --help`", f"{median(helped):.2f} s", "under 0.5 s"),
        Figure(
            "one report with the embedded server, second start (first)",
            f"{second:.1f} s ({first:.1f} s)",
            "under 12 s",
        ),
    ]
