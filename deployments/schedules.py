"""Switch the schedules of deployments on or off.

PREFECT_API_URL=http://127.0.0.1:4200/api python deployments/schedules.py on nightly
PREFECT_API_URL=http://127.0.0.1:4200/api python deployments/schedules.py off nightly weekly
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound

from prefect_llm_reports.flows.cli.parsing import Parser
from prefect_llm_reports.tasks.text.spelling import did_you_mean

FLOW = "report-batch"


async def switch(names: Sequence[str], *, on: bool) -> None:
    """Switch every schedule of deployments on or off; all of them, or none.

    Args:
        names: Names of deployments: `nightly` of report-batch, or whole ones (`my-flow/nightly`).
        on: True lets their schedules start runs.

    Raises:
        SystemExit: A deployment is not there, or has no schedule.
    """
    async with get_client() as client:
        whole = [name if "/" in name else f"{FLOW}/{name}" for name in names]
        found = [await _deployment(client, name) for name in whole]
        for name, deployment in zip(whole, found, strict=True):
            for schedule in deployment.schedules:
                await client.update_deployment_schedule(deployment.id, schedule.id, active=on)
            sys.stdout.write(f"{name}: {'on' if on else 'off'}\n")


async def _deployment(client: PrefectClient, name: str) -> DeploymentResponse:
    try:
        found = await client.read_deployment_by_name(name)
    except ObjectNotFound:
        flow, _, wanted = name.rpartition("/")
        flows = {one.id for one in await client.read_flows() if one.name == flow}
        there = [one.name for one in await client.read_deployments() if one.flow_id in flows]
        near = did_you_mean(wanted, there)
        sys.exit(
            f"error: {name} is not deployed on this server{near}; `llm-reports deploy` deploys the"
            " deployments of this package"
        )
    if not found.schedules:
        sys.exit(f"error: {name} has no schedule; add one in the UI, under Deployments")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and switch the schedules.

    Args:
        arguments: The arguments; None: those of this process.
    """
    program = None if arguments is None else "llm-reports schedule"
    parser = Parser(program, description="Switch schedules on or off.")
    parser.add_argument("to", metavar="on|off", choices=("on", "off"))
    parser.add_argument("names", nargs="+", metavar="NAME", help="nightly, weekly")
    chosen = parser.parse_args(arguments)
    asyncio.run(switch(chosen.names, on=chosen.to == "on"))


if __name__ == "__main__":
    main()
