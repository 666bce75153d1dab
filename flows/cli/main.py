"""`llm-reports`: parses arguments, checks them, calls a flow, prints.

Not here: what a run does, which is in the flows. Nothing heavy is imported before the arguments are
parsed. Progress and log go to stderr; with `--json` stdout is one JSON document.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prefect_llm_reports.flows.cli.arguments import parser
from prefect_llm_reports.tasks.contract.choices import ANSWERS_FOLDER, DEFAULT_MODEL
from prefect_llm_reports.tasks.runtime.environment import set_prefect_defaults

if TYPE_CHECKING:
    from prefect_llm_reports.tasks.contract.branch_results import BranchBatchResult, BranchesResult
    from prefect_llm_reports.tasks.contract.reports import BatchResult

EXIT_COMPLETE, EXIT_BAD_INPUT, EXIT_PARTIAL, EXIT_STOPPED = 0, 2, 3, 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    chosen = parser().parse_args(arguments)
    _collect_rarely()
    set_prefect_defaults()
    if chosen.command != "serve":  # a person who serves reads the log
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError

    commands = {
        "run": _run,
        "branches": _branches,
        "draw": _draw,
        "serve": _serve,
        "verify": _verify,
        "view": _view,
    }
    try:
        return commands[chosen.command](chosen)
    except BadInput as bad:
        for problem in bad.problems:
            print(f"error: {problem}", file=sys.stderr)  # noqa: T201
        return EXIT_BAD_INPUT
    except StorageError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_STOPPED


def _collect_rarely() -> None:
    """Collect garbage rarely during imports, and not at all at the end of the process."""
    gc.set_threshold(50_000, 20, 20)
    atexit.register(gc.freeze)


def _run(chosen: argparse.Namespace) -> int:
    from prefect_llm_reports.tasks.contract.requests import BatchRequest
    from prefect_llm_reports.tasks.contract.settings import Settings
    from prefect_llm_reports.tasks.reports.checking import check_batch

    if chosen.base_url:
        os.environ["OPENAI_BASE_URL"] = chosen.base_url
    request = BatchRequest(
        topics=chosen.topics or None,
        topics_file=chosen.topics_file,
        max_iterations=chosen.max_iterations,
        quality_threshold=chosen.quality_threshold,
        model=chosen.model,
        output=chosen.output,
        endpoint=chosen.endpoint,
        options=_options(chosen, formats=chosen.formats),
    )
    check_batch(request.without_saved_endpoints(), Settings(), {})

    from prefect_llm_reports.flows.cli.terminal import run_batch

    result, signal_number = run_batch(request.parameters())
    if chosen.json:
        sys.stdout.write(result.model_dump_json(indent=2) + "\n")
    return 128 + signal_number if signal_number else _exit_status(result)


def _options(chosen: argparse.Namespace, **more: Any) -> dict[str, Any]:
    """The options that the command line sets."""
    given = {
        "concurrency": chosen.concurrency,
        "budget_usd": chosen.budget,
        "deadline_s": chosen.deadline,
        "price": chosen.price,
        **more,
    }
    return {name: value for name, value in given.items() if value is not None}


def _branches(chosen: argparse.Namespace) -> int:
    from prefect_llm_reports.tasks.branches.checking import check_branches
    from prefect_llm_reports.tasks.contract.requests import BranchesRequest
    from prefect_llm_reports.tasks.contract.settings import Settings
    from prefect_llm_reports.tasks.inputs.branches_file import read_branches_file
    from prefect_llm_reports.tasks.inputs.requests import Collected

    if chosen.base_url:
        os.environ["OPENAI_BASE_URL"] = chosen.base_url
    checked = Collected()
    file = read_branches_file(chosen.branches_file, checked.problems)
    several = bool(chosen.queries_file or chosen.output or len(chosen.queries) != 1)
    request = BranchesRequest(
        queries=chosen.queries,
        queries_file=chosen.queries_file,
        branches=file.branches,
        merge=chosen.merge or file.merge,
        model=chosen.model or file.model,
        output=(chosen.output or ANSWERS_FOLDER) if several else None,
        endpoint=chosen.endpoint,
        options={**file.options.model_dump(exclude_unset=True), **_options(chosen)},
    )
    checked(lambda: check_branches(request.without_saved_endpoints(), Settings(), {}))
    checked.refuse()

    from prefect_llm_reports.flows.cli.terminal import run_branch_batch, run_branches

    run: Any = run_branch_batch if several else run_branches
    result, signal_number = run(request.parameters())
    if chosen.json:
        sys.stdout.write(result.model_dump_json(indent=2) + "\n")
    return 128 + signal_number if signal_number else _exit_status(result)


def _draw(chosen: argparse.Namespace) -> int:
    from pathlib import Path

    from prefect_llm_reports.tasks.branches.drawing import draw_program
    from prefect_llm_reports.tasks.branches.programs import check_program
    from prefect_llm_reports.tasks.contract.errors import BadInput
    from prefect_llm_reports.tasks.inputs.branches_file import read_branches_file
    from prefect_llm_reports.tasks.inputs.requests import Collected
    from prefect_llm_reports.tasks.reports.drawing import draw_reports

    if chosen.what == "report-batch":
        if chosen.branches_file or chosen.merge:
            raise BadInput("--branches-file and --merge are for parallel-branches; leave them out")
        picture = draw_reports()
    else:
        checked = Collected()
        file = read_branches_file(chosen.branches_file, checked.problems)
        merge, model = chosen.merge or file.merge, file.model or DEFAULT_MODEL
        program = checked(lambda: check_program(file.branches, merge, model, file.options))
        checked.refuse()
        picture = draw_program(program) if program else ""
    if chosen.output:
        try:
            Path(chosen.output).write_text(picture, encoding="utf-8")
        except OSError as error:
            raise BadInput(f"{chosen.output}: {error.strerror}; give a writable file") from None
    else:
        sys.stdout.write(picture)
    return EXIT_COMPLETE


def _serve(chosen: argparse.Namespace) -> int:
    from prefect_llm_reports.flows.cli.serve import serve

    return serve(chosen.topics_file)


def _verify(chosen: argparse.Namespace) -> int:
    from prefect_llm_reports.flows.cli.verify import verify

    return verify(chosen.directory, as_json=chosen.json)


def _view(chosen: argparse.Namespace) -> int:
    from prefect_llm_reports.flows.cli.view import view

    return view(chosen.directory, port=chosen.port, browser=not chosen.no_browser)


def _exit_status(result: BatchResult | BranchesResult | BranchBatchResult) -> int:
    status = {"complete": EXIT_COMPLETE, "stopped": EXIT_STOPPED}
    return status.get(result.status, EXIT_PARTIAL)


if __name__ == "__main__":
    sys.exit(main())
