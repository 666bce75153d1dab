"""The rate of an account that no header names, learnt from refusals.

Between two refused requests an endpoint accepts just what its limit lets flow back, so the requests
that were sent between them and accepted, over the time, are the rate. Requests are counted in the
order in which they were sent: on a busy machine refusals come late and out of order.

The limit may be on requests or on tokens. Both rates are measured; when the size of requests
changes, as from drafts to critiques, the one that stays the same is that of the limit. Until then
the faster pace of both is tried. Not here: limits that headers name (`llm.allowance`), how many
requests at once (`llm.adaptive`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from prefect_llm_reports.tasks.llm.under_way import Sent

MEASURED_S = 2.0
"""Seconds between two refusals from which the rate between them is reliable."""

MEASURED = 12
"""Requests accepted between two refusals from which the rate between them is reliable."""

SOME_S = 0.25
"""Seconds between two refusals from which the rate between them is a first guess."""

OVER = 0.015
"""Share by which the pace goes beyond the measured rate, so that nothing of it is lost."""

QUIET_S, QUIET = 8.0, 30
"""Seconds and requests without a refusal after which the pace begins to try more, ever faster."""

OPENING_S = 0.5
"""Seconds in which the pace doubles as long as nothing has been measured."""

GUESSED_S, GUESSED = 1.0, 4
"""Seconds and requests in which it doubles, as long as the rate is a first guess."""

SPREAD_S = 0.5
"""Seconds over which as many requests are spread as the endpoint took at once, after a refusal of
which nothing tells whether it is due to their number or to their rate. An answer that takes less
time shows how many requests follow each other where only their number counts."""

REMEMBERED = 2000
"""Requests that are counted again when a rate is measured."""

FIRST_PER_S = 4.0
"""Requests in a second after a first refusal, when nothing else is known."""

CHANGED = 0.1
"""Share from which a measured rate is another one, and not the same measured again."""


class _Mark(NamedTuple):
    """The last of several requests that were refused together: the limit was used up.

    Attributes:
        at: When it was sent.
        number: Its number among all requests, in the order in which they were sent.
    """

    at: float
    number: float


class _Passed(NamedTuple):
    """What an endpoint accepted between two marks.

    Attributes:
        span: Seconds between them.
        requests: Requests.
        tokens: Their tokens, as far as is known now.
        sure: It is known what such requests take.
    """

    span: float
    requests: int
    tokens: int
    sure: bool


@dataclass
class _Rate:
    """A rate in one unit, and whether it is known to be the limit's.

    Attributes:
        per_s: Units in a second.
        binds: The limit is one of this unit.
    """

    per_s: float = 0.0
    binds: bool = False

    def compared(self, per_s: float) -> int:
        """Whether a new measurement is lower, the same or higher: -1, 0 or 1."""
        share = per_s / self.per_s - 1 if self.per_s else 0.0
        return 0 if abs(share) < CHANGED else 1 if share > 0 else -1


class LearntRate:
    """Requests in a second that an endpoint accepts.

    Attributes:
        per_s: The rate; None: nothing was refused for going too fast.
    """

    def __init__(self) -> None:
        self._requests, self._tokens = _Rate(), _Rate()
        self._marks: deque[_Mark] = deque(maxlen=16)
        self._sure = False  # both rates were measured with requests of known sizes
        self._sent: deque[Sent] = deque(maxlen=REMEMBERED)
        self._gap_s, self._taken = 0.0, 1
        self._doubles_s: float | None = OPENING_S
        self._refused_at = float("-inf")
        self._next_at = float("-inf")

    @property
    def per_s(self) -> float | None:
        """Requests in a second of the usual size; None: nothing was refused for going too fast."""
        return self._requests.per_s or None

    def sent(self, sent: Sent) -> None:
        """Take note of a request that is sent."""
        gap = self._gap(sent.tokens, sent.at)
        self._next_at = max(self._next_at, sent.at - gap) + gap
        self._sent.append(sent)

    def refused(self, sent: Sent, now: float, *, others: int | None) -> None:
        """Take note of a refusal.

        Args:
            sent: The request.
            now: The event loop's time.
            others: Requests that were under way beside it, where their number may explain it;
                None: it does not.
        """
        mark = _Mark(sent.at, sent.requests_so_far)
        if sent.at > self._refused_at:  # the pace of the last refusals has been heeded
            self._refused_at = now
            self._marks.append(mark)
        elif mark.number > self._marks[-1].number:
            self._marks[-1] = mark
        if others is None:
            self._measure()
        elif not self._requests.per_s:
            self._taken = max(1, others)
            self._gap_s = SPREAD_S / self._taken
        self._next_at = max(self._next_at, now + self._gap(sent.tokens, now))

    def answered(self, sent: Sent, now: float) -> None:
        """Take note of an answer.

        Args:
            sent: The request.
            now: The event loop's time.
        """
        self._gap_s = min(self._gap_s, (now - sent.at) / (self._taken + 1))

    def wait_s(self, now: float) -> float:
        """Seconds until another request may be sent."""
        return max(0.0, self._next_at - now)

    def _gap(self, tokens: int, now: float) -> float:
        """Seconds from a request to the next."""
        if not self._requests.per_s:
            return self._gap_s
        rates = ((self._requests, 1), (self._tokens, tokens))
        gaps = [(rate.binds, units / rate.per_s) for rate, units in rates if rate.per_s]
        binding = [gap for binds, gap in gaps if binds]
        return (max(binding) if binding else min(gap for _, gap in gaps)) / self._faster(now)

    def _measure(self) -> None:
        """Tell the rates from the newest refusal and an earlier one.

        The latest that is far enough from it gives the rates, else the earliest a first guess.
        """
        guess: tuple[float, float] | None = None
        for span, got, tokens, sure in self._passed():
            if span >= MEASURED_S and got >= MEASURED:
                if sure and self._sure:
                    self._compare(got / span, tokens / span)
                elif not (self._requests.binds or self._tokens.binds):
                    self._take(got / span, tokens / span)
                    self._sure = sure
                self._doubles_s = None
                return
            if span >= SOME_S:
                guess = (got + 0.5) / span, tokens * (1 + 0.5 / got) / span if got else 0.0
        if guess is not None:
            self._take(*guess)
            self._sure = False
            self._doubles_s = max(GUESSED_S, GUESSED / guess[0])
        elif not self._requests.per_s:
            self._requests.per_s = FIRST_PER_S

    def _take(self, requests: float, tokens: float) -> None:
        """Take new rates as they are: the limit may be on either."""
        self._requests, self._tokens = _Rate(requests), _Rate(tokens)

    def _compare(self, requests: float, tokens: float) -> None:
        """Take new rates, and tell by the earlier ones of which unit the limit is.

        Args:
            requests: Requests in a second.
            tokens: Likely tokens in a second.
        """
        pairs = ((self._requests, requests), (self._tokens, tokens))
        ways = [rate.compared(per_s) for rate, per_s in pairs]
        if ways[0] == ways[1]:  # equal sizes; or the limit itself has changed
            binds = [rate.binds and not ways[0] for rate, _ in pairs]
            self._requests, self._tokens = map(_Rate, (requests, tokens), binds)
            return
        for (rate, per_s), way in zip(pairs, ways, strict=True):
            # What stayed the same is the limit, or what now ends the growth of the other one.
            if not way or (way > 0 and -1 in ways):
                rate.per_s, rate.binds = per_s, True
            elif way > 0:  # it was never the limit
                rate.per_s, rate.binds = per_s, False

    def _passed(self) -> Iterator[_Passed]:
        """What was accepted from each earlier mark to the newest, the latest of them first."""
        *earlier, last = self._marks
        requests = tokens = 0
        sure = True
        remembered = reversed(self._sent)
        sent = next(remembered, None)
        for mark in reversed(earlier):
            while sent and sent.requests_so_far > mark.number:
                if sent.requests_so_far <= last.number and not sent.refused:
                    requests += 1
                    likely = sent.weigh() if sent.weigh else sent.tokens
                    tokens += sent.tokens if likely is None else likely
                    sure = sure and likely is not None
                sent = next(remembered, None)
            if sent is None:
                return
            yield _Passed(last.at - mark.at, requests, tokens, sure)

    def _faster(self, now: float) -> float:
        """How many times the measured rate is tried now."""
        quiet = now - self._refused_at
        if self._doubles_s is not None:
            return 2 ** min(20.0, quiet / self._doubles_s)
        usual = max(QUIET_S, QUIET / self._requests.per_s)
        more = 2 ** min(20.0, max(0.0, quiet - usual) / usual) - 1
        return 1 + OVER + more
