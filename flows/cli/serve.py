"""`llm-reports serve`: the deployments of `prefect.yaml` on this machine, without a work pool.

Here: reading that file, telling the Prefect API, starting runs. Not here: what is deployed; only
the file says that.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from importlib.resources import files
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

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.locations import absolute, in_s3

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


def serve(topics_file: str | None = None) -> int:
    """Serve the deployments until Ctrl-C or SIGTERM, and return the exit status.

    Args:
        topics_file: Topics of the scheduled deployments; None: the files in prefect.yaml.

    Raises:
        BadInput: No Prefect server answers, or the file does not exist.
    """
    from prefect_llm_reports.flows.cli.server import reach_server

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    reach_server(console, embedded=False)
    if topics_file and not in_s3(topics_file) and not Path(absolute(topics_file)).is_file():
        raise BadInput(
            f"topics file {topics_file} does not exist; give the path of a readable file"
        )
    try:
        asyncio.run(_serve(console, topics_file))
    except (KeyboardInterrupt, TerminationSignal):
        return 0
    return 0


async def _serve(console: Console, topics_file: str | None) -> None:
    runner = Runner(name="llm-reports", query_seconds=POLL_S)
    lines = [f"Serving; relative paths begin at {Path.cwd()}:"]
    taken: set[str] = set()
    async with get_client() as client:
        for said in definitions():
            before = await _known(client, said)
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
        "Press Ctrl-C to end; schedules rest until you serve again.",
    ]
    console.print(escape("\n".join(lines)))
    # On Ctrl-C, the runner by itself would end without its runs.
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, runner.handle_sigterm)
    await runner.start()


async def _known(client: PrefectClient, said: Mapping[str, Any]) -> DeploymentResponse | None:
    """The deployment on the server; None: the server has none of this name."""
    flow = _flow(said)
    with suppress(ObjectNotFound):
        return await client.read_deployment_by_name(f"{flow.name}/{said['name']}")
    return None


async def _added(
    client: PrefectClient,
    runner: Runner,
    said: dict[str, Any],
    before: DeploymentResponse | None,
    topics_file: str | None,
) -> list[str]:
    """Add a deployment, with its schedules on or off as before; returns lines for the terminal."""
    parameters = dict(said.get("parameters", {}))
    if "topics_file" in parameters:
        parameters["topics_file"] = _found(topics_file or parameters["topics_file"])
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
        lines.append(
            f"    {when.get('cron') or when.get('rrule')} in {when['timezone']}, topics from"
            f" {parameters['topics_file']}"
        )
        to, state = ("pause", "on") if one.active else ("resume", "off")
        lines.append(f"    {state}; `prefect deployment schedule {to} {name} {one.id}` changes it")
    return lines


def _found(topics_file: str) -> str:
    """The full path of a topics file: relative to this directory, or else the shipped file."""
    if in_s3(topics_file):
        return topics_file
    here = Path(absolute(topics_file))
    shipped = Path(str(SHIPPED)) / topics_file.removeprefix("deployments/")
    return str(here if here.is_file() or not shipped.is_file() else shipped)
