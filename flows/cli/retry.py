"""`llm-reports retry`: the request of an earlier run, run again.

Not here: what is asked again (nothing that the store has), the run itself (`calling`).
"""

from __future__ import annotations

import argparse
import os
from typing import Any

from pydantic import TypeAdapter, ValidationError

from prefect_llm_reports.flows.cli.calling import run_batch_request, run_branches_request
from prefect_llm_reports.flows.cli.runs import found_run, location_of
from prefect_llm_reports.tasks.contract.branches import BranchOptions
from prefect_llm_reports.tasks.contract.call_options import CallOptions
from prefect_llm_reports.tasks.contract.choices import DEFAULT_ROUNDS, DEFAULT_THRESHOLD
from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.contract.records import OFFLINE
from prefect_llm_reports.tasks.contract.requests import BatchRequest, BranchesRequest
from prefect_llm_reports.tasks.contract.run_requests import REQUEST, KeptBranches, KeptRequest
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.inputs.requests import OPENAI_URL, Collected
from prefect_llm_reports.tasks.llm.transport import host_of
from prefect_llm_reports.tasks.storage.places import Place
from prefect_llm_reports.tasks.text.foreign import shown

_KEPT: TypeAdapter[KeptRequest | KeptBranches] = TypeAdapter(KeptRequest | KeptBranches)


def retry(chosen: argparse.Namespace) -> int:
    """Run a request again into the output of its run, and return the exit status.

    Args:
        chosen: The parsed command line.

    Raises:
        BadInput: There is no such run, or it has no request.
    """
    if chosen.base_url:
        os.environ["OPENAI_BASE_URL"] = chosen.base_url
    try:
        place, name = found_run(chosen.run, chosen.output)
        body = place.read(f"{name}/{REQUEST}")
        names = place.names(name)
    except StorageError as error:
        raise BadInput(str(error)) from None
    if body is None:
        raise BadInput(_no_request(place, name, names))
    output = location_of(chosen.run, chosen.output)[0]
    try:
        kept = _KEPT.validate_json(body)
    except ValidationError:
        raise BadInput(
            f"{place.path(name)}/{REQUEST} is damaged; run the first command again"
        ) from None
    if isinstance(kept, KeptBranches):
        return run_branches_request(_branches(kept, output), Collected(), as_json=chosen.json)
    return run_batch_request(_batch(kept, output), Collected(), as_json=chosen.json)


def _no_request(place: Place, name: str, names: list[str]) -> str:
    if not names:
        return f"{place.path(name)}: there is no such run; `llm-reports runs` lists them"
    return (
        f"{place.path(name)} keeps no request: the run is of an older version, or its branches have"
        " forms in Python; run the first command again, which pays for no answer twice"
    )


def _batch(kept: KeptRequest, output: str) -> BatchRequest:
    """The request of a batch of reports, for its output.

    Raises:
        BadInput: The run asked at another address than this environment's.
    """
    options, model = _of_calls(kept, ReportOptions)
    return BatchRequest(
        topics=kept.topics,
        max_iterations=kept.options.get("max_iterations", DEFAULT_ROUNDS),
        quality_threshold=kept.options.get("quality_threshold", DEFAULT_THRESHOLD),
        model=model,
        output=output,
        endpoint=kept.saved_endpoint,
        options=options,
    )


def _branches(kept: KeptBranches, output: str) -> BranchesRequest:
    """The request of a batch of branches, for its output.

    Raises:
        BadInput: The run asked at another address than this environment's.
    """
    options, model = _of_calls(kept, BranchOptions)
    return BranchesRequest(
        queries=kept.queries,
        branches=kept.branches,
        merge=kept.merge,
        model=model,
        output=output,
        endpoint=kept.saved_endpoint,
        options=options,
    )


def _of_calls(
    kept: KeptRequest | KeptBranches, kind: type[CallOptions]
) -> tuple[dict[str, Any], str]:
    """The options of a request, and its model.

    Raises:
        BadInput: The run asked at another address than this environment's.
    """
    address, model = (str(kept.options.get(name, "")) for name in ("endpoint", "model"))
    here = (Settings().openai_base_url or OPENAI_URL).strip().rstrip("/")
    if model != OFFLINE and not kept.saved_endpoint and address not in ("", here):
        # A person who can write to the output could have the key sent elsewhere.
        raise BadInput(
            f"the run asked {shown(address)}, and this environment names {host_of(here)}; if you"
            " trust that address with your key, give it with --base-url"
        )
    known = kind.model_fields.keys() - {"trace"}  # nor spans, with their credentials
    return {name: value for name, value in kept.options.items() if name in known}, model
