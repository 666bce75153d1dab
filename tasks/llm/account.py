"""The limits of one account for one model: set by people, named by headers, learnt from refusals.

Here: how long the next request has to wait for them, and which of them is the brake. Not here: how
many requests at once (`llm.adaptive`), who waits (`llm.pacing`).
"""

from __future__ import annotations

from collections.abc import Iterable

from prefect_llm_reports.tasks.llm.allowance import Allowance
from prefect_llm_reports.tasks.llm.hints import Limit
from prefect_llm_reports.tasks.llm.learnt_rate import LearntRate
from prefect_llm_reports.tasks.llm.under_way import Sent

NOW_S = 1e-6
"""Shorter waits count as over: rounding must not make timers that never advance."""


class Account:
    """The limits of an account for one model.

    Attributes:
        learnt: The rate that refusals have shown.
    """

    def __init__(self) -> None:
        self.learnt = LearntRate()
        self._requests = 0.0
        self._tokens = 0.0
        self._refused_tokens = 0.0
        self._allowances: dict[str, Allowance] = {}

    def sent(self, sent: Sent) -> None:
        """Count a request."""
        self._requests += 1
        self._tokens += sent.tokens
        sent.requests_so_far, sent.tokens_so_far = self._requests, self._tokens
        self.learnt.sent(sent)

    def told(self, limits: Iterable[Limit], sent: Sent, now: float) -> None:
        """Take note of limits that a response names."""
        for limit in limits:
            tokens = limit.kind == "tokens"
            used = sent.tokens_so_far if tokens else sent.requests_so_far
            allowance = self._allowances.setdefault(limit.name, Allowance(limit.kind))
            allowance.observe(limit, used, sent.at, now)
            if tokens and not sent.refused:
                allowance.weigh(limit, used - self._refused_tokens, sent.at)

    def refused(self, limits: Iterable[Limit], sent: Sent, now: float) -> bool:
        """Take note of a refusal; True: a limit that it names is used up.

        Args:
            limits: Limits that it names.
            sent: The request; it has used up nothing.
            now: When the refusal came.
        """
        sent.refused = True
        self._refused_tokens += sent.tokens
        named = list(limits)
        self.told(named, sent, now)
        used_up = False
        for limit in named:
            if limit.remaining is None:
                continue
            if limit.kind == "requests":
                used_up |= limit.remaining < 1
            else:
                used_up |= self._allowances[limit.name].lacked(limit.remaining, sent.tokens)
        return used_up

    def wait_s(self, tokens: int, now: float) -> float:
        """Seconds until a request with this many likely tokens may be sent."""
        wait = self.learnt.wait_s(now)
        for allowance in self._allowances.values():
            wait = max(wait, self._wait_for(allowance, tokens, now))
        return wait if wait > NOW_S else 0.0

    def brake(self, tokens: int, now: float) -> str:
        """The limit that the next request waits for, in words; empty: none."""
        waits = [
            (self._wait_for(one, tokens, now), f"{per_minute:,.0f} {one.kind} a minute")
            for one in self._allowances.values()
            if (per_minute := one.per_minute)
        ]
        if self.learnt.per_s is not None:
            learnt = f"about {self.learnt.per_s * 60:,.0f} requests a minute"
            waits.append((self.learnt.wait_s(now), learnt))
        wait, named = max(waits, default=(0.0, ""))
        return named if wait > NOW_S else ""

    def _wait_for(self, allowance: Allowance, tokens: int, now: float) -> float:
        if allowance.kind == "tokens":
            return allowance.wait_s(tokens, self._tokens, now)
        return allowance.wait_s(1, self._requests, now)
