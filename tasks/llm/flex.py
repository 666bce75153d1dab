"""Flex calls: what an endpoint says when it has no capacity for them, or does not offer them."""

from __future__ import annotations

import re

from prefect_llm_reports.tasks.contract.errors import NoFlex, NoFlexCapacity
from prefect_llm_reports.tasks.llm.refusals import ErrorBody
from prefect_llm_reports.tasks.llm.response import Response
from prefect_llm_reports.tasks.text.foreign import shown

FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 60.0
"""Seconds to wait for capacity: at first, and at most."""

_NO_CAPACITY = re.compile(r"resource[ _]unavailable|capacity", re.I)
_NO_FLEX = re.compile(r"service[_ ]?tier|\bflex\b", re.I)


def refuse(response: Response, host: str, model: str) -> None:
    """Refuse a response that says that there is no flex; do nothing with any other.

    Raises:
        NoFlexCapacity: There is none now.
        NoFlex: There is none at all for this model at this endpoint.
    """
    body = ErrorBody.of(response)
    said = " ".join((body.code, body.kind, body.message, body.parameter))
    if response.status == 498 or (response.status == 429 and _NO_CAPACITY.search(said)):
        raise NoFlexCapacity(
            f"{host} has no flex capacity for {model}; run the same command again later, raise the"
            " deadline, or set when_late: standard",
            status=response.status,
            request_id=response.request_id,
        )
    if response.status in (400, 404, 422) and _NO_FLEX.search(said):
        raise NoFlex(
            f"{host} offers no flex for {model} ({response.status}: {shown(body.message)}); leave"
            " `price` out or choose another model",
            status=response.status,
            request_id=response.request_id,
        )
