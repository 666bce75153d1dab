"""What a run publishes: formats, schemas, checksums, and nothing left of those that were killed."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from prefect_llm_reports.flows.branches import branch_batch
from prefect_llm_reports.tasks.contract.errors import BadInput, FormatFailed
from prefect_llm_reports.tasks.contract.reports import BatchResult
from prefect_llm_reports.tasks.reports import checking
from prefect_llm_reports.tasks.results.file_schemas import SCHEMAS
from prefect_llm_reports.tasks.results.verifying import Verifier
from prefect_llm_reports.tasks.runtime.runner import BackPressure
from prefect_llm_reports.tasks.storage.places import LocalPlace
from tests.flow.conftest import Bench
from tests.harness import faults
from tests.harness.endpoint import Endpoint
from tests.harness.pace import PATIENCE_S
from tests.harness.processes import wait_until

BOTH = {"formats": ["pdf", "docx"]}
TOPICS = ["Tidal power", "C++"]


def files(result: BatchResult) -> list[dict[str, bytes]]:
    """The files of each result directory, by name."""
    directories = [Path(r.directory) for r in result.reports if r.directory]
    return [{p.name: p.read_bytes() for p in d.iterdir()} for d in directories]


def test_formats_are_published_with_the_report_and_never_buy_it_again(
    bench: Bench, endpoint: Endpoint
) -> None:
    """With `formats` each directory has these files too, listed, equal in every run, no call."""
    plain = bench.run(endpoint, TOPICS)
    calls = len(endpoint.requests)
    first = bench.run(endpoint, TOPICS, options=BOTH)
    second = bench.run(endpoint, TOPICS, options=BOTH)

    assert len(endpoint.requests) == calls == 14
    assert plain.warnings == first.warnings == []
    for before, one, two in zip(files(plain), files(first), files(second), strict=True):
        assert one.keys() - before.keys() == {"report.pdf", "report.docx"}
        assert one["report.pdf"].startswith(b"%PDF")
        for name in one.keys() - {"manifest.json", "changes.md", "index.html"}:  # since which run
            assert one[name] == two[name], name
    for manifest in bench.manifests(first):
        assert {"report.pdf", "report.docx"} <= {entry.name for entry in manifest.files}
        assert manifest.options["formats"] == ["pdf", "docx"]
        assert manifest.warnings == []
    assert Verifier(LocalPlace(bench.output)).verify().findings == []


def test_what_waits_to_be_published_is_bounded(
    bench: Bench, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where files are written more slowly than drafts, no heap of finished reports is left."""
    waiting: list[str] = []
    held: list[BackPressure] = []
    begun: set[str] = set()
    go_on = threading.Event()
    publish, room = LocalPlace.publish, BackPressure.room

    def slow(place: LocalPlace, folder: str, *rest: Any) -> bool:
        waiting.append(folder)
        assert go_on.wait(PATIENCE_S)
        return publish(place, folder, *rest)

    async def counted(pressure: BackPressure) -> None:
        held.append(pressure)
        await room(pressure)
        held.remove(pressure)

    def nothing_moves() -> bool:
        """Whether all that has begun waits to be written, and what has not waits for room."""
        begun.update(request.topic for request in endpoint.requests)
        return bool(held) and len(waiting) == len(begun)

    def look() -> None:
        try:
            wait_until(nothing_moves)
        finally:
            go_on.set()

    monkeypatch.setattr(LocalPlace, "publish", slow)
    monkeypatch.setattr(BackPressure, "room", counted)
    looking = threading.Thread(target=look)
    looking.start()
    result = bench.run(
        endpoint, [f"Topic number {n}" for n in range(12)], options={"concurrency": 1}
    )
    looking.join()

    assert {report.status for report in result.reports} == {"published"}
    assert 1 <= len(begun) <= 4  # two at once, and those that began as two were finished
    assert len(endpoint.requests) == 7 * 12


