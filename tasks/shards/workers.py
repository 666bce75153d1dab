"""Who does shards: the interface of workers, and how a try at a shard ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from prefect.client.schemas.objects import State

End = Literal["completed", "failed", "crashed", "cancelled"]


LOOK_S = 2.0
"""Seconds between two looks at what has become of the tries."""


@dataclass(eq=False)
class Try:
    """One try at one shard.

    Attributes:
        number: Which shard.
        name: What an operator finds it by.
        flow_run: Hex id of its flow run; empty: not known yet.
        running: It has begun, as far as is known.
        end: How it ended; None: it has not.
        said: What was said of its end.
    """

    number: int
    name: str
    flow_run: str = ""
    running: bool = False
    end: End | None = None
    said: str = ""
    since: float = field(default_factory=time.monotonic)


class Workers(Protocol):
    """Those who run shards."""

    shared: bool
    """They may be on other machines, and die without anybody here noticing."""

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
        """Have no try begin any more, and those under way cancelled."""
        ...


def end_of(state: State[Any]) -> End:
    """How a run in this final state ended."""
    if state.is_completed():
        return "completed"
    if state.is_cancelled():
        return "cancelled"
    return "crashed" if state.is_crashed() else "failed"
