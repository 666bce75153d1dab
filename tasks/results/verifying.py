"""Whether result directories are as they were published: by their manifests and checksums.

Reads only. A run vouches for all its files with SHA256SUMS, a result directory for its own with
its manifest; both must hold, and what no list names must not be there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, TypeVar

from pydantic import ValidationError

from prefect_llm_reports.tasks.contract.branch_results import BranchBatchResult, BranchManifest
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.records import BATCH, MANIFEST, SHARDS, SUMS, Record
from prefect_llm_reports.tasks.contract.reports import BatchResult, Manifest, ReportResult
from prefect_llm_reports.tasks.storage.places import Place

READERS = 8
"""Result directories read at once; in S3 most of the time is waiting."""

_PAGES = ("index.html", "topics.csv")
_OF_A_RUN = {BATCH, SUMS, "topics.csv"}
_OF_A_REPORT = {MANIFEST, "output.json", "report.md", "report.html", "summary.txt", "history.json"}
_PARTIAL = re.compile(r"\..+\.[0-9a-f]{8}\.partial\Z")
_ASIDE = re.compile(r"\..+\.[0-9a-f]{8}\.old\Z")
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_COUNTED = ("score", "iterations", "stop_reason")
RecordType = TypeVar("RecordType", bound=Record)
AnyManifest = Manifest | BranchManifest


class Finding(Record):
    """One thing that is not as it should be."""

    kind: Literal["missing", "altered", "extra", "unfinished"]
    path: str
    detail: str


class Verification(Record):
    """What was looked at, and what was found."""

    location: str
    status: Literal["good", "wrong"]
    runs: int
    reports: int
    files: int
    bytes: int
    findings: list[Finding]


class Verifier:
    """Looks through an output folder, a run or one result directory.

    Args:
        place: Where to look.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.runs = self.reports = self.files = self.bytes = 0

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
            files=self.files,
            bytes=self.bytes,
            findings=findings,
        )

    def _output(self, names: set[str]) -> Iterator[Finding]:
        finished = False
        for name in sorted(names):
            inside = set(self.place.names(name))
            if inside & _OF_A_RUN or any(
                set(self.place.names(f"{name}/{folder}")) & _OF_A_REPORT for folder in inside
            ):
                finished = finished or BATCH in inside
                yield from self._run(f"{name}/")
        if finished and "index.html" not in names:
            yield self._finding("missing", "index.html", "the page of all runs is not there")

    def _run(self, at: str) -> Iterator[Finding]:
        """Check a run; `at` is its name and a slash, or nothing."""
        self.runs += 1
        names = set(self.place.names(at.rstrip("/"), hidden=True))
        batch: BatchResult | None = None
        answers = _answers_in(self.place.read(f"{at}{BATCH}"))
        if answers:
            yield from self._branch_run(at, answers, names)
            return
        sums: Mapping[str, str] = {}
        if BATCH in names:
            batch, found = self._read(f"{at}{BATCH}", BatchResult)
            yield from found
        if names & {BATCH, SUMS}:
            sums, found = self._sums(f"{at}{SUMS}", self.place.read(f"{at}{SUMS}"))
            yield from found
        if BATCH in names:
            for name in (*_PAGES, BATCH):
                yield from self._file(f"{at}{name}", None, sums.get(name), SUMS)
        else:
            yield self._finding(
                "unfinished", at + BATCH, "the run has not ended; run the same command again"
            )
        if batch:
            slugs = {r.slug for r in batch.reports if r.status == "published"}
        else:
            slugs = {n for n in names if not n.startswith(".") and self.place.names(at + n)}
        listed_slugs = {name.partition("/")[0] for name in sums if "/" in name}
        results = {r.slug: r for r in batch.reports} if batch else {}
        expected = sorted(slugs if batch else slugs | listed_slugs)

        def look(slug: str) -> list[Finding]:
            return list(self._report(f"{at}{slug}/", results.get(slug), sums))

        with ThreadPoolExecutor(READERS, thread_name_prefix="verify") as pool:
            for found in pool.map(look, expected):
                yield from found
        if batch:
            yield from self._agreement(at, batch, sums)
        for name in sorted(names - slugs - listed_slugs - _OF_A_RUN - set(_PAGES) - set(sums)):
            yield from self._extra(at, name)

    def _branch_run(self, at: str, batch: BranchBatchResult, names: set[str]) -> Iterator[Finding]:
        """Check a run of branches: its directories vouch for themselves, and it has no topics."""
        published = {i.slug for i in batch.inquiries if i.directory}
        for name in ("index.html", BATCH):
            if name not in names:
                yield self._finding("missing", at + name, "not there")
        for slug in sorted(published):
            yield from self._report(f"{at}{slug}/", None)
        for name in sorted(names - published - {"index.html", BATCH}):
            yield from self._extra(at, name)

    def _agreement(self, at: str, batch: BatchResult, sums: Mapping[str, str]) -> Iterator[Finding]:
        """Check that batch.json agrees with itself and with where it lies."""
        name = at.rstrip("/") or self.place.where.rstrip("/").rpartition("/")[2]
        if batch.run_id != name:
            yield self._finding("altered", at + BATCH, f"names the run {batch.run_id}")
        states = {report.status for report in batch.reports}
        fits = {
            "complete": states <= {"published"},
            "partial": "failed" in states and "not_started" not in states,
            "stopped": True,
        }
        if not fits[batch.status]:
            said = ", ".join(sorted(states))
            yield self._finding("altered", at + BATCH, f"{batch.status}, yet reports are {said}")
        published = {r.slug for r in batch.reports if r.status == "published"}
        for slug in sorted({n.partition("/")[0] for n in sums if "/" in n} - published):
            yield self._finding(
                "altered", at + BATCH, f"does not name {slug}, which {SUMS} lists as published"
            )

    def _report(
        self, at: str, result: ReportResult | None, sums: Mapping[str, str] | None = None
    ) -> Iterator[Finding]:
        """Check a result directory against its manifest, its run's checksums and its result."""
        self.reports += 1
        names = set(self.place.names(at.rstrip("/"), hidden=True))
        manifest: AnyManifest | None = None
        if MANIFEST in names:
            kind = BranchManifest if "output.json" in names else Manifest
            manifest, found = self._read(at + MANIFEST, kind)
            yield from found
        elif result or not names:
            yield self._finding("missing", at + MANIFEST, "the report is not published")
        else:
            yield self._finding(
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
                yield from self._file(at + name, entry.size, entry.sha256, MANIFEST)
            if name in within and not (entry and entry.sha256 == within[name]):
                yield from self._file(at + name, None, within[name], SUMS)
        if manifest:
            yield from self._same(at, manifest, result)
            for name in sorted(names - listed.keys() - within.keys() - {MANIFEST}):
                yield from self._extra(at, name)

    def _same(
        self, at: str, manifest: AnyManifest, result: ReportResult | None
    ) -> Iterator[Finding]:
        """Check that a manifest names its folder and agrees with batch.json."""
        folder = at.rstrip("/") or self.place.where.rstrip("/")
        if manifest.slug != folder.rpartition("/")[2]:
            yield self._finding("altered", at + MANIFEST, f"names the folder {manifest.slug}")
        if result is None or not isinstance(manifest, Manifest):
            return
        pairs = {name: (getattr(manifest, name), getattr(result, name)) for name in _COUNTED}
        pairs["topic"] = (manifest.topic.title, result.topic)
        for name, (here, there) in pairs.items():
            if here != there:
                yield self._finding(
                    "altered", at + MANIFEST, f"{name} is {here}, {BATCH} says {there}"
                )

    def _extra(self, at: str, name: str) -> Iterator[Finding]:
        if _PARTIAL.match(name):
            yield self._finding(
                "unfinished", at + name, "left by a killed run, or being written; a later run"
                " removes it"
            )  # fmt: skip
        elif name == SHARDS:
            said = "shards of the run are at work, or its process was killed; Retry the run"
            yield self._finding("unfinished", at + name, said)
        elif _ASIDE.match(name):
            yield self._finding("extra", at + name, "was moved aside; remove it if nobody needs it")
        else:
            yield self._finding("extra", at + name, "no list names it")

    def _file(
        self, path: str, size: int | None, sha256: str | None, said_by: str
    ) -> Iterator[Finding]:
        body = self.place.read(path)
        if body is None:
            yield self._finding("missing", path, f"{said_by} lists it" if sha256 else "not there")
            return
        self.files += 1
        self.bytes += len(body)
        found = hashlib.sha256(body).hexdigest()
        if sha256 is None:
            yield self._finding("altered", path, f"{said_by} does not list it")
        elif size not in (None, len(body)):
            yield self._finding("altered", path, f"{len(body)} bytes, {said_by} says {size}")
        elif found != sha256:
            yield self._finding(
                "altered", path, f"SHA-256 is {found[:12]}…, {said_by} says {sha256[:12]}…"
            )

    def _read(
        self, path: str, kind: type[RecordType]
    ) -> tuple[RecordType | None, Sequence[Finding]]:
        try:
            return kind.model_validate_json(self.place.read(path) or b""), ()
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            at = ".".join(str(part) for part in first["loc"])
            detail = f"not readable: {at + ': ' if at else ''}{first['msg']}"
            return None, (self._finding("altered", path, detail),)

    def _sums(self, path: str, body: bytes | None) -> tuple[dict[str, str], Sequence[Finding]]:
        if body is None:
            return {}, (self._finding("missing", path, "the run's checksums are not there"),)
        found: dict[str, str] = {}
        for number, line in enumerate(body.decode(errors="replace").splitlines(), 1):
            parts = _LINE.fullmatch(line)
            if parts is None:
                return found, (self._finding("altered", path, f"line {number} is no checksum"),)
            found[parts[2]] = parts[1]
        return found, ()

    def _finding(
        self, kind: Literal["missing", "altered", "extra", "unfinished"], name: str, detail: str
    ) -> Finding:
        return Finding(kind=kind, path=self.place.path(name), detail=detail)


def _answers_in(batch: bytes | None) -> BranchBatchResult | None:
    """The result of a run of branches; None: it is another run's, or damaged."""
    try:
        return BranchBatchResult.model_validate_json(batch or b"")
    except ValidationError:
        return None
