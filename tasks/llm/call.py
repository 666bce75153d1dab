"""One question while it is pursued: its history, kept until it is answered or given up."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from decimal import Decimal

from prefect_llm_reports.tasks.contract.calls import Ask, Message
from prefect_llm_reports.tasks.contract.records import Usage


@dataclass
class Bill:
    """What one request took.

    Attributes:
        usage: Tokens that the endpoint named; None: none named.
        usd: Their price; None: unknown.
        billed: The endpoint may have billed the request.
    """

    usage: Usage | None = None
    usd: Decimal | None = None
    billed: bool = True

    @property
    def charge(self) -> Decimal | None:
        """The budget's charge; None: the worst case, since the cost is unknown."""
        return self.usd if self.billed else Decimal(0)


@dataclass
class Call:
    """One question, kept across the repeats of the task around it.

    Times are those of the event loop.

    Attributes:
        ask: The question.
        output_tokens: Tokens that the answer may have.
        talk: Messages after the question's own: an unusable answer and its problem.
        reasks: Times that the model was asked again with the reason why its answer is unusable.
        failures: Failed attempts at the present endpoint that another attempt may mend.
        suspicious: Something that does not look like an endpoint has answered once.
        again: The next request repeats one that failed.
        requests: Requests in all.
        request_id: The endpoint's id of the last request.
        left_out: Parameters that the last request was made without.
        ends: When the deadline of the present request passes; None: not sent yet.
        not_before: When the next request may be sent.
        turn: Its turn at the endpoint, held until the answer is kept or known to be unusable.
        usage: Tokens of all its requests; None: unknown.
        usd: Cost of all its requests; None: unknown.
    """

    ask: Ask
    output_tokens: int
    talk: tuple[Message, ...] = ()
    reasks: int = 0
    failures: int = 0
    suspicious: bool = False
    again: bool = False
    requests: int = 0
    request_id: str | None = None
    left_out: frozenset[str] = frozenset()
    ends: float | None = None
    not_before: float = 0.0
    turn: AsyncExitStack = field(default_factory=AsyncExitStack)
    usage: Usage | None = field(default_factory=Usage)
    usd: Decimal | None = Decimal(0)

    def begin_anew(self) -> None:
        """Go on with a changed request, which has a deadline of its own."""
        self.ends = None
        self.not_before = 0.0

    def go_elsewhere(self) -> None:
        """Go on at another endpoint, with all attempts."""
        self.begin_anew()
        self.failures = 0
        self.again = self.suspicious = False

    def book(self, bill: Bill) -> None:
        """Add what one request took; unknown stays unknown."""
        if bill.billed:
            self.usage = self.usage + bill.usage if self.usage and bill.usage else None
            self.usd = None if self.usd is None or bill.usd is None else self.usd + bill.usd
