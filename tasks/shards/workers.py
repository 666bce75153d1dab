"""Workers that run shards: their interface, and the tries at a shard.

Not here: the kinds of workers (`deployments`, `task_runners`), the effect of a try's end
(`following`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from prefect.client.schemas.objects import State

from prefect_llm_reports.tasks.shards.orders import ShardOrder

End = Literal["completed", "failed", "crashed", "cancelled"]


LOOK_S = 2.0
"""Seconds between two looks at the tries."""


@dataclass(eq=False)
class Try:
    """One try at one shard.

    Attributes:
        number: Which shard.
        name: The name by which an operator finds it.
        flow_run: Hex id of its flow run; empty: not known yet.
        running: It has begun, as far as is known.
        end: How it ended; None: it has not ended.
        said: The message of its end.
        since: When it began, by the monotonic clock.
    """

    number: int
    name: str
    flow_run: str = ""
    running: bool = False
    end: End | None = None
    said: str = ""
    since: float = field(default_factory=time.monotonic)


@dataclass
class Shard:
    """One shard of a batch, and the tries at it.

    Attributes:
        order: Its work.
        tries: Tries so far; only the last one may be under way.
        over: No further try is made.
        problem: Why it did not run to its end; empty: it did.
        heard: Its last sign of life: a number that grows, and when it was seen to grow.
    """

    order: ShardOrder
    tries: list[Try] = field(default_factory=list[Try])
    over: bool = False
    problem: str = ""
    heard: tuple[int, float] = (0, 0.0)

    @property
    def latest(self) -> Try:
        """The try that counts."""
        return self.tries[-1]


class Workers(Protocol):
    """Runs shards."""

    shared: bool
    """Workers may be on other machines, and die unnoticed."""

    async def begin(self, number: int, digest: str) -> Try:
        """Start a try at a shard, or find one that is still under way."""
        ...

    async def look(self, tries: Sequence[Try]) -> None:
        """Wait a little, then bring the tries up to date."""
        ...

    async def lose(self, one: Try, why: str) -> None:
        """Give up a try that shows no sign of life."""
        ...

    async def end(self, tries: Sequence[Try]) -> None:
        """Let no try begin any more, and cancel those under way."""
        ...


def end_of(state: State[Any]) -> End:
    """How a run in this final state ended."""
    if state.is_completed():
        return "completed"
    if state.is_cancelled():
        return "cancelled"
    return "crashed" if state.is_crashed() else "failed"
