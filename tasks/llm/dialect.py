"""What an endpoint does not take: parameters it has refused, remembered for this process.

Not here: how a refusal names a parameter (`llm.refusals`), the request without it
(`llm.requests`).
"""

from __future__ import annotations

import logging

from prefect_llm_reports.tasks.llm.refusals import Unsupported
from prefect_llm_reports.tasks.llm.transport import host_of

logger = logging.getLogger(__name__)

_INSTEAD = {"json_schema": ("json_schema", "json_object")}
"""What to leave out in turn when a parameter is refused; of others only itself."""


class Dialect:
    """Chat Completions as one endpoint speaks it.

    Args:
        host: The endpoint's host, for the log.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._refused: frozenset[str] = frozenset()

    @property
    def left_out(self) -> frozenset[str]:
        """Parameters to leave out of the next request."""
        return self._refused

    def learn(self, error: Unsupported, left_out: frozenset[str]) -> bool:
        """Leave out what was refused, in all later requests.

        Args:
            error: The refusal.
            left_out: What the refused request was made without already.

        Returns:
            Whether another request differs from the refused one.
        """
        for parameter in _INSTEAD.get(error.parameter, (error.parameter,)):
            if parameter not in left_out:
                if parameter not in self._refused:
                    self._refused |= {parameter}
                    logger.warning(
                        "%s does not take %s; going on without it", self._host, parameter
                    )
                return True
        return False


_dialects: dict[str, Dialect] = {}


def dialect_of(base_url: str) -> Dialect:
    """The dialect of an endpoint, as far as this process has found it out."""
    return _dialects.setdefault(base_url, Dialect(host_of(base_url)))
