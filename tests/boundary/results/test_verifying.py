"""`verify` finds whatever is missing, altered, extra or unfinished, and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from prefect_llm_reports.flows.cli.main import main
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.contract.records import (
    MANIFEST,
    Calls,
    ErrorReport,
    FileEntry,
    Usage,
)
from prefect_llm_reports.tasks.contract.reports import (
    BatchResult,
    Draft,
    Refined,
    ReportResult,
    Topic,
)
from prefect_llm_reports.tasks.reports.publishing import Publication, publish_run
from prefect_llm_reports.tasks.reports.questions import Plan
from prefect_llm_reports.tasks.results.verifying import Verification, Verifier
from prefect_llm_reports.tasks.storage.places import LocalPlace
from prefect_llm_reports.tasks.text.changes import compared
from tests.harness.pace import within

PLAN = Plan(
    endpoint="https://api.example/v1",
    model="m",
    max_iterations=3,
    quality_threshold=8,
    options=ReportOptions(),
)

RUN = "20260314T060000Z-5c1e77d0"
NOW = datetime(2026, 3, 14, 6, tzinfo=UTC)


def publish(output: Path, count: int = 3, *, failed: int = 1, run_id: str = RUN) -> Path:
    """A finished run with `count` published reports and `failed` others."""
    place, results = LocalPlace(output), list[ReportResult]()
    published: dict[str, list[FileEntry]] = {}
    for number in range(count):
        topic = Topic(title=f"Topic {number}")
        draft = Draft(number=1, parent=None, text=f"# Topic {number}\n\nText.", score=8)
        refined = Refined(
            topic=topic,
            drafts=(draft,),
            best=1,
            iterations=1,
            stop_reason="accepted",
            created=1,
            steps=(),
        )
        publication = Publication(refined, "Summary.", (), PLAN, run_id)
        files = publication.files(
            draft.text,
            "<p>Text.</p>",
            compared(None, draft.text),
            created=NOW,
            flow_run_id="f",
        )
        place.publish(f"{run_id}/{topic.slug}", files, MANIFEST)
        published[topic.slug] = [FileEntry.of(name, body) for name, body in files.items()]
        results.append(
            ReportResult(
                topic=topic.title,
                slug=topic.slug,
                status="published",
                score=8,
                iterations=1,
                stop_reason="accepted",
                directory=place.path(f"{run_id}/{topic.slug}"),
            )
        )
    for number in range(failed):
        topic = Topic(title=f"Failed {number}")
        error = ErrorReport(kind="answer_refused", message="no")
        results.append(
            ReportResult(topic=topic.title, slug=topic.slug, status="failed", error=error)
        )
    batch = BatchResult(
        run_id=run_id,
        status="partial" if failed else "complete",
        run_directory=place.path(run_id),
        started=NOW,
        duration_s=1.5,
        calls=Calls(made=7),
        usage=Usage(),
        cost_usd=Decimal("0.0000002"),
        reports=results,
    )
    publish_run(place, batch, published)
    return output / run_id


def verified(folder: Path) -> Verification:
    return Verifier(LocalPlace(folder)).verify()


def found(folder: Path) -> set[tuple[str, str]]:
    """Kind and path, from the folder on, of each finding."""
    return {
        (one.kind, str(Path(one.path).relative_to(folder))) for one in verified(folder).findings
    }


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run of three published reports and a failed one."""
    return publish(tmp_path)


@pytest.fixture
def report(run: Path) -> Path:
    """One of its result directories."""
    return sorted(path for path in run.iterdir() if path.is_dir())[0]


def test_what_was_published_is_good_as_a_whole_and_in_part(run: Path, report: Path) -> None:
    """An output, a run and a result directory are good as they were published, and when moved."""
    whole = verified(run.parent)
    assert (whole.status, whole.runs, whole.reports, whole.findings) == ("good", 1, 3, [])
    assert whole.files == 3 * 7 + 3
    assert (verified(run).status, verified(run).runs) == ("good", 1)
    assert (verified(report).status, verified(report).reports) == ("good", 1)
    moved = run.parent.with_name("elsewhere")
    run.parent.rename(moved)
    assert verified(moved).status == "good"