@pytest.mark.parametrize("error", [FormatFailed("report.pdf: no"), ZeroDivisionError("secret")])
def test_a_format_that_fails_is_said_and_the_report_is_published(
    bench: Bench, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A formatter that fails on one report costs this file; result and manifest say so."""
    from prefect_llm_reports.tasks.pages import pdf

    real = pdf.pdf_of

    def fails_once(document: Any) -> bytes:
        if "C++" in document.title:
            raise error
        return real(document)

    monkeypatch.setattr(pdf, "pdf_of", fails_once)
    result = bench.run(endpoint, TOPICS, options=BOTH)

    assert result.status == "complete"
    [warning] = result.warnings
    slug = result.reports[1].slug
    assert warning.startswith(f"{slug}: published without report.pdf: ")
    assert "secret" not in warning
    whole, lacking = bench.manifests(result)
    assert (whole.warnings, lacking.warnings) == ([], [warning])
    assert "report.pdf" in {entry.name for entry in whole.files}
    assert {e.name for e in lacking.files} & {"report.pdf", "report.docx"} == {"report.docx"}
    assert Verifier(LocalPlace(bench.output)).verify().findings == []


def test_a_missing_extra_is_found_before_any_call(
    bench: Bench, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the library of a format nothing is asked, and what installs it is said."""
    monkeypatch.setattr(checking, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"pip install 'prefect-llm-reports\[pdf\]'"):
        bench.run(endpoint, TOPICS, options={"formats": ["pdf"]})
    assert endpoint.requests == []


def test_what_is_published_fits_the_published_schemas(bench: Bench, endpoint: Endpoint) -> None:
    """Files of a complete, a partial and a stopped run all validate; topics.csv has its columns."""
    prices = {"gpt-5-mini": {"input": "0.00001", "output": "0.000003"}}
    runs = [bench.run(endpoint, TOPICS, options={**BOTH, "prices": prices})]
    endpoint.fail(faults.error(400, "no"), topic="Heat", times=None)
    runs.append(bench.run(endpoint, [*TOPICS, "Heat pumps"], options={"candidates": 2}))
    endpoint.fail(faults.unauthorized(), topic="Rust", times=None)
    runs.append(bench.run(endpoint, ["Rust", "Go"], options={"concurrency": 1}))

    assert [run.status for run in runs] == ["complete", "partial", "stopped"]
    checked = set[str]()
    for name in ("batch", "history", "manifest"):
        schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
        validator = Draft202012Validator(schema)
        for path in bench.output.glob(f"**/{name}.json"):
            validator.validate(json.loads(path.read_text()))
            checked.add(path.name)
    assert checked == {"batch.json", "history.json", "manifest.json"}
    table = json.loads((SCHEMAS / "topics.table.json").read_text())
    with (Path(runs[1].run_directory) / "topics.csv").open(encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        assert rows.fieldnames == [field["name"] for field in table["schema"]["fields"]]
        assert [row["status"] for row in rows] == ["published", "published", "failed"]


def test_checksums_are_those_that_every_system_knows(bench: Bench) -> None:
    """`sha256sum -c SHA256SUMS` in a run's folder checks everything that was published there."""
    result = bench.run(None, TOPICS)
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=result.run_directory,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    there = {p for p in Path(result.run_directory).rglob("*") if p.is_file()}
    assert len(done.stdout.splitlines()) == len(there) - 1


def test_a_run_removes_what_killed_runs_left_and_nothing_else(bench: Bench) -> None:
    """Old remains of killed runs are swept when a run starts; young ones may be somebody's."""
    run = Path(bench.run(None, ["C++"]).run_directory)
    old, young = run / ".tidal.0a1b2c3d.partial", run / ".tidal.1a1b2c3d.partial"
    for left in (old, young):
        left.mkdir()
        (left / "report.md").write_text("half")
    os.utime(old, (0, 0))
    bench.run(None, ["C++"])

    assert not old.exists()
    assert young.exists()
    findings = Verifier(LocalPlace(bench.output)).verify().findings
    assert [(one.kind, one.path) for one in findings] == [("unfinished", str(young))]


def test_a_run_of_branches_is_verified_by_its_manifests(bench: Bench) -> None:
    """Result directories of branches are good as published, and an altered one is found."""
    result = asyncio.run(
        branch_batch(
            queries=["Why C++?", "Tidal power?"],
            model="offline",
            output=str(bench.output),
            options={"store": str(bench.store)},
        )
    )
    before = Verifier(LocalPlace(bench.output)).verify()
    altered = Path(result.inquiries[0].directory or "") / "output.html"
    altered.write_bytes(altered.read_bytes()[:-1])
    (Path(result.run_directory) / "index.html").unlink()

    assert (before.runs, before.reports, before.findings) == (1, 2, [])
    findings = Verifier(LocalPlace(bench.output)).verify().findings
    assert [(one.kind, one.path) for one in findings] == [
        ("missing", f"{result.run_directory}/index.html"),
        ("altered", str(altered)),
    ]
