"""`llm-reports serve`: the deployments of `prefect.yaml` on this machine, without a work pool.

Here: reading that file, telling the Prefect API, starting runs, having their pages served. Not
here: the deployments; only the file defines them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.resources import files
from inspect import signature
from pathlib import Path
from typing import Any, cast

import yaml
from prefect import Flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.client.schemas.responses import DeploymentResponse
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound, TerminationSignal
from prefect.runner import Runner
from prefect.schedules import Cron, RRule, Schedule
from prefect.settings import get_current_settings
from prefect.types.entrypoint import EntrypointType
from rich.console import Console
from rich.markup import escape

from prefect_llm_reports.flows.cli.interruption import leave
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.locations import absolute, in_s3
from prefect_llm_reports.tasks.contract.settings import Settings

POLL_S = 1.0
"""Seconds between two looks for new runs."""
SHIPPED = files("prefect_llm_reports.flows.deployments")
"""The installed copy of `deployments/`."""


def definitions() -> list[dict[str, Any]]:
    """The deployments in prefect.yaml."""
    file = yaml.safe_load((SHIPPED / "prefect.yaml").read_text(encoding="utf-8"))
    return cast("list[dict[str, Any]]", file["deployments"])


async def deployment(said: Mapping[str, Any], active: Mapping[str, bool]) -> RunnerDeployment:
    """A deployment for a runner of this machine.

    Args:
        said: The deployment in prefect.yaml.
        active: Whether a schedule is on, by slug; other schedules are as in the file.
    """
    limit = said.get("concurrency_limit")
    return await _flow(said).ato_deployment(
        name=said["name"],
        description=said["description"],
        tags=said["tags"],
        parameters=said.get("parameters", {}),
        schedules=[_schedule(one, active) for one in said.get("schedules", ())],
        concurrency_limit=ConcurrencyLimitConfig(**limit) if limit else None,
        enforce_parameter_schema=said["enforce_parameter_schema"],
        entrypoint_type=EntrypointType.MODULE_PATH,
        paused=False,
    )


def _flow(said: Mapping[str, Any]) -> Flow[..., Any]:
    module, _, name = str(said["entrypoint"]).rpartition(".")
    return getattr(import_module(module), name)


def _schedule(said: Mapping[str, Any], active: Mapping[str, bool]) -> Schedule:
    common: dict[str, Any] = {
        "slug": said["slug"],
        "timezone": said["timezone"],
        "active": active.get(said["slug"], said["active"]),
    }
    return Cron(said["cron"], **common) if "cron" in said else RRule(said["rrule"], **common)


def serve(chosen: argparse.Namespace) -> int:
    """Serve the deployments until Ctrl-C or SIGTERM, and return the exit status.

    Args:
        chosen: The parsed command line, which may name a file of topics for the scheduled
            deployments, and the output whose pages are served.

    Raises:
        BadInput: No Prefect server answers, the file does not exist, or the output is no place for
            files.
    """
    from prefect_llm_reports.flows.cli.server import reach_server

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    reach_server(console, embedded=False)
    topics_file: str | None = chosen.topics_file
    if topics_file and not in_s3(topics_file) and not Path(absolute(topics_file)).is_file():
        raise BadInput(
            f"topics file {topics_file} does not exist; give the path of a readable file"
        )
    try:
        with _pages(chosen.output, chosen.pages_port) as address:
            asyncio.run(_serve(console, topics_file, f"Pages of {chosen.output}: {address}/"))
    except (KeyboardInterrupt, TerminationSignal):
        return 0
    return 0


@contextmanager
def _pages(output: str, port: int) -> Generator[str]:
    """Serve the pages of an output, and have runs link to them; gives their address."""
    known = Settings().pages_of(absolute(output))
    if known:
        yield known.rstrip("/")
        return
    from prefect_llm_reports.flows.cli.view import served_beside

    with served_beside(output, port) as address:
        # Processes of runs inherit these.
        os.environ.update(LLM_REPORTS_PAGES_URL=address, LLM_REPORTS_PAGES_FOLDER=absolute(output))
        yield address


async def _serve(console: Console, topics_file: str | None, pages: str) -> None:
    runner = Runner(name="llm-reports", query_seconds=POLL_S)
    lines = [f"Serving; relative paths begin at {Path.cwd()}:"]
    taken: set[str] = set()
    async with get_client() as client:
        for said in definitions():
            _, before = await deployment_named(client, said)
            if before and before.work_pool_name:
                taken.add(before.work_pool_name)
            lines += await _added(client, runner, said, before, topics_file)
    if taken:
        lines += [
            f"They were on the work pool {', '.join(sorted(taken))}; deploy them again to give them"
            " back to its workers."
        ]
    lines += [
        f"Start a run at {get_current_settings().ui_url}/deployments, or with",
        "  prefect deployment run report-batch/on-demand -p 'topics=[\"Tidal power\"]'"
        " -p model=offline",
        pages,
        "Press Ctrl-C to end; schedules rest until you serve again.",
    ]
    _end_with_runs(runner)
    console.print(escape("\n".join(lines)))
    await runner.start()


def _end_with_runs(runner: Runner) -> None:
    """Let the first Ctrl-C or SIGHUP end the runs, too, and the second end this process at once.

    By itself, the runner would end without its runs.
    """

    def end(number: int) -> None:
        if runner.stopping:
            leave(128 + number)
        runner.handle_sigterm()

    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, end, number)


async def deployment_named(
    client: PrefectClient, said: Mapping[str, Any]
) -> tuple[str, DeploymentResponse | None]:
    """A deployment's full name, and what the server has of this name; None: nothing.

    Args:
        client: The Prefect API.
        said: The deployment in prefect.yaml.
    """
    name = f"{_flow(said).name}/{said['name']}"
    with suppress(ObjectNotFound):
        return name, await client.read_deployment_by_name(name)
    return name, None


def parameters_of(
    said: Mapping[str, Any], before: DeploymentResponse | None, topics_file: str | None
) -> dict[str, Any]:
    """The parameters that a deployment gets: those that people have given it, else the file's.

    Its schedule may be on: deploying again lets it buy no other topics, and for no other budget.

    Args:
        said: The deployment in prefect.yaml.
        before: What the server has of it; None: nothing.
        topics_file: The topics that were asked for now; None: those that it has.
    """
    ours: dict[str, Any] = said.get("parameters", {})
    takes = signature(_flow(said).fn).parameters
    theirs = before.parameters if before else {}
    found = {**ours, **{name: value for name, value in theirs.items() if name in takes}}
    if example := ours.get("topics_file"):
        if topics_file:
            found["topics_file"] = topics_file
        elif str(found["topics_file"]).endswith(example):  # where it was installed before
            found["topics_file"] = example
    return found


def topics_line(parameters: Mapping[str, Any]) -> str:
    """Which topics a schedule has: `topics from /srv/topics.yaml`.

    Args:
        parameters: Those of its deployment.
    """
    name = str(parameters.get("topics_file") or "")
    if not name:
        return "topics of its own"
    return f"topics from {name}" + ("" if name.startswith(("/", "s3")) else " (an example)")


def schedule_line(said: Mapping[str, Any]) -> str:
    """When a schedule of prefect.yaml starts runs: `0 2 * * * in Europe/Berlin`.

    Args:
        said: The schedule.
    """
    return f"{said.get('cron') or said.get('rrule')} in {said['timezone']}"


async def _added(
    client: PrefectClient,
    runner: Runner,
    said: dict[str, Any],
    before: DeploymentResponse | None,
    topics_file: str | None,
) -> list[str]:
    """Add a deployment, with its schedules on or off as before; returns lines for the terminal."""
    parameters = parameters_of(said, before, topics_file)
    if parameters.get("topics_file"):
        parameters["topics_file"] = _found(parameters["topics_file"])
    active = {one.slug: one.active for one in before.schedules if one.slug} if before else {}
    made = await deployment({**said, "parameters": parameters}, active)
    made.work_pool_name = None  # set explicitly, it removes the deployment from its work pool
    name = f"{made.flow_name}/{made.name}"
    lines = [f"  {name}"]
    known = await client.read_deployment(await runner.aadd_deployment(made))
    if known.work_pool_name:
        raise BadInput(
            f"{name} is deployed to the work pool {known.work_pool_name}, and this Prefect server"
            f" cannot remove it; run `prefect deployment delete {name}`, then serve again"
        )
    for one in known.schedules:
        when = next(schedule for schedule in said["schedules"] if schedule["slug"] == one.slug)
        lines.append(f"    {schedule_line(when)}, {topics_line(parameters)}")
        to, state = ("off", "on") if one.active else ("on", "off")
        lines.append(f"    {state}; `llm-reports schedule {to} {made.name}` changes it")
    return lines


def _found(topics_file: str) -> str:
    """The full path of a topics file: relative to this directory, or else the shipped file."""
    if in_s3(topics_file):
        return topics_file
    here = Path(absolute(topics_file))
    shipped = Path(str(SHIPPED)) / topics_file.removeprefix("deployments/")
    return str(here if here.is_file() or not shipped.is_file() else shipped)
