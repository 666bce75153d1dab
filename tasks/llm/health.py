"""Whether an endpoint still serves: what a batch has seen of it, and when it counts as down."""

from __future__ import annotations

import asyncio

from prefect_llm_reports.tasks.contract.errors import EndpointDown

FAILURES_IN_A_ROW = 5
"""Calls given up in a row after which an endpoint counts as down."""

REJECTED_IN_A_ROW = 3
"""Different topics rejected alike, without an answer between, after which no other is asked."""

MISSES_IN_A_ROW = 5
"""Requests without an answer in a row after which only one at a time is sent."""


class Health:
    """The history of an endpoint in one batch.

    Attributes:
        reached: Something has answered there.
        served: It has given an answer that can be used.
        replied_at: When it did so last, by the event loop's clock.
    """

    def __init__(self) -> None:
        self.reached = False
        self.served = False
        self.replied_at = float("-inf")
        self._refused_since: float | None = None
        self._doubted = False
        self._misses = 0
        self._given_up = 0
        self._next_reply: asyncio.Event | None = None
        self._models: set[str] = set()
        self._rejected: dict[str, set[str]] = {}

    def has_served(self, model: str) -> bool:
        """Whether a model has given an answer here."""
        return model in self._models

    def all_rejected(self, item: str, how: str) -> bool:
        """Take note of a rejected topic; True: so many in a row that it concerns them all.

        Args:
            item: The topic's slug.
            how: How it was rejected; equal for equal rejections.
        """
        items = self._rejected.setdefault(how, set())
        items.add(item)
        return len(items) >= REJECTED_IN_A_ROW

    def replied(self, now: float, model: str) -> None:
        """Take note of a completion."""
        self._models.add(model)
        self._rejected.clear()
        self.served, self.replied_at = True, now
        self._misses = 0
        self._refused_since = None
        self._doubted = False
        if self._next_reply:
            self._next_reply.set()
            self._next_reply = None

    async def replies_within(self, seconds: float) -> bool:
        """Whether another completion comes soon."""
        self._next_reply = reply = self._next_reply or asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                return await reply.wait()
        except TimeoutError:
            return False

    def refused_s(self, now: float) -> float:
        """Take note of a refusal by the account's limits; seconds of refusals and nothing else."""
        if self._refused_since is None:
            self._refused_since = now
        return now - self._refused_since

    def quota_used_up(self) -> bool:
        """Take note of what may be a used-up quota; True: it is one, without a doubt."""
        doubted, self._doubted = self._doubted, True
        return doubted or not self.served

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
