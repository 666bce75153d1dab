"""Publishing: result directories and the pages of a run are written to the output.

Not here: how pages look (`pages`), how they are verified later (`results`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from prefect import task
from prefect.runtime import flow_run

from prefect_llm_reports.tasks.calls.policies import LOCAL_STEP
from prefect_llm_reports.tasks.contract.calls import StepRecord
from prefect_llm_reports.tasks.contract.provenance import Provenance
from prefect_llm_reports.tasks.contract.records import (
    BATCH,
    MANIFEST,
    OFFLINE,
    SUMS,
    FileEntry,
)
from prefect_llm_reports.tasks.contract.reports import BatchResult, ChangeCount, Manifest, Refined
from prefect_llm_reports.tasks.contract.run_requests import REQUEST, KeptRequest
from prefect_llm_reports.tasks.pages.reader import reader_page
from prefect_llm_reports.tasks.pages.report import (
    evidence_json,
    history_json,
    report_html,
    report_markdown,
    summary_text,
)
from prefect_llm_reports.tasks.pages.runs import run_page
from prefect_llm_reports.tasks.pages.topics_csv import topics_csv
from prefect_llm_reports.tasks.reports.checking import CheckedBatch
from prefect_llm_reports.tasks.reports.questions import Plan
from prefect_llm_reports.tasks.results.index import publish_index
from prefect_llm_reports.tasks.results.manifests import (
    pretty_json,
    published_already,
    shared_fields,
)
from prefect_llm_reports.tasks.storage.places import Place
from prefect_llm_reports.tasks.text.changes import Changes, Earlier, changes_markdown, compared

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Publication:
    """A finished report, and how it was made.

    Attributes:
        earlier: The last report on the topic before this one.
        documents: Files of optional formats, by name.
        warnings: Files that could not be made.
        provenance: Who made the report and decided on it.
    """

    refined: Refined
    summary: str
    steps: tuple[StepRecord, ...]
    plan: Plan
    run_id: str
    earlier: Earlier | None = None
    documents: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    warnings: tuple[str, ...] = ()
    provenance: Provenance | None = None

    @property
    def offline(self) -> bool:
        """Whether the embedded engine wrote it."""
        return self.plan.model == OFFLINE

    def files(
        self,
        markdown: str,
        html: str,
        changes: Changes,
        *,
        created: datetime,
        flow_run_id: str | None,
    ) -> dict[str, bytes]:
        """Make the files of the result directory, the manifest last.

        Args:
            markdown: Text of report.md.
            html: Text of report.html.
            changes: Changes since the last report on the topic.
            created: When the directory is written, UTC.
            flow_run_id: The Prefect flow run.
        """
        refined = self.refined
        said = changes_markdown(changes, refined.topic.title, refined.winner.score)
        files = {
            "report.md": markdown.encode(),
            "report.html": html.encode(),
            "summary.txt": summary_text(self.summary).encode(),
            "history.json": history_json(refined).encode(),
            "changes.md": said.encode(),
            **_evidence(refined),
            **self.documents,
        }
        page = reader_page(
            refined,
            self.summary,
            markdown,
            changes,
            {name: len(body) for name, body in files.items()},
            offline=self.offline,
            templates=self.plan.options.templates,
            provenance=self.provenance,
        )
        files["index.html"] = page.encode()
        manifest = Manifest(
            topic=refined.topic,
            slug=refined.topic.slug,
            score=refined.winner.score,
            iterations=refined.iterations,
            stop_reason=refined.stop_reason,
            offline=self.offline,
            options=self.plan.chosen,
            warnings=list(self.warnings),
            provenance=self.provenance,
            evidence=refined.winner.evidence,
            **shared_fields(self.steps, files, created=created, flow_run_id=flow_run_id),
        )
        return {**files, MANIFEST: pretty_json(manifest)}


def _evidence(refined: Refined) -> dict[str, bytes]:
    """The file of evidence, for a report that has sources."""
    found = refined.evidence
    return {"evidence.json": evidence_json(found).encode()} if found else {}


@dataclass(frozen=True)
class Published:
    """A result directory that has been written.

    Attributes:
        directory: Its full name.
        changes: Changes since the last report on the topic.
    """

    directory: str
    files: tuple[FileEntry, ...]
    changes: ChangeCount


@task(task_run_name="publish · {publication.refined.topic.short}", **LOCAL_STEP)
async def publish_report(
    publication: Publication, place: Place, markdown: str, html: str
) -> Published:
    """Write one result directory, whole or not at all."""
    return await write_report(publication, place, markdown, html)


async def write_report(
    publication: Publication, place: Place, markdown: str = "", html: str = ""
) -> Published:
    """Write one result directory, whole or not at all.

    Args:
        publication: The report.
        place: Where runs are kept.
        markdown: Text of report.md; empty: made here.
        html: Text of report.html; empty: made here.
    """
    refined, offline = publication.refined, publication.offline
    templates = publication.plan.options.templates
    provenance = publication.provenance
    markdown = markdown or report_markdown(refined, offline=offline, provenance=provenance)
    changes = compared(publication.earlier, markdown)
    files = publication.files(
        markdown,
        html
        or report_html(
            refined,
            publication.summary,
            offline=offline,
            templates=templates,
            provenance=provenance,
        ),
        changes,
        created=datetime.now(UTC),
        flow_run_id=flow_run.get_id(),
    )
    folder = f"{publication.run_id}/{refined.topic.slug}"
    entries = [FileEntry.of(name, body) for name, body in files.items()]
    if not await asyncio.to_thread(place.publish, folder, files, MANIFEST):
        _, entries = await asyncio.to_thread(published_already, place, folder)
    return Published(place.path(folder), tuple(entries), changes.count)


def publish_topics(place: Place, result: BatchResult) -> None:
    """Write topics.csv: the state of each topic so far."""
    place.write(f"{result.run_id}/topics.csv", topics_csv(result).encode("utf-8-sig"))


def publish_request(batch: CheckedBatch, run_id: str) -> None:
    """Write request.json, from which the request can be run again."""
    kept = KeptRequest(
        topics=tuple(batch.topics), options=batch.plan.chosen, saved_endpoint=batch.saved_endpoint
    )
    batch.output.write(f"{run_id}/{REQUEST}", pretty_json(kept))


def publish_run(
    place: Place,
    result: BatchResult,
    published: Mapping[str, Sequence[FileEntry]],
    templates: str | None = None,
) -> None:
    """Write the pages of a finished run; batch.json comes last and marks it as finished.

    Args:
        place: Where runs are kept.
        result: The result of the run.
        published: Files of the result directories, by slug.
        templates: Folder of the user's own page templates.
    """
    pages = {
        "topics.csv": topics_csv(result).encode("utf-8-sig"),
        "index.html": run_page(result, templates).encode(),
    }
    batch = pretty_json(result)
    request = place.read(f"{result.run_id}/{REQUEST}")
    kept = {REQUEST: request} if request else {}
    own = {**kept, **pages, BATCH: batch}
    listed = {
        **{f"{slug}/{entry.name}": entry for slug in published for entry in published[slug]},
        **{name: FileEntry.of(name, body) for name, body in own.items()},
    }
    sums = "".join(f"{entry.sha256}  {name}\n" for name, entry in sorted(listed.items()))
    for name, body in {**pages, SUMS: sums.encode(), BATCH: batch}.items():
        place.write(f"{result.run_id}/{name}", body)
    publish_index(place, result.run_id, templates)
