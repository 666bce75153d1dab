"""The flow that turns topics into result directories.

This file has no postponed annotations: Prefect validates parameters by them, and cannot look their
names up where it loads the file under another name.
"""

import asyncio
from typing import Annotated, Any, cast

from prefect import unmapped
from pydantic import Field

from prefect_llm_reports.flows.shards import run_shard
from prefect_llm_reports.flows.worker_home import topics_path
from prefect_llm_reports.tasks.contract.choices import (
    DEFAULT_ROUNDS,
    DEFAULT_THRESHOLD,
    REPORTS_FOLDER,
    ROUNDS,
    SCORES,
)
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.contract.reports import BatchResult, Topic
from prefect_llm_reports.tasks.contract.requests import BatchRequest
from prefect_llm_reports.tasks.contract.run_forms import (
    Default,
    EndpointName,
    FilePath,
    Lines,
    Name,
    Nothing,
    Output,
    begins,
)
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.llm.blocks import saved_endpoints
from prefect_llm_reports.tasks.reports.batch import BatchRun
from prefect_llm_reports.tasks.reports.checking import check_batch
from prefect_llm_reports.tasks.reports.quoting import quote_batch
from prefect_llm_reports.tasks.reports.refining import refine_report
from prefect_llm_reports.tasks.runtime.artifacts import show_quote
from prefect_llm_reports.tasks.runtime.context import of_a_deployment, report_run_name
from prefect_llm_reports.tasks.runtime.events import grouped_events
from prefect_llm_reports.tasks.runtime.flows import checked_flow
from prefect_llm_reports.tasks.runtime.runner import EventLoopTaskRunner, as_is
from prefect_llm_reports.tasks.runtime.states import quote_state, report_state
from prefect_llm_reports.tasks.shards.batch import SplitRun, shards_of

Topics = Annotated[list[str | Topic], Lines("With guidance")]


@checked_flow(
    name="report-batch",
    flow_run_name=report_run_name,
    persist_result=False,
    retries=0,
    task_runner=cast(Any, EventLoopTaskRunner()),
)
async def report_batch(
    topics: Annotated[Topics | Nothing, begins("")] = None,
    topics_file: Annotated[FilePath | Nothing, begins("")] = None,
    max_iterations: Annotated[int, Field(ge=ROUNDS.least, le=ROUNDS.most)] = DEFAULT_ROUNDS,
    quality_threshold: Annotated[float, Field(ge=SCORES.least, le=SCORES.most)] = DEFAULT_THRESHOLD,
    model: Annotated[Name | Default, begins("")] = None,
    output: Output = REPORTS_FOLDER,
    endpoint: Annotated[EndpointName | Default, begins("")] = None,
    options: ReportOptions | Default = None,
) -> BatchResult:
    """Write a report on each topic, refine it until it is good enough, and publish it.

    Every topic is drafted, critiqued, revised while that helps, summarized and written to a
    result directory. A topic that fails does not harm the others. Answers that an earlier run paid
    for are used again.

    Args:
        topics: The topics, one report for each: titles, or titles with guidance.
        topics_file: A file of topics (.txt, .yaml, .json, .csv or .xlsx), added to those above: a
            path on the worker, or s3://bucket/key.
        max_iterations: Rounds of critique for a report, 1 to 10.
        quality_threshold: Score from 1 to 10 at which a report is accepted; 8 is ready for
            publication.
        model: Model of writer, critic and summary; "offline" needs no endpoint. Empty: the
            endpoint's own default, else gpt-5-mini.
        output: Where the result directories go: a folder, s3://bucket/prefix, or s3-bucket/NAME
            for a saved S3Bucket block.
        endpoint: Name of a saved LLM endpoint. Empty: OPENAI_API_KEY and OPENAI_BASE_URL of the
            worker.
        options: Everything else: concurrency, budget, deadline, other models, style, store.

    Returns:
        The result of each topic, in input order, with calls, tokens and cost in US dollars. With
        the option `quote`: a `Quote`, and no report.

    Raises:
        BadInput: The request is invalid; no call was made.
    """
    settings = Settings()
    request = BatchRequest(
        topics=topics,
        topics_file=topics_path(topics_file),
        max_iterations=max_iterations,
        quality_threshold=quality_threshold,
        model=model,
        output=output,
        endpoint=endpoint or None,
        options=options,
    )
    saved = await saved_endpoints(request.saved_endpoints)
    batch = await asyncio.to_thread(check_batch, request, settings, saved)
    if batch.plan.options.quote:
        quote = await quote_batch(batch)
        await show_quote(quote)
        return cast("Any", quote_state(quote))
    async with grouped_events():
        if count := await shards_of(batch):
            async with SplitRun.opened(batch, settings, count, request.endpoint) as run:
                await run.gather(run_shard)
        else:
            async with BatchRun.opened(batch, settings) as run:
                refined = refine_report.map(batch.topics, unmapped(as_is(batch.plan)))
                if batch.plan.options.approval:
                    refined = await run.approved(refined)
                await run.finish_all(refined)
        result = await run.close()
    ending: Any = report_state(result, deployed=of_a_deployment())
    return ending
