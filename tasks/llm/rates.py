"""Waits for the account: pauses, and limits that people set, headers name, or refusals show.

Here: the longest of all waits, and which limit is the brake. Not here: limits that people set
(`llm.windows`), the account's own (`llm.account`), how many requests at once (`llm.adaptive`), who
waits (`llm.pacing`).
"""

from __future__ import annotations

from collections.abc import Iterable

from prefect_llm_reports.tasks.llm.account import Account
from prefect_llm_reports.tasks.llm.hints import Limit
from prefect_llm_reports.tasks.llm.under_way import Sent
from prefect_llm_reports.tasks.llm.windows import Windows

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 15.0
"""Pauses after refusals while nothing is under way; they double until something is answered."""


class Pauses:
    """Times in which nothing is sent.

    Attributes:
        total_s: Seconds of all pauses so far.
    """

    def __init__(self) -> None:
        self.total_s = 0.0
        self._until = 0.0
        self._idle = 0

    def add(self, seconds: float, now: float) -> None:
        """Send nothing for this long; a shorter pause does not end a longer one."""
        until = now + seconds
        if until > self._until:
            self.total_s += until - max(self._until, now)
            self._until = until

    def add_idle(self, now: float) -> None:
        """Pause after a refusal while nothing else is under way, each time for longer."""
        self.add(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(20, self._idle)), now)
        self._idle += 1

    def answered(self) -> None:
        """Take note of an answer: the next such pause is short again."""
        self._idle = 0

    def left_s(self, now: float) -> float:
        """Seconds until requests are sent again."""
        return max(0.0, self._until - now)


class Rates:
    """Pauses and limits of one endpoint.

    Args:
        windows: The rates that people set.

    Attributes:
        pauses: Pauses that the endpoint asked for.
        longest_wait_s: Longer waits for the account are left to the endpoint's own refusals; 0:
            none are.
    """

    def __init__(self, windows: Windows) -> None:
        self.pauses = Pauses()
        self.longest_wait_s = 0.0
        self._windows = windows
        self._accounts: dict[str, Account] = {}

    def keep(self, requests: int | None, tokens: int | None, now: float) -> None:
        """Keep the limits of one more batch; the lowest of all batches hold."""
        self._windows.lower(requests, tokens, now)

    def account(self, model: str) -> Account:
        """The limits of the account for a model."""
        account = self._accounts.get(model)
        if account is None:
            account = self._accounts[model] = Account()
        return account

    def take(self, model: str, sent: Sent) -> None:
        """Count a request that is sent."""
        self._windows.take(sent.tokens)
        self.account(model).sent(sent)

    def told(self, sent: Sent, model: str, limits: Iterable[Limit], now: float) -> None:
        """Take note of limits that a response names."""
        self.account(model).told(limits, sent, now)

    def spent(self, expected: int, used: int) -> None:
        """Correct the tokens a minute once a call's tokens are known."""
        self._windows.correct(expected, used)

    def wait_s(self, model: str, tokens: int, now: float) -> float:
        """Seconds until a request with this many likely tokens may be sent."""
        account = self.account(model).wait_s(tokens, now)
        if account > (self.longest_wait_s or account):
            account = 0.0
        return max(self.pauses.left_s(now), self._windows.wait_s(now), account)

    def brake(self, model: str, tokens: int, now: float) -> str:
        """The account's limit that a request waits for, in words; empty: none."""
        return self.account(model).brake(tokens, now) or self._windows.brake(now)
