"""The money of one line: granted to requests before they are sent, charged when they are billed.

Not here: what requests cost (`costs`), the budget that all lines share (`budget`), what is sent
(`line`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from math import ceil

from prefect_llm_reports.tasks.contract.call_options import CallOptions
from prefect_llm_reports.tasks.contract.calls import Ask, Message
from prefect_llm_reports.tasks.llm.budget import Budget, Reservation
from prefect_llm_reports.tasks.llm.call import Bill, Call
from prefect_llm_reports.tasks.llm.costs import Costs
from prefect_llm_reports.tasks.llm.dialect import Dialect, dialect_of
from prefect_llm_reports.tasks.llm.endpoint import Endpoint
from prefect_llm_reports.tasks.llm.pricing import PriceList
from prefect_llm_reports.tasks.llm.requests import input_bound
from prefect_llm_reports.tasks.llm.response import Response
from prefect_llm_reports.tasks.llm.usual import Usual


class Purse:
    """The money of one line.

    Args:
        endpoint: Where it leads.
        options: The batch's own prices.
        budget: Where the worst case of each request is reserved.
        usual: The usual lengths of answers.
    """

    def __init__(
        self, endpoint: Endpoint, options: CallOptions, budget: Budget, usual: Usual
    ) -> None:
        self._endpoint = endpoint
        self._budget = budget
        self._usual = usual
        self._costs = Costs(
            PriceList(endpoint.base_url, {**endpoint.prices, **options.prices}),
            usual,
            bounded=budget.limit is not None,
        )
        self._under_way: dict[int, tuple[Call, Reservation]] = {}

    def worst(
        self, ask: Ask, talk: Sequence[Message] = (), output_tokens: int | None = None
    ) -> Decimal | None:
        """The most that one request can cost, in US dollars; None: the price is unknown.

        Args:
            ask: The question.
            talk: Messages after the question's own.
            output_tokens: Tokens that the answer may have; None: as the question says.
        """
        limit = ask.max_output_tokens if output_tokens is None else output_tokens
        return self._costs.worst(self._endpoint.model_for(ask), self.billable(ask, talk), limit)

    def usual(self, ask: Ask, share: Decimal = Decimal(1)) -> Decimal | None:
        """A cost that one request hardly exceeds, in US dollars; None: the price is unknown.

        Args:
            ask: The question.
            share: This share of the usual length of an answer.
        """
        limit = ask.max_output_tokens
        usual = self._usual.output_tokens(self._endpoint.model_for(ask), ask.step, limit)
        return self.worst(ask, (), int(usual * share))

    def billable(self, ask: Ask, talk: Sequence[Message]) -> int:
        """Input tokens that a request may be billed for, as far as bills have shown.

        Args:
            ask: The question.
            talk: Messages after the question's own.
        """
        return ceil(input_bound(ask, talk) * self._dialect(ask).input_share)

    @asynccontextmanager
    async def granted(self, call: Call, sends: int) -> AsyncGenerator[Reservation]:
        """Reserve what a call's next request may cost, and bound its answer to that.

        Args:
            call: The call.
            sends: Input tokens that the request may be billed for.

        Raises:
            OverBudget: The budget does not hold as much.
        """
        ask, model = call.ask, self._endpoint.model_for(call.ask)
        claim = self._costs.claimed(call, model, sends)
        async with self._budget.reserved(
            claim.worst,
            usual=claim.usually,
            least=claim.least,
            item=ask.item,
            needed=ask.needed,
        ) as money:
            call.affordable = self._costs.affordable(call, money, model, sends)
            money.actual = Decimal(0)  # nothing is sent yet
            yield money

    def outgrown(self, call: Call, sends: int) -> bool:
        """Whether a request has become dearer than what was granted to it.

        Args:
            call: The call.
            sends: Input tokens for which money was granted.
        """
        return self._budget.limit is not None and self.billable(call.ask, call.talk) > sends

    @contextmanager
    def spending(self, call: Call, money: Reservation) -> Generator[None]:
        """Know a request as under way: another one's bill may show that it costs more.

        Args:
            call: The call.
            money: What was granted to its request.
        """
        self._under_way[id(call)] = call, money
        try:
            yield
        finally:
            del self._under_way[id(call)]

    def charge(self, bill: Bill, response: Response, call: Call) -> None:
        """Write on a bill what a response took, and learn from it what others will take.

        Args:
            bill: The bill of one request.
            response: What came back.
            call: The call.
        """
        self._costs.charge(bill, response, self._endpoint.model_for(call.ask))
        if bill.usage:
            dialect = self._dialect(call.ask)
            if dialect.billed(bill.usage.input_tokens, input_bound(call.ask, call.talk)):
                self._expect_more(dialect)

    def _dialect(self, ask: Ask) -> Dialect:
        return dialect_of(self._endpoint.base_url, self._endpoint.model_for(ask))

    def _expect_more(self, dialect: Dialect) -> None:
        """Hold more money for the requests under way that will be billed as another one was."""
        for call, money in self._under_way.values():
            if self._dialect(call.ask) is dialect:
                worst = self.worst(call.ask, call.talk, call.affordable)
                self._budget.expect(money, worst or Decimal(0))
