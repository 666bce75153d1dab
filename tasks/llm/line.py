"""A line to one endpoint: each request in its turn, within budget and deadline, always booked.

Nothing here decides whether to ask again (`llm.session`). Not here: sending (`llm.client`), reading
(`llm.replies`), parameters that an endpoint does not take (`llm.dialect`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from decimal import Decimal

from prefect_llm_reports.tasks.contract.calls import Ask, Message
from prefect_llm_reports.tasks.contract.errors import (
    BudgetExhausted,
    CallError,
    CallTimedOut,
    EndpointOverloaded,
    EndpointUnavailable,
    FatalCallError,
    ModelNotFound,
)
from prefect_llm_reports.tasks.contract.options import CallOptions
from prefect_llm_reports.tasks.contract.reports import PaceRecord
from prefect_llm_reports.tasks.llm.budget import Budget, OverBudget, Reservation
from prefect_llm_reports.tasks.llm.call import Bill, Call
from prefect_llm_reports.tasks.llm.client import Client
from prefect_llm_reports.tasks.llm.dialect import dialect_of
from prefect_llm_reports.tasks.llm.endpoint import Endpoint
from prefect_llm_reports.tasks.llm.faults import NotSent
from prefect_llm_reports.tasks.llm.health import Health
from prefect_llm_reports.tasks.llm.hints import used_up_s
from prefect_llm_reports.tasks.llm.ledger import Ledger
from prefect_llm_reports.tasks.llm.pacing import PaceStopped, shared_pace
from prefect_llm_reports.tasks.llm.pricing import PriceList
from prefect_llm_reports.tasks.llm.replies import Reply, read_reply
from prefect_llm_reports.tasks.llm.requests import input_bound, request_body
from prefect_llm_reports.tasks.llm.response import Response
from prefect_llm_reports.tasks.llm.tracing import chat_span, describe_response, failed
from prefect_llm_reports.tasks.llm.transport import host_of
from prefect_llm_reports.tasks.llm.usage import usage_of

USUAL_OUTPUT_TOKENS = 2000
"""Tokens that an answer has at most as a rule, for the tokens-a-minute limit."""


class Line:
    """An open line to one endpoint, for one batch.

    Args:
        endpoint: Where to ask.
        options: Concurrency, deadline, rate limits and prices of the batch.
        budget: Where the worst case of each request is reserved.
        ledger: Where each request is booked.

    Attributes:
        health: Whether the endpoint still serves.
        dialect: What the endpoint does not take; shared by all batches of this process.
        pace: When requests may be sent; shared by all batches of this event loop.
    """

    def __init__(
        self, endpoint: Endpoint, options: CallOptions, budget: Budget, ledger: Ledger
    ) -> None:
        self.endpoint = endpoint
        self.host = host_of(endpoint.base_url)
        self.health = Health()
        self.dialect = dialect_of(endpoint.base_url)
        self.pace = shared_pace(
            endpoint.base_url,
            options.requests_per_minute or endpoint.requests_per_minute,
            options.tokens_per_minute or endpoint.tokens_per_minute,
        )
        self._prices = PriceList(endpoint.base_url, {**endpoint.prices, **options.prices})
        self._closed: dict[str | None, FatalCallError] = {}
        self._stopped = False
        self._options = options
        self._budget = budget
        self._ledger = ledger

    async def open(self, resources: AsyncExitStack) -> Line:
        """Open the connections; `resources` closes them."""
        ceiling = self._options.concurrency
        self._client = await Client.opened(self.endpoint, ceiling, resources)
        self.pace.join(ceiling)
        resources.callback(self.pace.leave, ceiling)
        return self

    def stop(self) -> None:
        """Send nothing more, also not for calls that wait for their turn."""
        self._stopped = True
        self.pace.stop(self)

    def close(self, ask: Ask, why: FatalCallError) -> None:
        """Ask no more here; a missing model closes only that model. The first reason is kept."""
        only = self.model_for(ask) if isinstance(why, ModelNotFound) else None
        self._closed.setdefault(only, why)

    def closed_for(self, ask: Ask) -> FatalCallError | None:
        """Why a question cannot be answered here; None: it can."""
        return self._closed.get(None) or self._closed.get(self.model_for(ask))

    def model_for(self, ask: Ask) -> str:
        """The model this endpoint is asked for: its own, or the question's."""
        return self.endpoint.model or ask.model

    def worst_usd(
        self, ask: Ask, talk: Sequence[Message] = (), output_tokens: int | None = None
    ) -> Decimal | None:
        """The most that one request can cost; None: the price is unknown.

        Args:
            ask: The question.
            talk: Messages after the question's own.
            output_tokens: Tokens that the answer may have; None: as the question says.
        """
        limit = ask.max_output_tokens if output_tokens is None else output_tokens
        return self._prices.worst(self.model_for(ask), input_bound(ask, talk), limit)

    def pacing(self) -> PaceRecord:
        """How the endpoint was used."""
        limit = self.pace.limit
        return PaceRecord(
            endpoint=self.host,
            concurrency=self._options.concurrency,
            peak=self.pace.peak,
            allowed=limit.allowed,
            lowest=limit.lowest,
            refusals=limit.refusals,
            paused_s=round(self.pace.pauses.total_s, 3),
        )

    async def attempt(self, call: Call) -> Reply:
        """Send one request: in its turn, within the budget, inside the call's deadline.

        Raises:
            CallError: No usable completion.
            PaceStopped: Nothing was sent: the batch ends, or the endpoint was closed meanwhile.
        """
        try:
            return await self._in_turn(call)
        except TimeoutError:
            raise CallTimedOut(
                f"no whole answer from {self.host} within {self._options.deadline_s:g} s;"
                " raise the deadline or ask for shorter reports"
            ) from None
        except OverBudget as over:
            raise BudgetExhausted(f"not asked: {over}; raise the budget to go on") from None

    async def _in_turn(self, call: Call) -> Reply:
        ask, loop = call.ask, asyncio.get_running_loop()
        await call.turn.aclose()
        expected = input_bound(ask, call.talk) // 4 + min(call.output_tokens, USUAL_OUTPUT_TOKENS)
        worst = self.worst_usd(ask, call.talk, call.output_tokens) or Decimal(0)
        async with AsyncExitStack() as held:
            await asyncio.sleep(call.not_before - loop.time())
            queued_at = loop.time()
            money = await held.enter_async_context(
                self._budget.reserved(worst, item=ask.item, needed=ask.needed)
            )
            money.actual = Decimal(0)  # nothing is sent yet
            turn = await held.enter_async_context(AsyncExitStack())
            slot = self.pace.slot(expected, first=call.requests > 0, batch=self)
            await turn.enter_async_context(slot)
            if self._stopped or self.closed_for(ask):
                raise PaceStopped
            if call.ends is None:
                call.ends = queued_at + self._options.deadline_s
            call.ends += loop.time() - queued_at  # waiting for its turn is not the call's time
            async with asyncio.timeout_at(call.ends):
                reply = await self._request(call, money, expected)
            call.turn = turn.pop_all()
            return reply

    async def _request(self, call: Call, money: Reservation, expected: int) -> Reply:
        """Send one HTTP request, and book its tokens whether it succeeds or fails."""
        ask, loop = call.ask, asyncio.get_running_loop()
        model = self.model_for(ask)
        call.left_out = self.dialect.left_out
        call.requests += 1
        body = request_body(ask, model, call.talk, call.output_tokens, call.left_out)
        sent_at = loop.time()
        bill = Bill()
        with chat_span(
            self.endpoint.base_url,
            model,
            step=ask.step,
            item=ask.item,
            attempt=call.requests,
            max_tokens=call.output_tokens,
            temperature=body.get("temperature"),
            messages=body["messages"],
        ) as span:
            try:
                response = await self._client.send(body)
                self.health.reached = True
                call.request_id = response.request_id
                describe_response(span, response.status, response.fields)
                self._charge(bill, response, model)
                self._heed(response, bill, expected)
                reply = read_reply(response, self.host, model)
            except CallError as error:
                if isinstance(error, NotSent):
                    bill.billed = False
                self._slow_down(error, sent_at)
                raise
            except asyncio.CancelledError:
                failed(span, "timeout" if loop.time() >= (call.ends or 0) else "cancelled")
                self.pace.overloaded(sent_at)
                raise
            finally:
                money.actual = bill.charge
                call.book(bill)
                self._ledger.attempt(ask.item, bill, again=call.again)
                call.again = False
        self.health.replied()
        self.pace.answered(ask.step, sent_at)
        return reply

    def _charge(self, bill: Bill, response: Response, model: str) -> None:
        """Take from a response what it took."""
        bill.usage = usage_of(response.fields)
        bill.billed = response.status == 200 or bill.usage is not None
        if bill.usage:
            named, tier = response.fields.get("model"), response.fields.get("service_tier")
            names = [named, model] if isinstance(named, str) and named != model else [model]
            prices = (self._prices.cost(name, bill.usage, tier) for name in names)
            bill.usd = next((usd for usd in prices if usd is not None), None)

    def _heed(self, response: Response, bill: Bill, expected: int) -> None:
        """Tell the pace what a response says of the account's limits."""
        used = bill.usage.input_tokens + bill.usage.output_tokens if bill.usage else 0
        self.pace.spent(expected, used)
        self._pause(used_up_s(response.headers))

    def _slow_down(self, error: CallError, sent_at: float) -> None:
        """Tell the pace what a failed request says of the endpoint."""
        if isinstance(error, EndpointOverloaded) or not self.health.reached:
            self.pace.overloaded(sent_at)
        if isinstance(error, EndpointUnavailable) and self.health.missed():
            self.pace.failing()
        self._pause(error.retry_after or 0)

    def _pause(self, seconds: float) -> None:
        """Pause every caller, unless a call cannot wait that long."""
        if 0 < seconds <= self._options.deadline_s:
            self.pace.pause(seconds)
