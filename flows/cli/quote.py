"""`--quote`: what a run would ask, cost and take, without a call and without a flow run.

Not here: how it is estimated (`reports.quoting`, `branches.quoting`).
"""

from __future__ import annotations

import asyncio

from rich.console import Console

from prefect_llm_reports.flows.cli.server import reach_server
from prefect_llm_reports.flows.cli.streams import print_result, print_text
from prefect_llm_reports.tasks.branches.checking import check_branches
from prefect_llm_reports.tasks.branches.quoting import quote_branches
from prefect_llm_reports.tasks.contract.quotes import Quote
from prefect_llm_reports.tasks.contract.requests import BatchRequest, BranchesRequest
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.llm.blocks import saved_endpoints
from prefect_llm_reports.tasks.reports.checking import check_batch
from prefect_llm_reports.tasks.reports.quoting import quote_batch
from prefect_llm_reports.tasks.text.quotes import quote_lines


def quote(request: BatchRequest | BranchesRequest, *, as_json: bool) -> int:
    """Print the quote of a request on stdout; returns the exit status.

    Args:
        request: The request. Saved endpoints that it names are looked up, which needs the server.
        as_json: Print it as one JSON document.

    Raises:
        BadInput: The request is invalid.
    """
    if request.saved_endpoints:
        reach_server(Console(stderr=True, highlight=False, soft_wrap=True))
    found = asyncio.run(_quoted(request))
    if as_json:
        print_result(found, None)
    else:
        print_text("\n".join(quote_lines(found)))
    return 0


async def _quoted(request: BatchRequest | BranchesRequest) -> Quote:
    saved = await saved_endpoints(request.saved_endpoints)
    if isinstance(request, BatchRequest):
        return await quote_batch(await asyncio.to_thread(check_batch, request, Settings(), saved))
    return await quote_branches(await asyncio.to_thread(check_branches, request, Settings(), saved))
