"""CPU of the files of long reports beside an earlier commit.

`python -m tests.benchmarks.beside REV` prints it by part. Both sides are processes of the same
Python that work in turn, so that slow hours of the machine slow both. The earlier commit needs no
environment of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

from tests.benchmarks import long_reports
from tests.harness import ROOT

PACKAGES = ("flows", "tasks")


@contextmanager
def _side(folder: Path) -> Generator[subprocess.Popen[str]]:
    """A process that measures the packages of a folder."""
    with subprocess.Popen(
        [sys.executable, str(Path(long_reports.__file__))],
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _asked(side: subprocess.Popen[str], seed: int, count: int) -> dict[str, float]:
    assert side.stdin
    assert side.stdout
    side.stdin.write(f"{seed} {count}\n")
    side.stdin.flush()
    return json.loads(side.stdout.readline())


def _best(batches: list[dict[str, float]]) -> dict[str, float]:
    """The least time of each part, and of all together."""
    return {
        **{part: min(batch.get(part, 0.0) for batch in batches) for part in batches[0]},
        "all": min(sum(batch.values()) for batch in batches),
    }


def beside(rev: str, rounds: int, count: int) -> dict[str, tuple[float, float]]:
    """CPU seconds of the parts of some reports, in the working tree and in a commit.

    Args:
        rev: The commit.
        rounds: Batches of each side.
        count: Reports of a batch.
    """
    with tempfile.TemporaryDirectory() as name:
        here, there = Path(name, "here"), Path(name, "there")
        for folder in (here, there):
            (folder / "prefect_llm_reports").mkdir(parents=True)
        for package in PACKAGES:
            (here / "prefect_llm_reports" / package).symlink_to(ROOT / package)
        packed = subprocess.run(
            ["git", "archive", "--format=zip", rev, *PACKAGES],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
        with ZipFile(BytesIO(packed)) as archive:
            archive.extractall(there / "prefect_llm_reports")
        with _side(here) as new, _side(there) as old:
            for side in (new, old):
                _asked(side, 0, 2)  # templates and patterns are compiled once a process
            found: list[tuple[dict[str, float], dict[str, float]]] = []
            for number in range(1, rounds + 1):
                seed = 1000 * number
                found.append((_asked(new, seed, count), _asked(old, seed, count)))
        ours, theirs = _best([new for new, _ in found]), _best([old for _, old in found])
        return {part: (ours[part], theirs.get(part, 0.0)) for part in ours}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.beside")
    parser.add_argument("rev", help="the commit to compare with")
    parser.add_argument("--rounds", type=int, default=5, help="batches of each side, default 5")
    parser.add_argument("--reports", type=int, default=20, help="reports a batch, default 20")
    chosen = parser.parse_args()
    sys.stdout.write(f"| CPU ms a report | here | {chosen.rev} | ratio |\n")
    sys.stdout.write("| --- | --- | --- | --- |\n")
    for part, (ours, theirs) in beside(chosen.rev, chosen.rounds, chosen.reports).items():
        ms = 1000 / chosen.reports
        ratio = f"{ours / theirs:.2f}" if theirs > 1e-4 else ""
        sys.stdout.write(f"| {part} | {ours * ms:.2f} | {theirs * ms:.2f} | {ratio} |\n")


if __name__ == "__main__":
    main()
