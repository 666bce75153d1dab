"""The commands of `llm-reports`, with the arguments and help of those that ask models.

Not here: the arguments of the other commands (`tool_arguments`), what a command does (`main`).
"""

from __future__ import annotations

import argparse
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from prefect_llm_reports.flows.cli.parsing import Parser
from prefect_llm_reports.flows.cli.tool_arguments import add_tools
from prefect_llm_reports.tasks.contract.choices import (
    ANSWER_TOKENS,
    ANSWERS_FOLDER,
    AUDIENCE,
    BRANCH_CALLS_AT_ONCE,
    DEADLINE_S,
    DEFAULT_MERGE,
    DEFAULT_MODEL,
    DEFAULT_ROUNDS,
    DEFAULT_THRESHOLD,
    EFFORTS,
    FLEX_DEADLINE_S,
    FORMATS,
    LANGUAGE,
    LENGTH_WORDS,
    MAX_OUTPUT_TOKENS,
    MERGES,
    PATIENCE_S,
    REPORT_CALLS_AT_ONCE,
    REPORT_WORDS,
    REPORTS_FOLDER,
    ROUNDS,
    SCORES,
    TEMPERATURES,
    TIERS,
)

EXAMPLES = """examples:
  llm-reports run "Edge computing" "Tidal power" --model offline
  llm-reports run --topics-file topics.yaml --output reports --budget 2.50
  OPENAI_BASE_URL=http://127.0.0.1:11434/v1 llm-reports run Rust --model qwen3
  llm-reports view reports
  llm-reports verify reports

exit status of run:
  0        every report is published
  2        bad input or configuration
  3        some reports failed
  4        stopped early, paid work is kept
  130/143  interrupted
Run the same command again to continue."""

ENVIRONMENT = """environment:
  OPENAI_API_KEY          key of the endpoint
  OPENAI_BASE_URL         its address, as --base-url
  LLM_REPORTS_STORE       where paid answers are kept
  LLM_REPORTS_PRICES      prices by model as JSON, where the list has none
  LLM_REPORTS_ALLOW_HTTP  true: http to other machines
  LLM_REPORTS_BACKOFF_S   longest wait before a second attempt, default: 1
  LLM_REPORTS_PAGES_URL   web address of the output, for links in the UI
  LLM_REPORTS_PAGES_FOLDER
                          the output that has this address, default: any
  LLM_REPORTS_SOURCES     folders below which sources may lie, with : between,
                          default: this one
  LLM_REPORTS_LEASE_S     seconds until a dead process's lock in S3 expires,
                          default: 60
  PREFECT_API_URL         your Prefect server, default: an embedded one"""


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = Parser(
        prog="llm-reports",
        description="Topics in, finished and quality-checked reports out.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    with suppress(PackageNotFoundError):  # a checkout that is not installed
        top.add_argument("--version", action="version", version=version("prefect-llm-reports"))
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = _calling_parser(commands, "run", "write, refine and publish reports")
    run.add_argument("topics", nargs="*", metavar="TOPIC", help="a topic; each gets one report")
    run.add_argument(
        "-f", "--topics-file", metavar="F", help="topics as .txt, .yaml, .json, .csv or .xlsx"
    )
    run.add_argument("--topic-column", metavar="C", help="the file's column of topics")
    run.add_argument("--guidance-column", metavar="C", help="the file's column of guidance")
    run.add_argument(
        "-o", "--output", metavar="DIR", default=REPORTS_FOLDER, help=f"default: {REPORTS_FOLDER}"
    )
    run.add_argument(
        "-n",
        "--max-iterations",
        metavar="N",
        type=int,
        default=DEFAULT_ROUNDS,
        help=f"{ROUNDS}, default: {DEFAULT_ROUNDS}",
    )
    run.add_argument(
        "-q",
        "--quality-threshold",
        metavar="N",
        type=float,
        default=DEFAULT_THRESHOLD,
        help=f"{SCORES}, default: {DEFAULT_THRESHOLD}",
    )
    _calling_arguments(run, REPORT_CALLS_AT_ONCE)
    _report_arguments(run)
    run.add_argument(
        "--format",
        metavar="F",
        dest="formats",
        action="append",
        choices=FORMATS,
        help="pdf or docx, beside Markdown and HTML; may be repeated",
    )
    run.add_argument(
        "-s",
        "--source",
        metavar="F",
        dest="sources",
        action="append",
        help="a file, folder, s3:// prefix or s3-bucket/NAME that reports may quote; may be"
        " repeated",
    )
    run.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
    _branches(
        _calling_parser(commands, "branches", "ask parallel branches, and merge their answers")
    )
    add_tools(commands)
    return top


def _branches(branches: argparse.ArgumentParser) -> None:
    branches.add_argument(
        "queries", nargs="*", metavar="QUERY", help="a question; each is put to all branches"
    )
    branches.add_argument(
        "--queries-file", metavar="F", help="inputs as .txt, .yaml, .json, .csv or .xlsx"
    )
    branches.add_argument(
        "--branches-file",
        metavar="F",
        help="the branches as .yaml or .json; default: two that think and answer",
    )
    branches.add_argument(
        "--merge",
        choices=MERGES,
        help=f"how answers are merged, default: {DEFAULT_MERGE}",
    )
    branches.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        help=f"result directories of a batch, default: {ANSWERS_FOLDER}",
    )
    _calling_arguments(branches, BRANCH_CALLS_AT_ONCE)
    branches.add_argument("--json", action="store_true", help="print the result as JSON on stdout")


