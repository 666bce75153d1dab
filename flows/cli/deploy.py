"""`llm-reports deploy`, `schedule`, `automations` and `blocks`: they set up a Prefect server.

Here: the shipped `deployments/` as commands, so that nobody needs a checkout. Not here: what is
deployed, which only prefect.yaml says; deployments without a work pool (`serve`).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from rich.console import Console

from prefect_llm_reports.flows.cli import statuses
from prefect_llm_reports.flows.cli.serve import (
    SHIPPED,
    deployment_named,
    parameters_of,
    schedule_line,
    topics_line,
)
from prefect_llm_reports.flows.cli.server import reach_server
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.locations import absolute, in_s3
from prefect_llm_reports.tasks.text.foreign import printable, shown

PREFECT_FILE = "prefect.yaml"
LAST_LINES = 15
"""Lines of Prefect's own output that are shown when it refuses to deploy."""


def deploy(chosen: argparse.Namespace) -> int:
    """Deploy everything in prefect.yaml to a work pool, and return the exit status.

    Schedules that are on stay on.

    Args:
        chosen: The parsed command line.

    Raises:
        BadInput: No Prefect server answers, or it refuses.
    """
    _reach()
    pool = str(chosen.pool).strip()
    if not pool:
        raise BadInput("--pool is blank; name a work pool")
    file = cast("dict[str, Any]", yaml.safe_load((SHIPPED / PREFECT_FILE).read_text("utf-8")))
    topics_file = _topics_file(chosen.topics_file)
    lines: list[str] = []
    if not asyncio.run(_has_pool(pool)):
        _prefect("work-pool", "create", pool, "--type", "process")
        lines.append(f"made the work pool {pool}, of the type process")
    lines += asyncio.run(_prepare(file, pool, topics_file))
    with tempfile.TemporaryDirectory(prefix="llm-reports-") as folder:
        path = Path(folder) / PREFECT_FILE
        path.write_text(yaml.safe_dump(file, sort_keys=False, allow_unicode=True), "utf-8")
        _prefect("deploy", "--all", "--prefect-file", str(path))
    lines += [
        f"Runs wait for a worker. Start one where reports are to be written:"
        f" prefect worker start --pool {pool}",
        "Schedules are off at first: llm-reports schedule on nightly",
    ]
    sys.stdout.write(printable("\n".join(lines), keep="\n") + "\n")
    return statuses.COMPLETE


def schedule(chosen: argparse.Namespace) -> int:
    """Switch the schedules of deployments on or off, and return the exit status.

    Args:
        chosen: The parsed command line.

    Raises:
        BadInput: No Prefect server answers, or it has no such deployment.
    """
    _reach()
    return _script("schedules", [chosen.to, *chosen.names])


def automations(chosen: argparse.Namespace) -> int:
    """Save or remove the automations that watch runs, and return the exit status.

    Args:
        chosen: The parsed command line.

    Raises:
        BadInput: No Prefect server answers, or it has no such block.
    """
    if not {"-h", "--help"} & set(chosen.rest):
        _reach()
    return _script("save_automations", chosen.rest)


def blocks(_chosen: argparse.Namespace) -> int:
    """Save the endpoint and the bucket of the environment, and return the exit status.

    Raises:
        BadInput: No Prefect server answers, or there is nothing to save.
    """
    _reach()
    return _script("save_blocks")


def _reach() -> None:
    reach_server(Console(stderr=True, highlight=False, soft_wrap=True), embedded=False)


def _script(name: str, *arguments: list[str]) -> int:
    """Run a script of `deployments/`; one that ends with a message was given something wrong."""
    script = import_module(f"prefect_llm_reports.flows.deployments.{name}")
    try:
        script.main(*arguments)
    except SystemExit as end:
        if isinstance(end.code, str):
            raise BadInput(end.code.removeprefix("error: ")) from None
        raise
    return statuses.COMPLETE


def _topics_file(given: str | None) -> str | None:
    """A topics file as workers on this machine find it from any folder.

    Raises:
        BadInput: There is no such file.
    """
    if not given or in_s3(given):
        return given
    path = absolute(given)
    if not Path(path).is_file():
        raise BadInput(f"topics file {given} does not exist; give the path of a readable file")
    return path


async def _prepare(file: dict[str, Any], pool: str, topics_file: str | None) -> list[str]:
    """Have all deployments go to the pool, with schedules and parameters as they are."""
    lines: list[str] = []
    async with get_client() as client:
        for said in cast("list[dict[str, Any]]", file["deployments"]):
            name, known = await deployment_named(client, said)
            variables = job_variables_of(said["work_pool"], known, pool)
            said["work_pool"] = {**said["work_pool"], "name": pool, "job_variables": variables}
            said["parameters"] = parameters_of(said, known, topics_file)
            active = {one.slug: one.active for one in known.schedules} if known else {}
            lines.append(f"  {name}")
            for one in said.get("schedules", ()):
                one["active"] = active.get(one["slug"], one["active"])
                state = "on" if one["active"] else "off"
                topics = topics_line(said["parameters"])
                lines.append(f"    {schedule_line(one)}, {state}, {topics}")
    return lines


def job_variables_of(
    said: Mapping[str, Any], known: DeploymentResponse | None, pool: str
) -> dict[str, Any]:
    """The job variables that a deployment gets: ours, and what people have set on the same pool.

    Args:
        said: The work pool in prefect.yaml.
        known: What the server has of the deployment; None: nothing.
        pool: The work pool that it goes to.
    """
    ours: dict[str, Any] = said.get("job_variables", {})
    theirs = known.job_variables or {} if known and known.work_pool_name == pool else {}
    environment = {**theirs.get("env", {}), **ours.get("env", {})}
    return {**theirs, **ours, "env": environment}


async def _has_pool(pool: str) -> bool:
    async with get_client() as client:
        try:
            await client.read_work_pool(pool)
        except ObjectNotFound:
            return False
    return True


def _prefect(*arguments: str) -> None:
    """Run a command of Prefect's.

    Raises:
        BadInput: It failed.
    """
    done = subprocess.run(  # noqa: S603 - Prefect's own command
        [sys.executable, "-m", "prefect", "--no-prompt", *arguments],
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()[-LAST_LINES:]
        lines = " / ".join(line.strip() for line in said)
        raise BadInput(f"prefect {' '.join(arguments[:2])} failed: {shown(lines)}")