def test_every_flipped_byte_of_a_run_is_found(tmp_path: Path) -> None:
    """In a run of 100 reports a single altered byte is found, whichever file it is in."""
    run = publish(tmp_path, 100, failed=0)
    with within(5, time.process_time):
        assert verified(run).status == "good"
    rng = random.Random(7)
    report = rng.choice([path for path in run.iterdir() if path.is_dir()])
    for file in (*sorted(report.iterdir()), *(path for path in run.iterdir() if path.is_file())):
        body = bytearray(file.read_bytes())
        at = rng.randrange(len(body))
        body[at] ^= 1 << rng.randrange(8)
        before = file.read_bytes()
        file.write_bytes(body)
        findings = verified(run if file.parent == run else report).findings
        if file.name == MANIFEST:
            findings = verified(run).findings
        assert findings, f"{file.name}, byte {at}"
        if file.name != "SHA256SUMS":
            assert {one.path for one in findings} >= {str(file)}
        file.write_bytes(before)
    assert verified(run).status == "good"


def drop(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def add(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text("x")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (drop("report.html"), ("missing", "report.html")),
        (drop(MANIFEST), ("missing", MANIFEST)),
        (add("notes.txt"), ("extra", "notes.txt")),
        (add(".hidden"), ("extra", ".hidden")),
    ],
)
def test_one_thing_wrong_in_a_report_is_one_finding(
    run: Path, report: Path, change: Callable[[Path], object], expected: tuple[str, str]
) -> None:
    """A file that is gone, or that no list names, is found in the report it belongs to."""
    change(report)
    kind, name = expected
    assert found(run.parent) == {(kind, f"{RUN}/{report.name}/{name}")}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (drop("index.html"), {("missing", "index.html")}),
        (drop("topics.csv"), {("missing", "topics.csv")}),
        (drop("SHA256SUMS"), {("missing", "SHA256SUMS")}),
        (drop("batch.json"), {("unfinished", "batch.json")}),
        (add("more.html"), {("extra", "more.html")}),
        (add(".x.0a1b2c3d.partial"), {("unfinished", ".x.0a1b2c3d.partial")}),
    ],
)
def test_one_thing_wrong_in_a_run_is_found(
    run: Path, change: Callable[[Path], object], expected: set[tuple[str, str]]
) -> None:
    """A run without its pages, its list or its end is not taken for a good one."""
    change(run)
    assert expected <= found(run)
    assert {kind for kind, _ in found(run)} <= {kind for kind, _ in expected} | {"altered"}


def test_a_report_that_is_gone_or_came_from_nowhere_is_found(run: Path, report: Path) -> None:
    """A result directory that batch.json names must be there, and no other may."""
    shutil.copytree(report, run / "other-0a1b2c3d")
    shutil.rmtree(report)
    assert ("missing", f"{report.name}/{MANIFEST}") in found(run)
    assert ("extra", "other-0a1b2c3d") in found(run)


def test_lists_that_were_forged_together_still_disagree(run: Path, report: Path) -> None:
    """A score changed in the manifest, with every checksum mended, disagrees with batch.json."""
    manifest = report / MANIFEST
    before = manifest.read_bytes()
    manifest.write_bytes(before.replace(b'"score": 8.0', b'"score": 9.0'))
    sums = run / "SHA256SUMS"
    digests = [hashlib.sha256(body).hexdigest() for body in (before, manifest.read_bytes())]
    assert digests[0] != digests[1]
    sums.write_text(sums.read_text().replace(*digests))
    [finding] = verified(run).findings
    assert (finding.kind, finding.path) == ("altered", str(manifest))
    assert "score is 9.0, batch.json says 8.0" in finding.detail


def test_a_run_without_its_own_name_is_found(run: Path) -> None:
    """A run that lies under another name than it had is said to be another's."""
    renamed = run.with_name("20270101T000000Z-00000000")
    run.rename(renamed)
    assert found(renamed.parent) == {("altered", f"{renamed.name}/batch.json")}


def test_the_page_of_all_runs_belongs_to_an_output(run: Path) -> None:
    """An output folder with a finished run has a page that lists it."""
    (run.parent / "index.html").unlink()
    assert found(run.parent) == {("missing", "index.html")}


