"""How many files and connections this process may have open at once.

Not here: raising the limit (`environment`), how many calls are made at once (`llm.pacing`).
"""

from __future__ import annotations

import resource

from prefect_llm_reports.tasks.contract.errors import BadInput

BESIDE = 64
"""Open files beside one connection a call: Prefect's own, the store's, and pages being written."""


def check_descriptors(connections: int) -> None:
    """Make sure that this many calls may be under way at once.

    Args:
        connections: Calls at once, each by a connection of its own.

    Raises:
        BadInput: The process may not open so many files.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + BESIDE
    if soft != resource.RLIM_INFINITY and soft < needed:
        raise BadInput(
            f"{connections} calls at once need {needed} open files, and this process may have"
            f" {soft}; raise the limit with `ulimit -n {needed}`, or lower the concurrency"
        )
