"""The arguments and help of the commands that ask no model.

Not here: what a command does (`main` names its module), the commands that ask models (`arguments`).
"""

from __future__ import annotations

import argparse
from typing import Any

from prefect_llm_reports.flows.cli.parsing import port
from prefect_llm_reports.tasks.contract.choices import MERGES, REPORTS_FOLDER

SHELLS = ("bash", "zsh", "tcsh")
PAGES_PORT = 4280
"""Where `serve` serves pages: the same port each time, so that links of earlier runs still lead."""


def add_tools(commands: Any) -> None:
    """Add the commands to the parser.

    Args:
        commands: What argparse calls the subparsers.
    """
    for add in (
        *(_add_draw, _add_view, _add_verify, _add_runs, _add_retry, _add_init, _add_doctor),
        *(_add_serve, _add_deploy, _add_schedule, _add_automations, _add_blocks, _add_completion),
    ):
        add(commands)


def _add_draw(commands: Any) -> None:
    draw = commands.add_parser("draw", help="draw a program of branches, or the report flow")
    draw.add_argument(
        "what",
        nargs="?",
        choices=("report-batch", "parallel-branches"),
        default="parallel-branches",
        help="default: parallel-branches",
    )
    draw.add_argument("--branches-file", metavar="F", help="the branches as .yaml or .json")
    draw.add_argument("--merge", choices=MERGES, help="the merge")
    draw.add_argument("-o", "--output", metavar="FILE.svg", help="default: standard output")


def _add_view(commands: Any) -> None:
    view = commands.add_parser("view", help="read reports in the browser")
    view.add_argument(
        "directory",
        metavar="DIR",
        nargs="?",
        default=REPORTS_FOLDER,
        help=f"default: {REPORTS_FOLDER}",
    )
    view.add_argument("--port", metavar="N", type=port, default=0, help="default: any free one")
    view.add_argument(
        "--no-browser", action="store_true", help="print the address, and open no browser"
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


def _add_runs(commands: Any) -> None:
    runs = commands.add_parser(
        "runs",
        help="list past runs, show one; close or remove one whose process was killed",
        description="llm-reports runs [DIR] lists the runs of an output; llm-reports runs show RUN"
        " shows one; llm-reports runs close RUN writes the pages and the result of a run whose"
        " process was killed, with what is there; llm-reports runs remove RUN deletes its folder.",
    )
    runs.add_argument(
        "words",
        nargs="*",
        metavar="list DIR | show RUN | close RUN | remove RUN",
        help=f"RUN is a run's name, or its folder; default: list {REPORTS_FOLDER}",
    )
    _add_where(runs)
    runs.add_argument("--json", action="store_true", help="print the runs, or the run, as JSON")
    runs.add_argument(
        "--force", action="store_true", help="close or remove: no process is at work on it"
    )


def _add_retry(commands: Any) -> None:
    retry = commands.add_parser(
        "retry",
        help="run the request of an earlier run again; paid answers are used again",
        epilog="exit status: as of run",
    )
    retry.add_argument("run", metavar="RUN", help="its name, as runs lists it, or its folder")
    _add_where(retry)
    retry.add_argument(
        "--base-url", metavar="URL", help="as for run; needed if the run asked another address"
    )
    retry.add_argument("--json", action="store_true", help="print the result as JSON on stdout")


def _add_where(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        default=REPORTS_FOLDER,
        help=f"where the runs are, default: {REPORTS_FOLDER}",
    )


def _add_init(commands: Any) -> None:
    init = commands.add_parser(
        "init", help="write topics, options, branches and a short guide to start from"
    )
    init.add_argument("directory", metavar="DIR", help="a folder; it keeps the files it has")


def _add_doctor(commands: Any) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="check what is set, reachable, priced and writable; say what to do where it is not",
        epilog="exit status: 0 a run can begin, 2 something keeps it from that",
    )
    add = doctor.add_argument
    add("-m", "--model", metavar="M", help="as for run")
    add("--base-url", metavar="URL", help="as for run")
    add("--endpoint", metavar="NAME", help="as for run")
    add(
        "-o",
        "--output",
        metavar="DIR",
        default=REPORTS_FOLDER,
        help=f"as for run, default: {REPORTS_FOLDER}",
    )
    add("--json", action="store_true", help="print the checks as JSON")


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser(
        "serve", help="serve the deployments on this machine, without a work pool"
    )
    serve.add_argument(
        "-f",
        "--topics-file",
        metavar="F",
        help="topics of the nightly and weekly deployments; default: those they have, at first the"
        " shipped examples",
    )
    serve.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        default=REPORTS_FOLDER,
        help="output whose pages are served, for the links in the UI; default: %(default)s",
    )
    serve.add_argument(
        "--pages-port",
        metavar="N",
        type=port,
        default=PAGES_PORT,
        help="port of the pages; default: %(default)s, or any free one if that is taken",
    )


def _add_deploy(commands: Any) -> None:
    deploy = commands.add_parser(
        "deploy",
        help="deploy to a work pool, whose workers run the reports",
        epilog="a worker: prefect worker start --pool reports",
    )
    deploy.add_argument(
        "-f",
        "--topics-file",
        metavar="F",
        help="topics of the nightly and weekly deployments, as the workers find the file; default:"
        " those they have, at first the shipped examples",
    )
    deploy.add_argument(
        "--pool",
        metavar="NAME",
        default="reports",
        help="the work pool; a missing one is made, of the type process; default: reports",
    )


def _add_schedule(commands: Any) -> None:
    schedule = commands.add_parser("schedule", help="switch schedules of deployments on or off")
    schedule.add_argument(
        "to", metavar="on|off", choices=("on", "off"), help="on lets a schedule start runs"
    )
    schedule.add_argument("names", nargs="+", metavar="NAME", help="nightly, weekly")


def _add_automations(commands: Any) -> None:
    automations = commands.add_parser(
        "automations",
        help="save automations that restart dead runs and send notifications",
        add_help=False,
        prefix_chars="\0",  # its options are for the script, which says what they are
    )
    automations.add_argument("rest", nargs=argparse.REMAINDER, help="see automations --help")


def _add_blocks(commands: Any) -> None:
    blocks = commands.add_parser(
        "blocks", help="save the endpoint and the bucket of the environment as Prefect blocks"
    )
    blocks.add_argument("action", choices=("save",), help="save blocks, or update them")


def _add_completion(commands: Any) -> None:
    completion = commands.add_parser(
        "completion",
        help="print the completion script of a shell",
        epilog='bash: eval "$(llm-reports completion bash)" in ~/.bashrc; zsh: the same in'
        " ~/.zshrc, after compinit",
    )
    completion.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))
