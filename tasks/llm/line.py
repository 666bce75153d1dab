"""A line to one endpoint: each request in its turn, within budget and deadline, always booked.

Nothing here decides whether to ask again (`llm.session`). Not here: sending (`llm.client`), reading
(`llm.replies`), the money for requests (`llm.purse`), parameters that an endpoint does not take
(`llm.dialect`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

from prefect_llm_reports.tasks.contract.call_options import CallOptions
from prefect_llm_reports.tasks.contract.calls import Ask
from prefect_llm_reports.tasks.contract.errors import (
    BudgetExhausted,
    CallError,
    CallTimedOut,
    EndpointOverloaded,
    EndpointUnavailable,
    FatalCallError,
    ModelNotFound,
    NoFlex,
    NoFlexCapacity,
)
from prefect_llm_reports.tasks.contract.reports import PaceRecord
from prefect_llm_reports.tasks.llm import flex
from prefect_llm_reports.tasks.llm.absence import Absence
from prefect_llm_reports.tasks.llm.budget import Budget, OverBudget, Reservation
from prefect_llm_reports.tasks.llm.call import Bill, Call
from prefect_llm_reports.tasks.llm.client import Client
from prefect_llm_reports.tasks.llm.deadline import until_deadline
from prefect_llm_reports.tasks.llm.dialect import Dialect, dialect_of
from prefect_llm_reports.tasks.llm.endpoint import Endpoint
from prefect_llm_reports.tasks.llm.faults import NotSent
from prefect_llm_reports.tasks.llm.health import Health
from prefect_llm_reports.tasks.llm.hints import Limit, limits_of
from prefect_llm_reports.tasks.llm.ledger import Ledger
from prefect_llm_reports.tasks.llm.pacing import PaceStopped, shared_pace
from prefect_llm_reports.tasks.llm.purse import Purse
from prefect_llm_reports.tasks.llm.replies import Reply, read_reply
from prefect_llm_reports.tasks.llm.requests import request_body
from prefect_llm_reports.tasks.llm.response import Response
from prefect_llm_reports.tasks.llm.tracing import chat_span, describe_response, failed
from prefect_llm_reports.tasks.llm.transport import host_of
from prefect_llm_reports.tasks.llm.under_way import Sent


class Line:
    """An open line to one endpoint, for one batch.

    Args:
        endpoint: Where to ask.
        options: Concurrency, deadline, rate limits and prices of the batch.
        budget: Where the worst case of each request is reserved.
        ledger: Where each request is booked.

    Attributes:
        health: Whether the endpoint still serves.
        absence: Follows an endpoint that has served and is away.
        pace: When requests may be sent; shared by all batches of this event loop.
        purse: The money for its requests.
    """

    def __init__(
        self, endpoint: Endpoint, options: CallOptions, budget: Budget, ledger: Ledger
    ) -> None:
        self.endpoint = endpoint
        self.host = host_of(endpoint.base_url)
        self.health = Health()
        self.absence = Absence(self.host, options.patience)
        self.pace = shared_pace(
            endpoint.base_url,
            options.requests_per_minute or endpoint.requests_per_minute,
            options.tokens_per_minute or endpoint.tokens_per_minute,
        )
        self.pace.rates.longest_wait_s = max(self.pace.rates.longest_wait_s, options.deadline_s)
        self.purse = Purse(endpoint, options, budget, ledger.usual)
        self._tiers = flex.Tiers(self.host)
        self._closed: dict[str | None, FatalCallError] = {}
        self._stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._options = options
        self._ledger = ledger

    async def open(self, resources: AsyncExitStack) -> Line:
        """Open the connections; `resources` closes them."""
        self._loop = asyncio.get_running_loop()
        ceiling = self._options.concurrency
        self._client = await Client.opened(self.endpoint, ceiling, resources)
        self.pace.join(ceiling)
        resources.callback(self.pace.leave, ceiling)
        return self

    def stop(self) -> None:
        """Send nothing more, also not for calls that wait for their turn."""
        self._stopped = True
        self.absence.end()
        self.pace.stop(self)

    def close(self, ask: Ask, why: FatalCallError) -> None:
        """Ask no more here, or not this model when only it is missing; the first reason is kept."""
        only = self.model_for(ask) if isinstance(why, ModelNotFound | NoFlex) else None
        self._closed.setdefault(only, why)

    def closed_for(self, ask: Ask) -> FatalCallError | None:
        """Why a question cannot be answered here; None: it can."""
        return self._closed.get(None) or self._closed.get(self.model_for(ask))

    def model_for(self, ask: Ask) -> str:
        """The model this endpoint is asked for: its own, or the question's."""
        return self.endpoint.model_for(ask)

    def dialect(self, ask: Ask) -> Dialect:
        """The parts that the model refuses here; shared by all batches of this process."""
        return dialect_of(self.endpoint.base_url, self.model_for(ask))

    def pacing(self) -> PaceRecord:
        """The pace of this batch at the endpoint."""
        limit = self.pace.limit
        return PaceRecord(
            endpoint=self.host,
            concurrency=self._options.concurrency,
            peak=self.pace.peak,
            allowed=limit.allowed,
            lowest=limit.lowest,
            refusals=limit.refusals,
            paused_s=round(self.pace.rates.pauses.total_s, 3),
        )

    async def attempt(self, call: Call) -> Reply:
        """Send one request: in its turn, within the budget, inside the call's deadline.

        Raises:
            CallError: No usable completion.
            PaceStopped: Nothing was sent: the batch ends, or the endpoint was closed or went away.
        """
        try:
            reply = await self._at_its_price(call)
            while reply.truncated and call.affordable < call.output_tokens:
                call.too_short = call.affordable
                call.begin_anew()
                reply = await self._at_its_price(call)
            return reply
        except TimeoutError:
            raise CallTimedOut(
                f"no whole answer from {self.host} within {self._options.deadline_s:g} s;"
                " raise the deadline or ask for shorter reports"
            ) from None
        except OverBudget as over:
            raise BudgetExhausted(f"not asked: {over}; raise the budget to go on") from None

    async def is_there(self) -> bool:
        """Whether the endpoint responds to a request that costs nothing."""
        return await self._client.is_there()

    @property
    def waits_for(self) -> str:
        """The reason why calls wait here, in words; empty: nothing out of the ordinary.

        Also for other threads than the event loop's, such as one that refreshes a terminal.
        """
        if self._loop is None:
            return ""
        if absent := self.absence.said(self._loop.time()):
            return absent
        brake = self.pace.brake
        return f"waiting for the account's limit: {brake}" if brake else ""

    async def _at_its_price(self, call: Call) -> Reply:
        """Wait for flex capacity, as long as the deadline allows; then go on as the options say."""
        wait = flex.FIRST_WAIT_S
        while True:
            try:
                return await self._in_turn(call)
            except NoFlexCapacity:
                now = asyncio.get_running_loop().time()
                if now + wait < (call.ends or now):
                    call.not_before = now + wait
                    wait = min(2 * wait, flex.LONGEST_WAIT_S)
                elif self._options.when_late == "standard":
                    call.at_standard = True
                    call.begin_anew()
                else:
                    raise

    async def _in_turn(self, call: Call) -> Reply:
        reply: Reply | None = None
        while reply is None:
            reply = await self._afforded(call)
        return reply

    async def _afforded(self, call: Call) -> Reply | None:
        """Reserve money, wait for a turn and send; None: requests have become dearer meanwhile."""
        ask, loop = call.ask, asyncio.get_running_loop()
        await call.turn.aclose()
        if most := self.dialect(ask).most_output:
            call.output_tokens = min(call.output_tokens, most)
        sends = self.purse.billable(ask, call.talk)
        model = self.model_for(ask)
        usual, length = self._ledger.usual, (model, ask.step, sends, call.output_tokens)
        async with AsyncExitStack() as held:
            await asyncio.sleep(call.not_before - loop.time())
            queued_at = loop.time()
            money = await held.enter_async_context(self.purse.granted(call, sends))
            turn = await held.enter_async_context(AsyncExitStack())
            slot = self.pace.slot(
                usual.guessed(*length),
                first=call.requests > 0,
                batch=self,
                model=model,
                weigh=partial(usual.tokens, *length),
            )
            sent = await turn.enter_async_context(slot)
            away = self.absence.since is not None and not call.probing
            if self._stopped or away or self.closed_for(ask):
                raise PaceStopped
            if self.purse.outgrown(call, sends):
                return None
            if call.ends is None:
                call.ends = queued_at + self._options.deadline_s
            call.ends += loop.time() - queued_at  # waiting for its turn is not the call's time
            held.enter_context(self.purse.spending(call, money))
            async with until_deadline(call):
                reply = await self._request(call, money, sent)
            call.turn = turn.pop_all()
            return reply

    async def _request(self, call: Call, money: Reservation, sent: Sent) -> Reply:
        """Send one HTTP request, and book its tokens whether it succeeds or fails."""
        ask, loop = call.ask, asyncio.get_running_loop()
        model = self.model_for(ask)
        dialect = self.dialect(ask)
        call.left_out = dialect.left_out | call.without
        call.requests += 1
        body = request_body(ask, model, call.talk, call.affordable, call.left_out)
        asks_flex = self._options.price == "flex" and not call.at_standard
        if asks_flex:
            body["service_tier"] = "flex"
        limits: list[Limit] = []
        bill = Bill()
        with chat_span(
            self.endpoint.base_url,
            model,
            step=ask.step,
            item=ask.item,
            attempt=call.requests,
            max_tokens=call.affordable,
            temperature=body.get("temperature"),
            messages=body["messages"],
        ) as span:
            try:
                response = await self._client.send(body)
                self.health.reached = True
                call.request_id = response.request_id
                describe_response(span, response.status, response.fields)
                self.purse.charge(bill, response, call)
                if asks_flex:
                    flex.refuse(response, self.host, model)
                limits = self._heed(response, bill, sent)
                reply = read_reply(response, self.host, model)
                if asks_flex and (dearer := self._tiers.dearer(response, model)):
                    self.close(ask, dearer)  # this answer is paid, and kept
                if bill.usage and not reply.truncated:
                    sends = self.purse.billable(ask, call.talk)
                    self._ledger.usual.learn(model, ask.step, sends, bill.usage)
                self.pace.told(sent, model, limits)
                self.pace.accepted(sent, model)
                self.health.replied(loop.time(), model)
                if call.without:
                    dialect.learn(call.without)
                    call.without = frozenset()
                self.absence.end()
            except CallError as error:
                if isinstance(error, NotSent):
                    bill.billed = False
                self._slow_down(error, sent, model, limits)
                raise
            except asyncio.CancelledError:
                late = loop.time() >= (call.ends or 0)
                failed(span, "timeout" if late else "cancelled")
                call.queued = late and self.pace.timed_out(sent)
                raise
            finally:
                self.pace.landed(sent)
                call.seconds += loop.time() - sent.at
                money.actual = bill.charge
                call.book(bill)
                self._ledger.attempt(ask.item, bill, again=call.again)
                call.again = False
        self.pace.answered(ask.step, sent.at)
        return reply

    def _heed(self, response: Response, bill: Bill, sent: Sent) -> list[Limit]:
        """Read what a response says of the account's limits.

        A limit that is whole again only after the deadline is left to the endpoint's own refusal.
        """
        used = bill.usage.input_tokens + bill.usage.output_tokens if bill.usage else 0
        self.pace.rates.spent(sent.tokens, used)
        limits = limits_of(response.headers)
        longest = self._options.deadline_s
        return [limit for limit in limits if limit.limit or (limit.reset_s or 0) <= longest]

    def _slow_down(self, error: CallError, sent: Sent, model: str, limits: Sequence[Limit]) -> None:
        """Tell the pace what a failed request says of the endpoint."""
        wait = error.retry_after or 0
        wait = wait if wait <= self._options.deadline_s else 0  # a call cannot wait that long
        if isinstance(error, EndpointOverloaded) and error.limited:
            self.pace.refused(sent, model, limits, wait or None)
            return
        self.pace.told(sent, model, limits)
        if isinstance(error, EndpointOverloaded) or not self.health.reached:
            self.pace.overloaded(sent.at)
        if isinstance(error, EndpointUnavailable) and self.health.missed():
            self.pace.failing()
        if wait:
            self.pace.pause(wait)
