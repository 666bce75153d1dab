"""`llm-reports run` and `llm-reports branches`: the commands that ask models.

Here: a request made of arguments, checked before anything is started, carried out, and the exit
status. Not here: the terminal (`flow_runs`, `terminal`), what a run does (the flows).
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from prefect_llm_reports.flows.cli import statuses
from prefect_llm_reports.flows.cli.answers import answer_text
from prefect_llm_reports.flows.cli.options import options_of
from prefect_llm_reports.flows.cli.slips import texts_given
from prefect_llm_reports.flows.cli.streams import print_result, print_text
from prefect_llm_reports.tasks.contract.branch_results import BranchBatchResult, BranchesResult
from prefect_llm_reports.tasks.contract.choices import ANSWERS_FOLDER
from prefect_llm_reports.tasks.contract.records import BATCH
from prefect_llm_reports.tasks.contract.reports import BatchResult
from prefect_llm_reports.tasks.contract.requests import BatchRequest, BranchesRequest
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.inputs.branches_file import read_branches_file
from prefect_llm_reports.tasks.inputs.queries import read_queries
from prefect_llm_reports.tasks.inputs.requests import Collected
from prefect_llm_reports.tasks.inputs.topics import read_topics


def run(chosen: argparse.Namespace) -> int:
    """Write reports, and return the exit status.

    Args:
        chosen: The parsed command line.

    Raises:
        BadInput: With everything that is wrong; no call was made.
    """
    _point_at(chosen)
    checked = Collected()
    topics = checked(lambda: texts_given(chosen.topics, "topics", read_topics))
    return run_batch_request(
        BatchRequest(
            topics=(chosen.topics if topics is None else topics) or None,
            topics_file=chosen.topics_file,
            max_iterations=chosen.max_iterations,
            quality_threshold=chosen.quality_threshold,
            model=chosen.model,
            output=chosen.output,
            endpoint=chosen.endpoint,
            options=options_of(chosen, checked.problems),
        ),
        checked,
        as_json=chosen.json,
    )


def run_batch_request(request: BatchRequest, checked: Collected, *, as_json: bool) -> int:
    """Check a request for reports, carry it out, and return the exit status.

    Args:
        request: The request.
        checked: Problems that are known already.
        as_json: Print the result as JSON on stdout.

    Raises:
        BadInput: With everything that is wrong; no call was made.
    """
    from prefect_llm_reports.tasks.reports.checking import check_batch

    batch = checked(lambda: check_batch(request.without_saved_endpoints(), Settings(), {}))
    checked.refuse()
    if batch and batch.plan.options.quote:
        from prefect_llm_reports.flows.cli.quote import quote

        return quote(request, as_json=as_json)

    from prefect_llm_reports.flows.cli.flow_runs import run_batch

    result, signal_number = run_batch(request.parameters())
    if as_json:
        print_result(result, f"{result.run_directory}/{BATCH}")
    return _exit_status(result, signal_number)


def branches(chosen: argparse.Namespace) -> int:
    """Ask branches about one input or many, and return the exit status.

    Args:
        chosen: The parsed command line.

    Raises:
        BadInput: With everything that is wrong; no call was made.
    """
    _point_at(chosen)
    checked = Collected()
    file = read_branches_file(chosen.branches_file, checked.problems)
    queries = checked(lambda: texts_given(chosen.queries, "queries", read_queries))
    if queries is None:  # for the check of everything else
        queries = chosen.queries
    several = bool(chosen.queries_file or chosen.output or len(queries) != 1)
    request = BranchesRequest(
        queries=queries,
        queries_file=chosen.queries_file,
        branches=file.branches,
        merge=chosen.merge or file.merge,
        model=chosen.model or file.model,
        output=(chosen.output or ANSWERS_FOLDER) if several else None,
        endpoint=chosen.endpoint,
        options={
            **file.options.model_dump(exclude_unset=True),
            **options_of(chosen, checked.problems),
        },
    )
    return run_branches_request(request, checked, as_json=chosen.json)


def run_branches_request(request: BranchesRequest, checked: Collected, *, as_json: bool) -> int:
    """Check a request for branches, carry it out, and return the exit status.

    Args:
        request: The request; one without an output has one input, and its answer is printed.
        checked: Problems that are known already.
        as_json: Print the result as JSON on stdout.

    Raises:
        BadInput: With everything that is wrong; no call was made.
    """
    from prefect_llm_reports.tasks.branches.checking import check_branches

    program = checked(lambda: check_branches(request.without_saved_endpoints(), Settings(), {}))
    checked.refuse()
    if program and program.asker.program.options.quote:
        from prefect_llm_reports.flows.cli.quote import quote

        return quote(request, as_json=as_json)

    from prefect_llm_reports.flows.cli.flow_runs import run_branch_batch, run_branches

    several = request.output is not None
    ask: Any = run_branch_batch if several else run_branches
    result, signal_number = ask(request.parameters())
    if as_json:
        print_result(result, f"{result.run_directory}/{BATCH}" if several else None)
    elif not several:
        print_text(answer_text(result))
    return _exit_status(result, signal_number)


def _point_at(chosen: argparse.Namespace) -> None:
    if chosen.base_url:
        os.environ["OPENAI_BASE_URL"] = chosen.base_url


def _exit_status(
    result: BatchResult | BranchesResult | BranchBatchResult, signal_number: int
) -> int:
    """The exit status; a signal that came too late to keep anything from being done is no reason.

    Args:
        result: What was done.
        signal_number: The signal that interrupted the run, or 0.
    """
    if signal_number and result.status != "complete":
        return 128 + signal_number
    status = {"complete": statuses.COMPLETE, "stopped": statuses.STOPPED}
    errors = [result.error, *(output.error for output in getattr(result, "outputs", ()))]
    reports = getattr(result, "reports", ())
    published = any(report.status == "published" for report in reports)
    if not published and "no_flex" in [error.kind for error in errors if error]:
        return statuses.BAD_INPUT  # the options ask for a price that the endpoint does not have
    return status.get(result.status, statuses.PARTIAL)
