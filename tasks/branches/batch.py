"""A batch of inputs: the result of each, their directories, the run's page and batch.json.

Here: the parts that a batch has beyond a run of branches. Not here: how an input is answered
(`branches.run`), how pages look (`branches.pages`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from prefect.futures import PrefectFuture
from prefect.runtime import flow_run

from prefect_llm_reports.tasks.branches.asking import Answered
from prefect_llm_reports.tasks.branches.checking import CheckedProgram
from prefect_llm_reports.tasks.branches.pages import branch_files, branch_run_page
from prefect_llm_reports.tasks.branches.questions import Inquiry
from prefect_llm_reports.tasks.branches.run import BranchRun
from prefect_llm_reports.tasks.contract.branch_results import (
    BranchBatchResult,
    BranchesResult,
    InquiryResult,
)
from prefect_llm_reports.tasks.contract.errors import ReportsError, StorageError
from prefect_llm_reports.tasks.contract.records import BATCH, MANIFEST, OFFLINE, ErrorReport
from prefect_llm_reports.tasks.contract.run_requests import REQUEST
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.results.index import publish_index
from prefect_llm_reports.tasks.results.killed import at_work
from prefect_llm_reports.tasks.results.manifests import new_run_id, pretty_json
from prefect_llm_reports.tasks.runtime.context import flow_run_here
from prefect_llm_reports.tasks.runtime.memory import forget_results
from prefect_llm_reports.tasks.runtime.runner import ended, forget
from prefect_llm_reports.tasks.storage.places import Place


class BranchBatch:
    """One run of a program over many inputs.

    Args:
        checked: The program, its inputs, where to ask, and where results go.
        settings: The environment.
    """

    def __init__(self, checked: CheckedProgram, settings: Settings) -> None:
        assert checked.output is not None
        self._place: Place = checked.output
        self._run = BranchRun(checked, settings)
        self._run_id = ""
        self._unwritten = False
        self._concluded: BranchBatchResult | None = None
        self._results: dict[str, InquiryResult] = {}
        self._started = datetime.now(UTC)
        self._clock = time.monotonic()

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Choose the run's directory, keep the request, and write the run's page at the end."""
        self._run_id = await asyncio.to_thread(new_run_id, flow_run_here(), self._place)
        with at_work(self._place, self._run_id):
            if kept := self._run.checked.kept:
                name = f"{self._run_id}/{REQUEST}"
                await asyncio.to_thread(self._place.write, name, pretty_json(kept))
            async with self._run.open(self._conclude):
                yield

    async def finish_all(self, answering: Sequence[PrefectFuture[Any]]) -> None:
        """Publish every input as soon as it is answered."""
        await asyncio.gather(*map(self._finish, self._run.checked.inquiries, answering))

    async def _finish(self, inquiry: Inquiry, answering: PrefectFuture[Any]) -> None:
        """Publish one input; an error ends this input only."""
        try:
            answered: tuple[BranchesResult, Answered] = await ended(answering)
            result, done = answered
            directory = await self._publish(inquiry, result, done) if result.answered else None
            found = self._run.inquiry_result(
                inquiry, result.status, result.error, result, directory
            )
        except ReportsError as error:
            if error.reach == "fatal":
                self._run.stop(error)
            found = self._run.inquiry_result(inquiry, "failed", error.report())
        except Exception as error:
            self._run.log.exception("%s: unexpected %s", inquiry.slug, type(error).__name__)
            found = self._run.inquiry_result(inquiry, "failed", ErrorReport.unexpected(error))
        forget(answering)
        forget_results()
        self._results[inquiry.slug] = found
        if self._run.progress:
            self._run.progress.add(found)

    async def _publish(self, inquiry: Inquiry, result: BranchesResult, done: Answered) -> str:
        """Write one input's result directory, whole or not at all; return its full name."""
        files = branch_files(
            result,
            inquiry=inquiry,
            program=self._run.program,
            steps=done.steps,
            created=datetime.now(UTC),
            flow_run_id=flow_run.get_id(),
        )
        folder = f"{self._run_id}/{inquiry.slug}"
        await asyncio.to_thread(self._place.publish, folder, files, MANIFEST)
        return self._place.path(folder)

    def result(self) -> BranchBatchResult:
        """The batch so far; an input without a result counts as stopped."""
        run = self._run
        found = [
            self._results.get(inquiry.slug) or run.inquiry_result(inquiry, "stopped")
            for inquiry in run.checked.inquiries
        ]
        statuses = {item.status for item in found}
        if "stopped" in statuses or self._unwritten:
            status = "stopped"
        else:
            status = "complete" if statuses == {"complete"} else "partial"
        total = run.session.ledger.total
        return BranchBatchResult(
            run_id=self._run_id,
            status=status,
            run_directory=self._place.path(self._run_id),
            offline=run.program.model == OFFLINE,
            started=self._started,
            duration_s=round(time.monotonic() - self._clock, 3),
            calls=total.calls,
            usage=total.usage,
            cost_usd=total.cost_usd,
            merge=run.program.merge,
            branches=tuple(node.name for node in run.program.nodes),
            inquiries=found,
            error=run.stopped.report() if run.stopped and status != "complete" else None,
            warnings=run.warnings,
        )

    async def _conclude(self) -> None:
        """Write the run's page, then batch.json."""
        self._run.interruption.let_conclude()
        result = self.result()
        try:
            await asyncio.to_thread(publish_run, self._place, result)
        except StorageError as error:
            self._run.stop(error)
            self._unwritten = True
            self._run.log.error("the run's pages could not be written: %s", error)
            result = self.result()
        self._concluded = result
        if self._run.progress:
            self._run.progress.result = result

    async def close(self) -> BranchBatchResult:
        """Return the result of the batch, or end by the signal that came."""
        assert self._concluded is not None
        await self._run.interruption.end()
        return self._concluded


def publish_run(place: Place, result: BranchBatchResult) -> None:
    """Write the page of a finished run, and batch.json, which marks it as finished.

    Args:
        place: Where runs are kept.
        result: The result of the run.
    """
    place.write(f"{result.run_id}/index.html", branch_run_page(result).encode())
    place.write(f"{result.run_id}/{BATCH}", pretty_json(result))
    publish_index(place, result.run_id)
