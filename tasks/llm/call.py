"""One question while it is pursued: its history, kept until it is answered or given up."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from decimal import Decimal

from prefect_llm_reports.tasks.contract.calls import Ask, Message
from prefect_llm_reports.tasks.contract.records import Usage


@dataclass
class Bill:
    """Tokens and cost of one request.

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
        affordable: Tokens that the budget lets the answer to the present request have.
        at_standard: There was no flex capacity in time; it is asked at the standard price.
        too_short: An answer was cut at this number of tokens, which the budget had set; 0: none.
        talk: Messages after the question's own: an unusable answer and its problem.
        reasks: Times that the model was asked again with the reason why its answer is unusable.
        failures: Failed attempts at the present endpoint that another attempt may mend.
        timeouts: Requests that got no answer although others did, or although nothing else ran.
        queued: The last request got no answer in time because it waited behind others.
        first_failed: When the first of the failed attempts failed.
        resumed: The endpoint was away meanwhile; further attempts do not use up the task's.
        probing: The next request finds out whether an endpoint is back.
        place: Where the last request went.
        suspicious: Something that does not look like an endpoint has answered once.
        again: The next request repeats one that failed.
        requests: Requests in all.
        request_id: The endpoint's id of the last request.
        left_out: Parts that the last request was made without.
        without: Parts that the next requests are made without, on trial.
        limit_tried: The other name of the output limit was tried, because the answer was cut early.
        fitted: The context that a refusal named was fitted to.
        ends: When the deadline of the present request passes; None: not sent yet.
        not_before: When the next request may be sent.
        turn: Its turn at the endpoint, held until the answer is kept or known to be unusable.
        usage: Tokens of all its requests; None: unknown.
        usd: Cost of all its requests; None: unknown.
        seconds: Seconds for which its requests were under way.
    """

    ask: Ask
    output_tokens: int
    affordable: int = 0
    at_standard: bool = False
    too_short: int = 0
    talk: tuple[Message, ...] = ()
    reasks: int = 0
    failures: int = 0
    timeouts: int = 0
    queued: bool = False
    first_failed: float = 0.0
    resumed: bool = False
    probing: bool = False
    place: object = None
    suspicious: bool = False
    again: bool = False
    requests: int = 0
    request_id: str | None = None
    left_out: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    limit_tried: bool = False
    fitted: bool = False
    ends: float | None = None
    not_before: float = 0.0
    turn: AsyncExitStack = field(default_factory=AsyncExitStack)
    usage: Usage | None = field(default_factory=Usage)
    usd: Decimal | None = Decimal(0)
    seconds: float = 0.0

    def begin_anew(self) -> None:
        """Go on with a changed request, which has a deadline of its own."""
        self.ends = None
        self.not_before = 0.0

    def wait_again(self) -> None:
        """Go on with the same request, in its turn and with a deadline of its own."""
        self.begin_anew()
        self.again = True

    def go_elsewhere(self) -> None:
        """Go on at another endpoint, with all attempts."""
        self.begin_anew()
        self.failures = self.timeouts = 0
        self.again = self.suspicious = self.limit_tried = self.fitted = False
        self.without = frozenset()

    def book(self, bill: Bill) -> None:
        """Add what one request took; unknown stays unknown."""
        if bill.billed:
            self.usage = self.usage + bill.usage if self.usage and bill.usage else None
            self.usd = None if self.usd is None or bill.usd is None else self.usd + bill.usd
