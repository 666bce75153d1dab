"""Requests that are at an endpoint, and what their ends show: how many it takes, and its queue.

Not here: how many may be sent (`llm.adaptive`), who is next (`llm.pacing`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

FIRST_REFUSAL_S = 0.25
"""Seconds until a refusal, as long as none has shown how long it takes."""

SHORTER = 0.95
"""Share of the longest time until a refusal that is still reckoned with after the next one."""


@dataclass
class Sent:
    """One request that was sent.

    Attributes:
        at: When.
        tokens: Its likely tokens.
        beside: Requests that were under way at the endpoint when it was sent.
        requests_so_far: Requests of its account sent up to it, with it.
        tokens_so_far: Likely tokens of its account sent up to it, with it.
        answers_before: Answers that the endpoint had given when it was sent.
        landed: A response came, or none will.
        refused: The account's limits did not allow it.
        weigh: Tells its likely tokens once it is known what such requests take, None until then;
            None: `tokens` is all that will be known.
    """

    at: float
    tokens: int
    beside: int
    requests_so_far: float = 0.0
    tokens_so_far: float = 0.0
    answers_before: int = 0
    landed: bool = False
    refused: bool = False
    weigh: Callable[[], int | None] | None = None


class UnderWay:
    """Requests that an endpoint has not responded to yet.

    Attributes:
        taken: The most that the endpoint has taken at once: a refusal would have come.
        answers: Answers so far.
    """

    def __init__(self) -> None:
        self.taken = 0
        self.answers = 0
        self._sent: dict[int, Sent] = {}
        self._refused_within = FIRST_REFUSAL_S
        self._answered_at = self._last_answered_sent_at = float("-inf")

    def __len__(self) -> int:
        """The number of requests."""
        return len(self._sent)

    def add(self, sent: Sent) -> None:
        """Take note of a request that is sent."""
        sent.answers_before = self.answers
        self._sent[id(sent)] = sent

    def end(self, sent: Sent) -> bool:
        """Take note of a response, or that none will come; False: that was known."""
        if sent.landed:
            return False
        sent.landed = True
        self._sent.pop(id(sent), None)
        return True

    def accepted(self, sent: Sent, now: float) -> None:
        """Take note that a request was answered."""
        self.answers += 1
        self._last_answered_sent_at = max(self._last_answered_sent_at, sent.at)
        self._answered_at = now
        self._note_taken(now)

    def refused(self, sent: Sent, now: float) -> int:
        """Take note of a refusal; how many others are there."""
        self._refused_within = max(now - sent.at, SHORTER * self._refused_within)
        self._note_taken(now)
        return len(self._sent) - (not sent.landed)

    def served_before(self, sent: Sent, now: float) -> int:
        """Answers to others while a request waited behind them until its deadline; 0: it did not.

        It did when they were answered until late, and in the order in which they were sent.
        """
        overtaken = self._last_answered_sent_at > sent.at
        late = self._answered_at > (sent.at + now) / 2
        return self.answers - sent.answers_before if late and not overtaken else 0

    def _note_taken(self, now: float) -> None:
        waited = 2 * self._refused_within
        self.taken = max(self.taken, sum(now - sent.at > waited for sent in self._sent.values()))
