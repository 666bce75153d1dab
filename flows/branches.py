"""The flows that ask parallel branches about inputs, and merge their answers.

This file has no postponed annotations: Prefect validates parameters by them, and cannot look their
names up where it loads the file under another name.
"""

import asyncio
from typing import Annotated, Any, cast

from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from prefect_llm_reports.tasks.branches.artifacts import show_result
from prefect_llm_reports.tasks.branches.batch import BranchBatch
from prefect_llm_reports.tasks.branches.checking import CheckedProgram, check_branches
from prefect_llm_reports.tasks.branches.quoting import quote_branches
from prefect_llm_reports.tasks.branches.run import BranchRun, answer_inquiry
from prefect_llm_reports.tasks.contract.branch_results import BranchBatchResult, BranchesResult
from prefect_llm_reports.tasks.contract.branches import Branch, BranchOptions
from prefect_llm_reports.tasks.contract.choices import ANSWERS_FOLDER, DEFAULT_MERGE, Merge
from prefect_llm_reports.tasks.contract.requests import BranchesRequest
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
from prefect_llm_reports.tasks.runtime.artifacts import show_quote
from prefect_llm_reports.tasks.runtime.context import branches_run_name, of_a_deployment
from prefect_llm_reports.tasks.runtime.events import grouped_events
from prefect_llm_reports.tasks.runtime.flows import checked_flow
from prefect_llm_reports.tasks.runtime.runner import EventLoopTaskRunner
from prefect_llm_reports.tasks.runtime.states import branch_batch_state, branches_state, quote_state

Question = Annotated[str, Field(title="Question")]
Fields = Annotated[dict[str, Any], Field(title="Object")]
Input = Question | Fields | SkipJsonSchema[BaseModel]
Inputs = Annotated[list[Input], Lines("Objects")]
Branches = Annotated[list[Branch], Field(title="List")]


@checked_flow(
    name="parallel-branches",
    flow_run_name=branches_run_name,
    persist_result=False,
    retries=0,
    task_runner=cast(Any, EventLoopTaskRunner()),
)
async def parallel_branches(
    query: Input,
    branches: Annotated[Branches | Nothing, begins([])] = None,
    merge: Merge = DEFAULT_MERGE,
    model: Annotated[Name | Default, begins("")] = None,
    endpoint: Annotated[EndpointName | Default, begins("")] = None,
    options: BranchOptions | Default = None,
) -> BranchesResult:
    """Ask several branches about one input at the same time, and merge their structured answers.

    A branch that fails does not discard the others. Answers that an earlier run paid for are used
    again.

    Args:
        query: The input: a question, or an object with fields of your own.
        branches: The branches, each with its own instructions, model and form of answer; one may
            use the output of another. Empty: two independent answers with thinking and answer.
        merge: How outputs are merged: all (a list; every one is needed), any (the first), best (a
            judge chooses), vote (majority), concat (fields joined), synthesize (one more call
            combines them).
        model: Model of the branches that name none; "offline" needs no endpoint. Empty: the
            endpoint's own default, else gpt-5-mini.
        endpoint: Name of a saved LLM endpoint. Empty: OPENAI_API_KEY and OPENAI_BASE_URL of the
            worker.
        options: Everything else: concurrency, budget, deadline, what the merge needs, store.

    Returns:
        The outputs in branch order, each an answer or an error, and the merge, with cost in US
        dollars. With the option `quote`: a `Quote`, and no answer.

    Raises:
        BadInput: The request is invalid; no call was made.
    """
    request = BranchesRequest(
        queries=[query],
        branches=branches,
        merge=merge,
        model=model,
        endpoint=endpoint or None,
        options=options,
    )
    checked = await _checked(request)
    if checked.asker.program.options.quote:
        return await _quoted(checked)
    async with grouped_events():
        async with BranchRun(checked, Settings()).open() as run:
            [inquiry] = checked.inquiries
            result, _ = await run.answered(inquiry)
            if run.progress:
                run.progress.add(run.inquiry_result(inquiry, result.status, result.error, result))
                run.progress.result = result
        await run.interruption.end()
        await show_result(result)
    ending: Any = branches_state(result, deployed=of_a_deployment())
    return ending


@checked_flow(
    name="branch-batch",
    flow_run_name=branches_run_name,
    persist_result=False,
    retries=0,
    task_runner=cast(Any, EventLoopTaskRunner()),
)
async def branch_batch(
    queries: Annotated[Inputs | Nothing, begins("")] = None,
    queries_file: Annotated[FilePath | Nothing, begins("")] = None,
    branches: Annotated[Branches | Nothing, begins([])] = None,
    merge: Merge = DEFAULT_MERGE,
    model: Annotated[Name | Default, begins("")] = None,
    output: Output = ANSWERS_FOLDER,
    endpoint: Annotated[EndpointName | Default, begins("")] = None,
    options: BranchOptions | Default = None,
) -> BranchBatchResult:
    """Ask the same branches about many inputs, and write a result directory for each.

    An input that fails does not harm the others. Answers that an earlier run paid for are used
    again.

    Args:
        queries: The inputs: questions, or objects with fields of your own.
        queries_file: A file of inputs (.txt, .yaml, .json, .csv or .xlsx), added to those above: a
            path on the worker, or s3://bucket/key.
        branches: The branches, as in parallel-branches.
        merge: How outputs are merged: all, any, best, vote, concat or synthesize.
        model: Model of the branches that name none; "offline" needs no endpoint.
        output: Where the result directories go: a folder, s3://bucket/prefix, or s3-bucket/NAME
            for a saved S3Bucket block.
        endpoint: Name of a saved LLM endpoint. Empty: OPENAI_API_KEY and OPENAI_BASE_URL of the
            worker.
        options: Everything else: concurrency, budget, deadline, what the merge needs, store.

    Returns:
        The result of each input, in input order, with calls, tokens and cost in US dollars. With
        the option `quote`: a `Quote`, and no answer.

    Raises:
        BadInput: The request is invalid; no call was made.
    """
    request = BranchesRequest(
        queries=queries,
        queries_file=queries_file,
        branches=branches,
        merge=merge,
        model=model,
        output=output,
        endpoint=endpoint or None,
        options=options,
    )
    checked = await _checked(request)
    if checked.asker.program.options.quote:
        return await _quoted(checked)
    async with grouped_events():
        batch = BranchBatch(checked, Settings())
        async with batch.open():
            await batch.finish_all(answer_inquiry.map(checked.inquiries))
        result = await batch.close()
    ending: Any = branch_batch_state(result, deployed=of_a_deployment())
    return ending


async def _quoted(checked: CheckedProgram) -> Any:
    """End the run with a quote, without a call."""
    quote = await quote_branches(checked)
    await show_quote(quote)
    return quote_state(quote)


async def _checked(request: BranchesRequest) -> CheckedProgram:
    """Check the request as a whole, before any call."""
    saved = await saved_endpoints(request.saved_endpoints)
    return await asyncio.to_thread(check_branches, request, Settings(), saved)
