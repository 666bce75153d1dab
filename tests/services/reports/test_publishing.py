"""Publication survives SIGKILL: no directory is complete and wrong, and no call is repeated."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from prefect_llm_reports.tasks.results.verifying import Verifier
from prefect_llm_reports.tasks.storage.places import LocalPlace
from tests.harness.checker import asked, check_files
from tests.harness.processes import (
    CommandLine,
    ended,
    endpoint_process,
    kill_group,
    prefect_server,
    wait_until,
)

pytestmark = pytest.mark.services

KILLS = int(os.environ.get("PUBLICATION_KILLS", "6"))
SEED = int(os.environ.get("PUBLICATION_SEED", "20261122"))
TOPICS = [f"Topic {number}" for number in range(1, 17)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The endpoint's log."""
    return tmp_path / "endpoint.log"


@pytest.fixture
def command(tmp_path: Path, log: Path) -> Iterator[CommandLine]:
    """A Prefect server, an endpoint, a store and an output folder."""
    with (
        prefect_server(tmp_path / "server") as api_url,
        endpoint_process(log, "--words", "2000") as base_url,
    ):
        yield CommandLine(tmp_path, api_url, base_url)


@pytest.mark.timeout(max(900, 30 * KILLS))
def test_a_file_has_its_checksum_or_no_manifest_names_it_however_often_the_publisher_is_killed(
    command: CommandLine, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A publisher is killed at random moments, most of them while it stages and renames.

    After each kill every directory with a manifest is whole, and finally a run publishes all,
    without a call.
    """
    rng = random.Random(SEED)
    batch = command.batch(TOPICS, "--format", "pdf", "--format", "docx")
    assert command.run(*batch).status == 0
    paid = len(asked(log))
    before = _runs(command.output)
    began = time.monotonic()
    whole = command.run(*batch)
    took = time.monotonic() - began
    publishing_s = whole.result["duration_s"]
    assert whole.result["calls"]["made"] == 0

    kills, published, wrong = 0, list[int](), Counter[str]()
    while kills < KILLS:
        before = _runs(command.output)
        enough, later = rng.randint(1, len(TOPICS)), rng.random() * 0.05
        if rng.random() < 0.2:  # at any time, from the first file to the end of the process
            enough, later = 0, rng.random() * publishing_s
        with command.started("run", *batch, "--json") as process:
            wait_until(
                lambda known=before, enough=enough: (
                    process.poll() is not None
                    or any(
                        _folders(command.output / r) >= enough
                        for r in _runs(command.output) - known
                    )
                ),
                every=0.001,
            )
            time.sleep(later)  # the moment of the kill is up to chance
            alive = process.poll() is None
            kill_group(process)
            if not alive:
                assert ended(process).status == 0
        [run] = _runs(command.output) - before
        if alive and not (command.output / run / "batch.json").exists():
            kills += 1
            published.append(len(list((command.output / run).glob("[!.]*/manifest.json"))))
            assert check_files(command.output) >= 2 * len(TOPICS) + sum(published)
            found = Verifier(LocalPlace(command.output / run)).verify().findings
            wrong.update(one.kind for one in found)
            assert {one.kind for one in found} == {"unfinished"}, found

    done = command.run(*batch)
    assert done.status == 0, done.err
    assert [r["status"] for r in done.result["reports"]] == ["published"] * len(TOPICS)
    assert len(asked(log)) == paid == 7 * len(TOPICS)
    assert Verifier(LocalPlace(Path(done.result["run_directory"]))).verify().status == "good"
    with capsys.disabled():
        midway = sum(0 < count < len(TOPICS) for count in published)
        print(  # noqa: T201
            f"\n{kills} kills, seed {SEED}, {midway} with some reports published and others not"
            f" ({min(published)} to {max(published)} of {len(TOPICS)}); 0 directories with a"
            f" manifest and a wrong or missing file; {wrong['unfinished']} things rightly called"
            f" unfinished; a whole run took {took:.1f} s, {publishing_s:.1f} s of it publication;"
            " the last run made 0 calls"
        )


def _folders(run: Path) -> int:
    """How many result directories are there, or being staged."""
    return sum(path.is_dir() for path in run.iterdir())


def _runs(output: Path) -> set[str]:
    return {path.name for path in output.iterdir() if path.is_dir()} if output.exists() else set()
