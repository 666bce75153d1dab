"""`llm-reports`: parse, check, call a flow, print; everything else is in the flows.

Nothing heavy is imported before the arguments are understood. Progress and log go to stderr;
with `--json` stdout is one JSON document.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from tasks.environment import set_prefect_defaults

if TYPE_CHECKING:
    from tasks.schemas import BatchResult

EXIT_COMPLETE, EXIT_BAD_INPUT, EXIT_PARTIAL, EXIT_STOPPED = 0, 2, 3, 4

EXAMPLES = """examples:
  llm-reports run "Edge computing" "Tidal power" --model offline
  llm-reports run --topics-file topics.yaml --output reports --budget 2.50
  OPENAI_BASE_URL=http://127.0.0.1:11434/v1 llm-reports run "Rust" --model qwen3
  llm-reports view reports
  llm-reports verify reports

exit status of run: 0 every report published, 2 bad input or configuration, 3 some reports failed,
4 stopped early with paid work kept, 130/143 interrupted. The same command again goes on."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llm-reports",
        description="Topics in, finished and quality-checked reports out.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    with suppress(PackageNotFoundError):  # a checkout that is not installed
        parser.add_argument("--version", action="version", version=version("prefect-llm-reports"))
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="write, refine and publish reports")
    run.add_argument("topics", nargs="*", metavar="TOPIC", help="what to report on")
    run.add_argument("--topics-file", metavar="F", help="topics as .txt, .yaml, .json or .csv")
    run.add_argument("--output", metavar="DIR", default="reports", help="default: reports")
    run.add_argument("--model", metavar="M", help="model name, or offline for no LLM at all")
    run.add_argument("--base-url", metavar="URL", help="an OpenAI-compatible server")
    run.add_argument("--endpoint", metavar="NAME", help="a saved LLM endpoint block")
    run.add_argument("--max-iterations", metavar="N", type=int, default=3, help="default: 3")
    run.add_argument(
        "--quality-threshold", metavar="N", type=float, default=8, help="1 to 10, default: 8"
    )
    run.add_argument("--concurrency", metavar="N", type=int, help="calls at once, default: 8")
    run.add_argument("--budget", metavar="USD", help="the run may cost this much at most")
    run.add_argument("--deadline", metavar="SECONDS", help="one call may take this long at most")
    run.add_argument(
        "--format",
        metavar="F",
        dest="formats",
        action="append",
        choices=("pdf", "docx"),
        help="pdf or docx, beside Markdown and HTML; may be repeated",
    )
    run.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
    _branches_parser(commands.add_parser("branches", help="put inputs to parallel branches"))
    _draw_parser(commands.add_parser("draw", help="draw a program of branches, or the report flow"))
    _add_serve(commands)
    _add_verify(commands)
    _add_view(commands)
    return parser


def _branches_parser(branches: argparse.ArgumentParser) -> None:
    branches.add_argument("queries", nargs="*", metavar="QUERY", help="what to answer")
    branches.add_argument(
        "--queries-file", metavar="F", help="inputs as .txt, .yaml, .json or .csv, for a batch"
    )
    branches.add_argument(
        "--branches-file",
        metavar="F",
        help="the branches as .yaml or .json; without it two that think and answer",
    )
    branches.add_argument(
        "--merge",
        choices=("all", "best", "vote", "concat", "synthesize", "any"),
        help="what becomes of the answers, default: all",
    )
    branches.add_argument(
        "--output", metavar="DIR", help="result directories of a batch, default: answers"
    )
    _calling_arguments(branches)
    branches.add_argument("--json", action="store_true", help="print the result as JSON on stdout")


def _calling_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="M", help="model name, or offline for no LLM at all")
    parser.add_argument("--base-url", metavar="URL", help="an OpenAI-compatible server")
    parser.add_argument("--endpoint", metavar="NAME", help="a saved LLM endpoint block")
    parser.add_argument("--concurrency", metavar="N", type=int, help="calls at once")
    parser.add_argument("--budget", metavar="USD", help="the run may cost this much at most")
    parser.add_argument("--deadline", metavar="SECONDS", help="one call may take this long at most")


def _draw_parser(draw: argparse.ArgumentParser) -> None:
    draw.add_argument(
        "what",
        nargs="?",
        choices=("report-batch", "parallel-branches"),
        default="parallel-branches",
        help="default: parallel-branches",
    )
    draw.add_argument("--branches-file", metavar="F", help="the branches as .yaml or .json")
    draw.add_argument(
        "--merge", choices=("all", "best", "vote", "concat", "synthesize", "any"), help="the merge"
    )
    draw.add_argument("--output", metavar="FILE.svg", help="default: standard output")


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser(
        "serve", help="serve the deployments on this machine, without a work pool"
    )
    serve.add_argument(
        "--topics-file",
        metavar="F",
        help="topics of the nightly and weekly deployments; default: those that are shipped",
    )


def _add_verify(commands: Any) -> None:
    verify = commands.add_parser(
        "verify",
        help="check that published files are whole and unaltered",
        epilog="exit status: 0 all good, 1 something missing, altered, extra or unfinished, 2 bad"
        " input",
    )
    verify.add_argument(
        "directory", metavar="DIR", help="an output folder, a run or a result directory; s3 too"
    )
    verify.add_argument("--json", action="store_true", help="print the findings as JSON")


