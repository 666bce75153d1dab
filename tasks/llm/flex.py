"""Flex calls: what an endpoint says when it has no capacity for them, or does not offer them."""

from __future__ import annotations

import re
from typing import Any

from prefect_llm_reports.tasks.contract.errors import NoFlex, NoFlexCapacity
from prefect_llm_reports.tasks.llm import refusal_words as words
from prefect_llm_reports.tasks.llm.error_bodies import ErrorBody
from prefect_llm_reports.tasks.llm.response import Response
from prefect_llm_reports.tasks.text.foreign import shown

FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 60.0
"""Seconds to wait for capacity: at first, and at most."""

_NO_CAPACITY = re.compile(r"resource[ _]unavailable|capacity", re.I)
_TIER = re.compile(r"service[_ -]?tier", re.I)
_FLEX = re.compile(r"\bflex\b", re.I)
_REFUSED = re.compile(
    r"not (?:be )?(?:supported|available|allowed|enabled|permitted|offered)|unsupported|invalid"
    r"|does(?: not|n.t) (?:support|offer|have)|unknown|unavailable|only",
    re.I,
)
_OTHERS = frozenset(
    {"default", "standard", "auto", "on_demand", "priority", "scale", "performance"}
)


def refuse(response: Response, host: str, model: str) -> None:
    """Refuse a response that says that there is no flex; do nothing with any other.

    Raises:
        NoFlexCapacity: There is none now.
        NoFlex: There is none at all for this model at this endpoint.
    """
    body = ErrorBody.of(response)
    if response.ok and not body.status:
        return
    status = body.status if response.ok else response.status
    said = body.words
    where: dict[str, Any] = {"status": response.status, "request_id": response.request_id}
    about_money = words.QUOTA.search(said) or words.WITHHELD.search(said)
    if status in (429, 498, 503) and _NO_CAPACITY.search(f"{said} {'capacity' * (status == 498)}"):
        if about_money or words.KEY.search(said) or (status == 503 and not _FLEX.search(said)):
            return
        raise NoFlexCapacity(
            f"{host} has no flex capacity for {model}; run the same command again later, raise the"
            " deadline, or set when_late: standard",
            **where,
        )
    names_tier = _TIER.search(said) or (_FLEX.search(said) and _REFUSED.search(said))
    if 400 <= status < 500 and names_tier and not about_money:
        raise NoFlex(_no_flex(host, model, f"{response.status}: {shown(body.message)}"), **where)


class Tiers:
    """In which tiers an endpoint answers flex requests.

    Args:
        host: The endpoint's host, for messages.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._had = set[str]()

    def dearer(self, response: Response, model: str) -> NoFlex | None:
        """The error for a model whose flex requests were only ever answered at another price.

        A response names its tier. One that names none may come from a server that does not say;
        and where there has been flex before, a call may be answered in another tier.
        """
        tier = response.fields.get("service_tier")
        named = tier.strip().lower() if isinstance(tier, str) else ""
        if named == "flex":
            self._had.add(model)
        if named not in _OTHERS or model in self._had:
            return None
        return NoFlex(_no_flex(self._host, model, f"it answered in the tier {named!r}"))


def _no_flex(host: str, model: str, why: str) -> str:
    return f"{host} offers no flex for {model} ({why}); leave `price` out or choose another model"
