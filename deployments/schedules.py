"""Switch the schedules of deployments on or off.

PREFECT_API_URL=http://127.0.0.1:4200/api python deployments/schedules.py on nightly
PREFECT_API_URL=http://127.0.0.1:4200/api python deployments/schedules.py off nightly weekly
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound


async def switch(name: str, *, on: bool) -> None:
    """Switch every schedule of a report-batch deployment on or off.

    Args:
        name: Name of the deployment.
        on: True lets its schedules start runs.
    """
    async with get_client() as client:
        try:
            deployment = await client.read_deployment_by_name(f"report-batch/{name}")
        except ObjectNotFound:
            sys.exit(
                f"error: report-batch/{name} is not deployed on this server; deploy it with"
                " `prefect --no-prompt deploy --all --prefect-file deployments/prefect.yaml` and"
                " run this again"
            )
        for schedule in deployment.schedules:
            await client.update_deployment_schedule(deployment.id, schedule.id, active=on)
            sys.stdout.write(f"report-batch/{name}: {'on' if on else 'off'}\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and switch the schedules.

    Args:
        arguments: The arguments; None: those of this process.
    """
    parser = argparse.ArgumentParser(description="Switch schedules on or off.")
    parser.add_argument("to", choices=("on", "off"))
    parser.add_argument("names", nargs="+", metavar="NAME", help="nightly, weekly")
    chosen = parser.parse_args(arguments)
    for name in chosen.names:
        asyncio.run(switch(name, on=chosen.to == "on"))


if __name__ == "__main__":
    main()
