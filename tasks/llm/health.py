"""Whether an endpoint still serves: what a batch has seen of it, and when it counts as down."""

from __future__ import annotations

from prefect_llm_reports.tasks.contract.errors import EndpointDown

FAILURES_IN_A_ROW = 5
"""Calls given up in a row after which an endpoint counts as down."""

MISSES_IN_A_ROW = 5
"""Requests without an answer in a row after which only one at a time is sent."""


class Health:
    """What a batch has seen of an endpoint.

    Attributes:
        reached: Something has answered there.
    """

    def __init__(self) -> None:
        self.reached = False
        self._misses = 0
        self._given_up = 0

    def replied(self) -> None:
        """Take note of a completion."""
        self._misses = 0

    def missed(self) -> bool:
        """Take note of a failed request; True: so many in a row that one at a time is enough."""
        self._misses += 1
        return self._misses >= MISSES_IN_A_ROW

    def settled(self) -> None:
        """Take note of a call that the endpoint has answered or refused for its own sake."""
        self._given_up = 0

    def gave_up(self, seen: str) -> EndpointDown | None:
        """Take note of a call that was given up; the error, when the endpoint counts as down.

        Args:
            seen: The failure, for the message.
        """
        self._given_up += 1
        if not self.reached:
            return EndpointDown(
                f"first contact failed: {seen}; check the base URL and that the endpoint is"
                " running, then run the same command again"
            )
        if self._given_up >= FAILURES_IN_A_ROW:
            return EndpointDown(
                f"{self._given_up} calls in a row failed, the last: {seen}; the answers so far are"
                " kept: run the same command again when the endpoint is well"
            )
        return None
