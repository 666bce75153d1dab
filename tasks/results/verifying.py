"""Verification: are runs and result directories still as they were published?

It only reads. SHA256SUMS lists all files of a run, and a manifest those of its result directory.
Both lists must be right, and every file must stand in one. How a single file is checked is in
`results.checks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from pydantic import ValidationError

from prefect_llm_reports.tasks.contract.branch_results import BranchBatchResult, BranchManifest
from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError
from prefect_llm_reports.tasks.contract.evidence import Evidence
from prefect_llm_reports.tasks.contract.records import BATCH, MANIFEST, SUMS, Record
from prefect_llm_reports.tasks.contract.reports import BatchResult, Manifest, ReportResult
from prefect_llm_reports.tasks.contract.run_requests import REQUEST
from prefect_llm_reports.tasks.results.checks import Files, Finding
from prefect_llm_reports.tasks.results.evidence import EVIDENCE, Proof, proved
from prefect_llm_reports.tasks.results.index import INDEX, OTHER_INDEX, is_run_id
from prefect_llm_reports.tasks.storage.places import Place

READERS = 8
"""Result directories read at once; in S3 most of the time passes with waiting."""

_PAGES = ("index.html", "topics.csv")
_OF_A_RUN = {BATCH, SUMS, "topics.csv"}
_OF_A_REPORT = {MANIFEST, "output.json", "report.md", "report.html", "summary.txt", "history.json"}
_COUNTED = ("score", "iterations", "stop_reason", "evidence")
AnyManifest = Manifest | BranchManifest


class Verification(Record):
    """The result of a verification.

    Attributes:
        quotations: Quotations of reports that were looked for again in their passages.
        doubtful: Claims that reports themselves record as doubtful; that is no finding.
    """

    location: str
    status: Literal["good", "wrong"]
    runs: int
    reports: int
    files: int
    bytes: int
    quotations: int = 0
    doubtful: int = 0
    findings: list[Finding]


class Verifier:
    """Verifies an output folder, a run or one result directory.

    Args:
        place: The folder, run or result directory.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.files = Files(place)
        self.runs = 0
        self.reports = 0
        self._proofs: list[Proof] = []

    def verify(self) -> Verification:
        """Check everything that is there.

        Raises:
            BadInput: There is no run and no report.
            StorageError: The place cannot be read.
        """
        names = set(self.place.names())
        if names & _OF_A_RUN:
            findings = list(self._run(""))
        elif names & _OF_A_REPORT:
            self.reports = 1
            findings = list(self._report("", None))
        else:
            findings = list(self._output(names))
        if not self.runs and not self.reports:
            raise BadInput(
                f"{self.place.where}: no run and no report in it; give an output folder, a run or"
                " a result directory"
            )
        return Verification(
            location=self.place.where,
            status="wrong" if findings else "good",
            runs=self.runs,
            reports=self.reports,
            files=self.files.count,
            bytes=self.files.bytes,
            quotations=sum(proof.quotations for proof in self._proofs),
            doubtful=sum(proof.doubtful for proof in self._proofs),
            findings=findings,
        )

    def _output(self, names: set[str]) -> Iterator[Finding]:
        finished = False
        for name in sorted(names):
            try:
                inside = self.files.names(name, hidden=False)
                if not self._is_run(name, inside):
                    continue
            except StorageError:  # somebody else's folder
                continue
            finished = finished or BATCH in inside
            yield from self._run(f"{name}/")
        if finished and not names & {INDEX, OTHER_INDEX}:
            yield self.files.finding("missing", INDEX, "the page of all runs is not there")

    def _is_run(self, name: str, inside: set[str]) -> bool:
        """Whether a folder is a run: by its name, or by the result that it holds."""
        if is_run_id(name):
            return bool(inside)
        return BATCH in inside and bool(inside & {SUMS, INDEX})

    def _run(self, at: str) -> Iterator[Finding]:
        """Check a run; `at` is its name and a slash, or nothing."""
        self.runs += 1
        names = self.files.names(at)
        batch: BatchResult | None = None
        answers = _branch_batch(self.files.read(f"{at}{BATCH}"))
        if answers:
            yield from self._branch_run(at, answers, names)
            return
        sums: Mapping[str, str] = {}
        if BATCH in names:
            batch, found = self.files.record(f"{at}{BATCH}", BatchResult)
            yield from found
        if names & {BATCH, SUMS}:
            sums, found = self.files.checksums(f"{at}{SUMS}")
            yield from found
        if BATCH in names:
            for name in (*_PAGES, BATCH):
                yield from self.files.check(f"{at}{name}", None, sums.get(name), SUMS)
        else:
            yield self.files.finding(
                "unfinished",
                at + BATCH,
                "the run has not ended; if it was killed: llm-reports runs close or remove",
            )
        if batch:
            slugs = {r.slug for r in batch.reports if r.status == "published"}
        else:
            slugs = {
                n for n in names if not n.startswith(".") and self.files.names(at + n, hidden=False)
            }
        listed_slugs = {name.partition("/")[0] for name in sums if "/" in name}
        results = {r.slug: r for r in batch.reports} if batch else {}
        expected = sorted(slugs if batch else slugs | listed_slugs)
        self.reports += len(expected)

        def look(slug: str) -> list[Finding]:
            try:
                return list(self._report(f"{at}{slug}/", results.get(slug), sums))
            except StorageError as error:
                return [self.files.finding("altered", at + slug, str(error))]

        with ThreadPoolExecutor(READERS, thread_name_prefix="verify") as pool:
            for found in pool.map(look, expected):
                yield from found
        if batch:
            yield from self._agreement(at, batch, sums)
        own = {*_OF_A_RUN, *_PAGES, *sums}
        if batch is None:  # the checksums of a finished run have it
            own.add(REQUEST)
        for name in sorted(names - slugs - listed_slugs - own):
            yield self.files.unlisted(at + name)

    def _branch_run(self, at: str, batch: BranchBatchResult, names: set[str]) -> Iterator[Finding]:
        """Check a run of branches: it has no topics, and no list but its directories' manifests."""
        published = {i.slug for i in batch.inquiries if i.directory}
        for name in ("index.html", BATCH):
            if name not in names:
                yield self.files.finding("missing", at + name, "not there")
        self.reports += len(published)
        for slug in sorted(published):
            yield from self._report(f"{at}{slug}/", None)
        for name in sorted(names - published - {"index.html", BATCH, REQUEST}):
            yield self.files.unlisted(at + name)

    def _agreement(self, at: str, batch: BatchResult, sums: Mapping[str, str]) -> Iterator[Finding]:
        """Check that batch.json agrees with itself and with where it lies."""
        name = at.rstrip("/") or self.place.where.rstrip("/").rpartition("/")[2]
        if batch.run_id != name:
            yield self.files.finding("altered", at + BATCH, f"names the run {batch.run_id}")
        states = {report.status for report in batch.reports}
        fits = {
            "complete": states <= {"published", "held_back"},
            "partial": "failed" in states and "not_started" not in states,
            "stopped": True,
        }
        if not fits[batch.status]:
            said = ", ".join(sorted(states))
            yield self.files.finding(
                "altered", at + BATCH, f"{batch.status}, yet reports are {said}"
            )
        published = {r.slug for r in batch.reports if r.status == "published"}
        for slug in sorted({n.partition("/")[0] for n in sums if "/" in n} - published):
            yield self.files.finding(
                "altered", at + BATCH, f"does not name {slug}, which {SUMS} lists as published"
            )

    def _report(
        self, at: str, result: ReportResult | None, sums: Mapping[str, str] | None = None
    ) -> Iterator[Finding]:
        """Check a result directory against its manifest, its run's checksums and its result."""
        names = self.files.names(at)
        manifest: AnyManifest | None = None
        if MANIFEST in names:
            kind = BranchManifest if "output.json" in names else Manifest
            manifest, found = self.files.record(at + MANIFEST, kind)
            yield from found
        elif result or not names:
            yield self.files.finding("missing", at + MANIFEST, "the report is not published")
        else:
            yield self.files.finding(
                "unfinished", at + MANIFEST, "the report was not published to the end"
            )
        folder = at.rstrip("/").rpartition("/")[2] + "/"
        within = {
            name.removeprefix(folder): digest
            for name, digest in (sums or {}).items()
            if name.startswith(folder)
        }
        listed = {entry.name: entry for entry in manifest.files} if manifest else {}
        for name in sorted(listed.keys() | within.keys()):
            entry = listed.get(name)
            if entry:
                yield from self.files.check(at + name, entry.size, entry.sha256, MANIFEST)
            if name in within and not (entry and entry.sha256 == within[name]):
                yield from self.files.check(at + name, None, within[name], SUMS)
        if isinstance(manifest, Manifest) and EVIDENCE in names:
            yield from self._evidence(at, manifest)
        if manifest:
            yield from self._same(at, manifest, result)
            for name in sorted(names - listed.keys() - within.keys() - {MANIFEST}):
                yield self.files.unlisted(at + name)

    def _evidence(self, at: str, manifest: Manifest) -> Iterator[Finding]:
        """Look for every quotation of a report again, in the passages that it keeps."""
        evidence, found = self.files.record(at + EVIDENCE, Evidence)
        yield from found
        if evidence is None:
            return
        proof = proved(evidence, manifest.evidence)
        self._proofs.append(proof)
        for problem in proof.problems:
            yield self.files.finding("altered", at + EVIDENCE, problem)

    def _same(
        self, at: str, manifest: AnyManifest, result: ReportResult | None
    ) -> Iterator[Finding]:
        """Check that a manifest names its folder and agrees with batch.json."""
        folder = at.rstrip("/") or self.place.where.rstrip("/")
        if manifest.slug != folder.rpartition("/")[2]:
            yield self.files.finding("altered", at + MANIFEST, f"names the folder {manifest.slug}")
        if result is None or not isinstance(manifest, Manifest):
            return
        pairs = {name: (getattr(manifest, name), getattr(result, name)) for name in _COUNTED}
        pairs["topic"] = (manifest.topic.title, result.topic)
        for name, (here, there) in pairs.items():
            if here != there:
                yield self.files.finding(
                    "altered", at + MANIFEST, f"{name} is {here}, {BATCH} says {there}"
                )


def _branch_batch(batch: bytes | None) -> BranchBatchResult | None:
    """Read the result of a run of branches; None: of another run, or damaged."""
    try:
        return BranchBatchResult.model_validate_json(batch or b"")
    except ValidationError:
        return None