def _calling_parser(commands: Any, name: str, purpose: str) -> argparse.ArgumentParser:
    """A command that asks models; its help lists the environment variables."""
    return commands.add_parser(
        name,
        help=purpose,
        epilog=ENVIRONMENT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _calling_arguments(parser: argparse.ArgumentParser, calls_at_once: int) -> None:
    """Where and how models are asked."""
    add = parser.add_argument
    add(
        "-m",
        "--model",
        metavar="M",
        help=f"model name, default: the endpoint's own, else {DEFAULT_MODEL}; offline: no LLM,"
        " free",
    )
    add("--base-url", metavar="URL", help="an OpenAI-compatible server")
    add("--endpoint", metavar="NAME", help="a saved LLM endpoint block")
    add(
        "-c",
        "--concurrency",
        metavar="N",
        type=int,
        help=f"calls at once, default: {calls_at_once}",
    )
    add("--rpm", metavar="N", help="the account's requests a minute, default: found out")
    add("--tpm", metavar="N", help="the account's tokens a minute, default: found out")
    add("-b", "--budget", metavar="USD", help="most that the run may cost, default: no limit")
    add(
        "--price",
        choices=TIERS,
        help=f"flex: half price, slower; default: {TIERS[0]}",
    )
    add(
        "--deadline",
        metavar="SECONDS",
        help=f"longest time for one call, default: {DEADLINE_S}, with flex {FLEX_DEADLINE_S}",
    )
    add(
        "--patience",
        metavar="S",
        help=f"seconds to wait for an endpoint that went away, default: {PATIENCE_S:g}",
    )
    add(
        "--max-output-tokens",
        metavar="N",
        help=f"tokens of one answer, reasoning included, {ANSWER_TOKENS}; default:"
        f" {MAX_OUTPUT_TOKENS}",
    )
    add(
        "--temperature",
        metavar="T",
        help=f"sampling temperature, {TEMPERATURES}; default: the model's own",
    )
    add(
        "--reasoning-effort",
        metavar="E",
        choices=EFFORTS,
        help=f"how much the model reasons: {', '.join(EFFORTS)}; default: the model's own",
    )
    add("--options", metavar="F.yaml", help="further options as .yaml or .json")
    add(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        help="one option, as --set plateau=2 or --set extra_body.top_p=0.9; may be repeated",
    )
    add(
        "--refresh",
        action="store_const",
        const=True,
        help="buy stored answers again",
    )
    add(
        "--quote",
        action="store_const",
        const=True,
        help="make no call: show what would be asked, its cost and its time",
    )
    add(
        "--trace",
        metavar="ADDRESS",
        help="send spans to MLflow's tracking URI or an OTLP collector; default: none",
    )
    add("--experiment", metavar="NAME", help="MLflow's experiment; default: Default")


def _report_arguments(run: argparse.ArgumentParser) -> None:
    """Language, readers, length and style of the reports."""
    run.add_argument("-l", "--language", metavar="L", help=f"of the reports, default: {LANGUAGE}")
    run.add_argument("-a", "--audience", metavar="A", help=f"their readers, default: {AUDIENCE}")
    run.add_argument(
        "-w",
        "--words",
        metavar="N",
        help=f"length to aim for, {REPORT_WORDS}; default: {LENGTH_WORDS}",
    )
    run.add_argument("--style", metavar="S", help="rules of style, in plain words; default: none")