def _add_view(commands: Any) -> None:
    view = commands.add_parser("view", help="read reports in the browser")
    view.add_argument(
        "directory", metavar="DIR", nargs="?", default="reports", help="default: reports"
    )
    view.add_argument("--port", metavar="N", type=int, default=0, help="default: any free one")
    view.add_argument("--no-browser", action="store_true", help="only print the address")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    chosen = _parser().parse_args(arguments)
    _collect_rarely()
    set_prefect_defaults()
    if chosen.command != "serve":  # there the log is what a person follows
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    from tasks.errors import BadInput, StorageError

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
    """Look for garbage rarely while modules are imported, and not at all when the process ends."""
    gc.set_threshold(50_000, 20, 20)
    atexit.register(gc.freeze)


def _run(chosen: argparse.Namespace) -> int:
    from tasks.checking import check_batch
    from tasks.options import DEFAULT_MODEL
    from tasks.settings import Settings

    if chosen.base_url:
        os.environ["OPENAI_BASE_URL"] = chosen.base_url
    options = {
        "concurrency": chosen.concurrency,
        "budget_usd": chosen.budget,
        "deadline_s": chosen.deadline,
        "formats": chosen.formats,
    }
    request: dict[str, Any] = {
        "topics": chosen.topics or None,
        "topics_file": chosen.topics_file,
        "max_iterations": chosen.max_iterations,
        "quality_threshold": chosen.quality_threshold,
        "model": chosen.model or (None if chosen.endpoint else DEFAULT_MODEL),
        "output": chosen.output,
        "endpoint": chosen.endpoint,
        "options": {name: value for name, value in options.items() if value is not None},
    }
    if chosen.endpoint is None:  # a saved endpoint can only be looked up with a Prefect server
        check_batch(**request, saved={}, settings=Settings())

    from flows.terminal import run_batch

    result, signal_number = run_batch(request)
    if chosen.json:
        sys.stdout.write(result.model_dump_json(indent=2) + "\n")
    return 128 + signal_number if signal_number else _exit_status(result)


def _branches(chosen: argparse.Namespace) -> int:
    from tasks.checking import check_branches
    from tasks.options import DEFAULT_MODEL
    from tasks.settings import Settings
    from tasks.values import read_program

    if chosen.base_url:
        os.environ["OPENAI_BASE_URL"] = chosen.base_url
    program = read_program(chosen.branches_file) if chosen.branches_file else {}
    given = {
        "concurrency": chosen.concurrency,
        "budget_usd": chosen.budget,
        "deadline_s": chosen.deadline,
    }
    options = program.get("options", {})
    options = {**options, **{name: value for name, value in given.items() if value is not None}}
    model = chosen.model or program.get("model")
    request: dict[str, Any] = {
        "branches": program.get("branches"),
        "merge": chosen.merge or program.get("merge") or "all",
        "model": model or (None if chosen.endpoint else DEFAULT_MODEL),
        "endpoint": chosen.endpoint,
        "options": options,
    }
    inputs: dict[str, Any] = {"queries": chosen.queries, "queries_file": chosen.queries_file}
    several = bool(chosen.queries_file or chosen.output or len(chosen.queries) != 1)
    output: dict[str, Any] = {"output": chosen.output or "answers"} if several else {"output": None}
    if chosen.endpoint is None and not _names_blocks(request):
        check_branches(**request, **inputs, **output, saved={}, settings=Settings())

    from flows.terminal import run_branch_batch, run_branches

    if several:
        result, signal_number = run_branch_batch({**request, **inputs, **output})
    else:
        result, signal_number = run_branches({**request, "query": chosen.queries[0]})
    if chosen.json:
        sys.stdout.write(result.model_dump_json(indent=2) + "\n")
    if signal_number:
        return 128 + signal_number
    status = {"complete": EXIT_COMPLETE, "stopped": EXIT_STOPPED}
    return status.get(result.status, EXIT_PARTIAL)


def _names_blocks(request: dict[str, Any]) -> bool:
    """Whether saved endpoints are named, which only a Prefect server can look up."""
    named: list[Any] = [*(request["branches"] or ()), *request["options"].get("fallbacks", ())]
    return any("endpoint" in item for item in named if isinstance(item, dict))


def _draw(chosen: argparse.Namespace) -> int:
    from pathlib import Path

    from tasks.branches import BranchOptions
    from tasks.drawing import draw_program, draw_reports
    from tasks.errors import BadInput
    from tasks.options import DEFAULT_MODEL
    from tasks.programs import check_program
    from tasks.values import read_program

    if chosen.what == "report-batch":
        if chosen.branches_file or chosen.merge:
            raise BadInput("--branches-file and --merge are for parallel-branches; leave them out")
        picture = draw_reports()
    else:
        file = read_program(chosen.branches_file) if chosen.branches_file else {}
        options = BranchOptions.model_validate(file.get("options", {}))
        merge = chosen.merge or file.get("merge") or "all"
        model = file.get("model") or DEFAULT_MODEL
        picture = draw_program(check_program(file.get("branches"), merge, model, options))
    if chosen.output:
        try:
            Path(chosen.output).write_text(picture, encoding="utf-8")
        except OSError as error:
            raise BadInput(f"{chosen.output}: {error.strerror}; give a writable file") from None
    else:
        sys.stdout.write(picture)
    return EXIT_COMPLETE


def _serve(chosen: argparse.Namespace) -> int:
    from flows.serving import serve

    return serve(chosen.topics_file)


def _verify(chosen: argparse.Namespace) -> int:
    from flows.verify import verify

    return verify(chosen.directory, as_json=chosen.json)


def _view(chosen: argparse.Namespace) -> int:
    from flows.view import view

    return view(chosen.directory, port=chosen.port, browser=not chosen.no_browser)


def _exit_status(result: BatchResult) -> int:
    return {"complete": EXIT_COMPLETE, "partial": EXIT_PARTIAL, "stopped": EXIT_STOPPED}[
        result.status
    ]


if __name__ == "__main__":
    sys.exit(main())
