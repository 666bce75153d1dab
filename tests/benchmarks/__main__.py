"""Measure, and print a table: `python -m tests.benchmarks [burst steady …] [--rounds N]`.

Without names all are measured, which takes about half an hour; `large` takes most of it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from prefect_llm_reports.tasks.runtime.environment import set_prefect_defaults

set_prefect_defaults()

from tests.benchmarks.batches import burst, cached, large, steady  # noqa: E402
from tests.benchmarks.bench import Bench, Figure  # noqa: E402
from tests.benchmarks.branches import branches  # noqa: E402
from tests.benchmarks.limits import limits  # noqa: E402
from tests.benchmarks.pages import pages  # noqa: E402
from tests.benchmarks.sources import grounded, sources  # noqa: E402
from tests.benchmarks.starts import starts  # noqa: E402

BENCHMARKS: dict[str, Callable[[Bench], list[Figure]]] = {
    "burst": burst,
    "steady": steady,
    "cached": cached,
    "branches": branches,
    "limits": limits,
    "pages": pages,
    "starts": starts,
    "sources": sources,
    "grounded": grounded,
    "large": large,
}


def main() -> None:
    """Run the benchmarks that are named, and print what they found."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side, default 3")
    parser.add_argument(
        "--check", action="store_true", help="end with status 1 when a stable ratio is missed"
    )
    chosen = parser.parse_args()
    unknown = set(chosen.names) - BENCHMARKS.keys()
    if unknown:
        parser.error(
            f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}"
        )
    found: list[Figure] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Bench.open(Path(folder), chosen.rounds, _tell) as bench,
    ):
        for name in chosen.names or BENCHMARKS:
            found += BENCHMARKS[name](bench)
    _print(f"On {os.cpu_count()} cores, medians of {chosen.rounds}:\n")
    _print("| what | measured | wanted |\n| --- | --- | --- |")
    for figure in found:
        _print(f"| {figure.what} | {figure.measured} | {figure.wanted} |")
    if chosen.check:
        guarded = [figure for figure in found if figure.guarded]
        assert guarded, "none of these benchmarks has a figure to check"
        sys.exit(any(figure.missed for figure in guarded))


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