def test_the_command_line_says_it_with_its_exit_status(
    run: Path, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 0 all good, 1 something wrong with one line each, 2 nothing to look at; or as JSON."""
    assert main(["verify", str(run.parent)]) == 0
    assert capsys.readouterr().out.startswith("all good: 1 run, 3 reports, 24 files, ")
    (report / "report.md").write_text("other")
    assert main(["verify", str(run)]) == 1
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"altered     {report / 'report.md'}: 5 bytes, manifest.json says ")
    assert last.startswith("problems found: 1 altered; ")
    assert main(["verify", str(run), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["findings"][0]["kind"] == "altered"
    for nothing in (run.parent / "nowhere", run.parent.with_name("empty")):
        run.parent.with_name("empty").mkdir(exist_ok=True)
        assert main(["verify", str(nothing)]) == 2
        assert "does not exist or is empty" in capsys.readouterr().err
    other = run.parent.with_name("other")
    other.mkdir()
    (other / "notes.txt").write_text("x")
    assert main(["verify", str(other)]) == 2
    assert "no run and no report" in capsys.readouterr().err


def _listed(report: Path, name: str, body: bytes = b"root") -> None:
    """Make the manifest of a report list a file of this name."""
    about = json.loads((report / MANIFEST).read_text())
    about["files"].append(FileEntry.of(name, body).model_dump(mode="json"))
    (report / MANIFEST).write_text(json.dumps(about))


@pytest.mark.parametrize(
    "name", ["{secret}", "../../../secret", "a/../../../../secret", "link", "folder/secret", "//x"]
)
def test_nothing_outside_the_directory_is_read(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Absolute names, `..` and links that lead out are findings, and nothing there is opened."""
    run = publish(tmp_path / "out")
    report = sorted(path for path in run.iterdir() if path.is_dir())[0]
    secret = tmp_path / "secret"
    secret.write_bytes(b"root")
    (report / "link").symlink_to(secret)
    (report / "folder").symlink_to(tmp_path)
    opened: list[Path] = []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: opened.append(path) or read(path))
    name = name.format(secret=secret)
    _listed(report, name)
    details = {one.path: one.detail for one in verified(report).findings}
    assert "leads out of the folder and was not read" in details.values()
    assert not [path for path in opened if path.resolve() == secret]


@pytest.mark.parametrize("slug", ["../../outside", "/etc", "..", "."])
def test_a_result_that_names_a_folder_outside_is_not_followed(tmp_path: Path, slug: str) -> None:
    """A batch.json that names a folder elsewhere leads nowhere."""
    run = publish(tmp_path / "out")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "private.txt").write_text("x")
    about = json.loads((run / "batch.json").read_text())
    about["reports"][0]["slug"] = slug
    (run / "batch.json").write_text(json.dumps(about))
    whole = verified(run)
    assert whole.status == "wrong"
    assert "private" not in whole.model_dump_json()


def test_pipes_and_devices_are_not_waited_for(run: Path, report: Path) -> None:
    """A pipe or a device in the place of a file is a finding; reading it would never end."""
    (report / "report.md").unlink()
    os.mkfifo(report / "report.md")
    (report / "summary.txt").unlink()
    (report / "summary.txt").symlink_to("/dev/zero")
    details = [one.detail for one in verified(run).findings]
    assert any("a pipe or device, not a file" in detail for detail in details)
    assert any("leads out of the folder" in detail for detail in details)


def test_folders_of_others_are_no_runs(run: Path) -> None:
    """What others keep beside the runs is not verified, and no finding."""
    for name in ("lost+found", "node_modules", "downloads"):
        (run.parent / name / "x").mkdir(parents=True)
        (run.parent / name / "x" / "report.md").write_text("theirs")
        (run.parent / name / "SHA256SUMS").write_text("theirs")
        (run.parent / name / "topics.csv").write_text("theirs")
    assert (verified(run.parent).status, verified(run.parent).runs) == ("good", 1)


def test_a_foreign_front_page_is_no_finding(run: Path) -> None:
    """Where the front page is somebody else's, an output is whole with it."""
    (run.parent / "index.html").write_text("theirs")
    assert verified(run.parent).status == "good"


def test_names_reach_the_terminal_as_text(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Signs that a terminal would obey appear as text, in lines and in JSON."""
    bad = "\x1b]0;owned\x07\x9b2J\u202e.txt"
    _listed(report, bad)
    (report / f"extra{bad}").write_text("x")
    for options in ([], ["--json"]):
        assert main(["verify", str(report), *options]) == 1
        said = capsys.readouterr().out
        assert not [sign for sign in said if not sign.isprintable() and sign != "\n"]
    assert bad in {Path(one["path"]).name for one in json.loads(said)["findings"]}
