"""The commands of `llm-reports`, their arguments and help.

Not here: what a command does, see `main`.
"""

from __future__ import annotations

import argparse
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from prefect_llm_reports.tasks.contract.choices import (
    ANSWERS_FOLDER,
    BRANCH_CALLS_AT_ONCE,
    DEFAULT_MERGE,
    DEFAULT_ROUNDS,
    DEFAULT_THRESHOLD,
    FORMATS,
    MERGES,
    REPORT_CALLS_AT_ONCE,
    REPORTS_FOLDER,
    ROUNDS,
    SCORES,
)

EXAMPLES = """examples:
  llm-reports run "Edge computing" "Tidal power" --model offline
  llm-reports run --topics-file topics.yaml --output reports --budget 2.50
  OPENAI_BASE_URL=http://127.0.0.1:11434/v1 llm-reports run "Rust" --model qwen3
  llm-reports view reports
  llm-reports verify reports

exit status of run: 0 every report published, 2 bad input or configuration, 3 some reports failed,
4 stopped early with paid work kept, 130/143 interrupted. Run the same command again to continue."""


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = argparse.ArgumentParser(
        prog="llm-reports",
        description="Topics in, finished and quality-checked reports out.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    with suppress(PackageNotFoundError):  # a checkout that is not installed
        top.add_argument("--version", action="version", version=version("prefect-llm-reports"))
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="write, refine and publish reports")
    run.add_argument("topics", nargs="*", metavar="TOPIC", help="a topic; each gets one report")
    run.add_argument("--topics-file", metavar="F", help="topics as .txt, .yaml, .json or .csv")
    run.add_argument(
        "--output", metavar="DIR", default=REPORTS_FOLDER, help=f"default: {REPORTS_FOLDER}"
    )
    run.add_argument(
        "--max-iterations",
        metavar="N",
        type=int,
        default=DEFAULT_ROUNDS,
        help=f"{ROUNDS}, default: {DEFAULT_ROUNDS}",
    )
    run.add_argument(
        "--quality-threshold",
        metavar="N",
        type=float,
        default=DEFAULT_THRESHOLD,
        help=f"{SCORES}, default: {DEFAULT_THRESHOLD}",
    )
    _calling_arguments(run, REPORT_CALLS_AT_ONCE)
    run.add_argument(
        "--format",
        metavar="F",
        dest="formats",
        action="append",
        choices=FORMATS,
        help="pdf or docx, beside Markdown and HTML; may be repeated",
    )
    run.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
    _branches(
        commands.add_parser("branches", help="ask parallel branches, and merge their answers")
    )
    _draw(commands.add_parser("draw", help="draw a program of branches, or the report flow"))
    _add_serve(commands)
    _add_verify(commands)
    _add_view(commands)
    return top


def _branches(branches: argparse.ArgumentParser) -> None:
    branches.add_argument(
        "queries", nargs="*", metavar="QUERY", help="a question; each is put to all branches"
    )
    branches.add_argument(
        "--queries-file", metavar="F", help="inputs as .txt, .yaml, .json or .csv, for a batch"
    )
    branches.add_argument(
        "--branches-file",
        metavar="F",
        help="the branches as .yaml or .json; default: two that think and answer",
    )
    branches.add_argument(
        "--merge",
        choices=MERGES,
        help=f"what becomes of the answers, default: {DEFAULT_MERGE}",
    )
    branches.add_argument(
        "--output", metavar="DIR", help=f"result directories of a batch, default: {ANSWERS_FOLDER}"
    )
    _calling_arguments(branches, BRANCH_CALLS_AT_ONCE)
    branches.add_argument("--json", action="store_true", help="print the result as JSON on stdout")


def _calling_arguments(parser: argparse.ArgumentParser, calls_at_once: int) -> None:
    parser.add_argument("--model", metavar="M", help="model name; offline: no LLM, free")
    parser.add_argument("--base-url", metavar="URL", help="an OpenAI-compatible server")
    parser.add_argument("--endpoint", metavar="NAME", help="a saved LLM endpoint block")
    parser.add_argument(
        "--concurrency", metavar="N", type=int, help=f"calls at once, default: {calls_at_once}"
    )
    parser.add_argument("--budget", metavar="USD", help="most that the run may cost")
    parser.add_argument("--price", choices=("standard", "flex"), help="flex: half price, slower")
    parser.add_argument("--deadline", metavar="SECONDS", help="longest time for one call")


def _draw(draw: argparse.ArgumentParser) -> None:
    draw.add_argument(
        "what",
        nargs="?",
        choices=("report-batch", "parallel-branches"),
        default="parallel-branches",
        help="default: parallel-branches",
    )
    draw.add_argument("--branches-file", metavar="F", help="the branches as .yaml or .json")
    draw.add_argument("--merge", choices=MERGES, help="the merge")
    draw.add_argument("--output", metavar="FILE.svg", help="default: standard output")


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser(
        "serve", help="serve the deployments on this machine, without a work pool"
    )
    serve.add_argument(
        "--topics-file",
        metavar="F",
        help="topics of the nightly and weekly deployments; default: the shipped examples",
    )


def _add_verify(commands: Any) -> None:
    verify = commands.add_parser(
        "verify",
        help="check that published files are whole and unaltered",
        epilog="exit status: 0 all good, 1 something is missing, altered, extra or unfinished, 2"
        " bad input",
    )
    verify.add_argument(
        "directory", metavar="DIR", help="an output folder, a run or a result directory, also in S3"
    )
    verify.add_argument("--json", action="store_true", help="print the findings as JSON")


def _add_view(commands: Any) -> None:
    view = commands.add_parser("view", help="read reports in the browser")
    view.add_argument(
        "directory",
        metavar="DIR",
        nargs="?",
        default=REPORTS_FOLDER,
        help=f"default: {REPORTS_FOLDER}",
    )
    view.add_argument("--port", metavar="N", type=int, default=0, help="default: any free one")
    view.add_argument(
        "--no-browser", action="store_true", help="print the address, and open no browser"
    )
