"""One request to one endpoint: in its turn, within budget and deadline, and always booked.

The only importer of openai. No SDK exception leaves this module, and nothing here decides whether
to ask again.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from importlib import import_module
from typing import Any, cast

import httpx2

from prefect_llm_reports.tasks.contract.calls import Ask, Message
from prefect_llm_reports.tasks.contract.errors import (
    BudgetExhausted,
    CallError,
    CallRejected,
    CallsStopped,
    CallTimedOut,
    EndpointOverloaded,
    EndpointUnavailable,
    FatalCallError,
)
from prefect_llm_reports.tasks.contract.options import CallOptions
from prefect_llm_reports.tasks.contract.records import Usage
from prefect_llm_reports.tasks.contract.reports import PaceRecord
from prefect_llm_reports.tasks.llm.budget import Budget, OverBudget, Reservation
from prefect_llm_reports.tasks.llm.endpoint import Endpoint
from prefect_llm_reports.tasks.llm.ledger import Ledger
from prefect_llm_reports.tasks.llm.pacing import PaceStopped, shared_pace
from prefect_llm_reports.tasks.llm.pricing import PriceList
from prefect_llm_reports.tasks.llm.replies import (
    BodyTooLarge,
    Reply,
    Response,
    Unsupported,
    broken_connection,
    read_reply,
    usage_of,
    used_up_s,
)
from prefect_llm_reports.tasks.llm.requests import input_bound, request_body
from prefect_llm_reports.tasks.llm.tracing import chat_span, describe_response, failed
from prefect_llm_reports.tasks.llm.transport import host_of, open_http
from prefect_llm_reports.tasks.text.foreign import strict_json

MISSES_IN_A_ROW = 5
"""Requests without an answer after which only one at a time is sent."""

logger = logging.getLogger(__name__)

_learnt: dict[str, set[str]] = {}
"""What endpoints do not take, by address, as far as this process has found out."""


@dataclass
class Call:
    """One question while it is pursued, kept across the task's repeats.

    Attributes:
        talk: Messages after the question's own: an unusable answer, and what was wrong with it.
        failures: Attempts at this endpoint that failed in a way that may pass.
        again: The next request repeats one that failed.
        requests: Requests in all.
        repeats: Times the task around has been asked to repeat.
        ends: When the deadline of the present form passes, in the event loop's time.
        not_before: When the next attempt may be made, in the event loop's time.
        left_out: Parameters that the last request was made without.
        turn: Held from before a request until its answer is kept or known to be unusable.
        suspicious: Something that does not look like an endpoint has answered once.
    """

    ask: Ask
    output_tokens: int
    talk: list[Message] = field(default_factory=list[Message])
    failures: int = 0
    again: bool = False
    requests: int = 0
    repeats: int = 0
    reasks: int = 0
    ends: float | None = None
    not_before: float = 0.0
    request_id: str | None = None
    left_out: frozenset[str] = frozenset()
    turn: AsyncExitStack = field(default_factory=AsyncExitStack)
    suspicious: bool = False
    usage: Usage | None = field(default_factory=Usage)
    usd: Decimal | None = Decimal(0)

    def begin_anew(self) -> None:
        """Go on with a changed request, which has a deadline of its own."""
        self.ends = None
        self.not_before = 0.0

    def go_elsewhere(self) -> None:
        """Go on at another endpoint, as if this were the first."""
        self.begin_anew()
        self.failures = 0
        self.again = self.suspicious = False

    def book(self, usage: Usage | None, usd: Decimal | None) -> None:
        """Add what one request took; unknown stays unknown."""
        self.usage = self.usage + usage if self.usage and usage else None
        self.usd = None if self.usd is None or usd is None else self.usd + usd


class NotSent(EndpointUnavailable):
    """No connection came about, so nothing can have been billed."""


class LineClosed(Exception):
    """While the call waited for its turn, this endpoint turned out not to serve it."""


class Line:
    """An open line to one endpoint, and what this process has come to know of it.

    Args:
        endpoint: Where to ask.
        options: Concurrency, deadline, rate limits and prices of the batch.
        budget: Where the worst case of each request is reserved.
        ledger: Where each request is booked.
        stopped: Says why no further request may be sent; None: it may.

    Attributes:
        reached: Something has answered here.
        failed_in_a_row: Calls given up since the last answer.
        closed: Why no further call can succeed: by model, or under None for every model.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        options: CallOptions,
        budget: Budget,
        ledger: Ledger,
        stopped: Callable[[], Exception | None],
    ) -> None:
        self.endpoint = endpoint
        self.host = host_of(endpoint.base_url)
        self.prices = PriceList(endpoint.base_url, {**endpoint.prices, **options.prices})
        self.pace = shared_pace(
            endpoint.base_url,
            options.requests_per_minute or endpoint.requests_per_minute,
            options.tokens_per_minute or endpoint.tokens_per_minute,
        )
        self.quirks = _learnt.setdefault(endpoint.base_url, set())
        self.reached = False
        self.failed_in_a_row = 0
        self.closed: dict[str | None, FatalCallError] = {}
        self._misses = 0
        self._options = options
        self._budget = budget
        self._ledger = ledger
        self._stopped = stopped

    async def open(self, resources: AsyncExitStack) -> Line:
        """Open the connections; `resources` closes them."""
        ceiling = self._options.concurrency
        key = self.endpoint.api_key.get_secret_value()
        http = await resources.enter_async_context(open_http(self.endpoint.base_url, ceiling, key))
        from openai import AsyncOpenAI  # half a second; see `import_client`

        self._client = AsyncOpenAI(
            api_key=key,
            base_url=self.endpoint.base_url,
            http_client=http,
            max_retries=0,
        )
        self.pace.join(ceiling)
        resources.callback(self.pace.leave, ceiling)
        return self

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

    def model_for(self, ask: Ask) -> str:
        """The model this endpoint is asked for: its own, or the question's."""
        return self.endpoint.model or ask.model

    def closed_for(self, ask: Ask) -> FatalCallError | None:
        """Why a question cannot be answered here; None: it may be."""
        return self.closed.get(None) or self.closed.get(self.model_for(ask))

    def worst_usd(self, ask: Ask) -> Decimal | None:
        """The most one request for this can cost; None: the price is unknown."""
        return self.prices.worst(self.model_for(ask), input_bound(ask, ()), ask.max_output_tokens)

    def adapt(self, call: Call, error: Unsupported) -> None:
        """Learn what the endpoint does not take.

        Raises:
            CallRejected: It was left out already.
        """
        lessons = [error.parameter]
        if error.parameter == "json_schema":
            lessons.append("json_object")
        for quirk in lessons:
            if quirk not in call.left_out:
                if quirk not in self.quirks:
                    self.quirks.add(quirk)
                    logger.warning("%s does not take %s; going on without it", self.host, quirk)
                return
        raise CallRejected(error.message, status=error.status, request_id=error.request_id)

    async def attempt(self, call: Call) -> Reply:
        """Send one request: in its turn, within the budget, inside the call's deadline.

        Raises:
            CallError: No usable completion.
            LineClosed: Nothing was sent; another endpoint may serve.
        """
        while True:
            try:
                return await self._in_turn(call)
            except TimeoutError:
                raise CallTimedOut(
                    f"no whole answer from {self.host} within {self._options.deadline_s:g} s;"
                    " raise the deadline or ask for shorter reports"
                ) from None
            except OverBudget as over:
                raise BudgetExhausted(
                    f"not asked: up to {over.wanted:.4f} USD needed, {max(over.left, 0):.4f} of"
                    " the budget left; raise the budget to go on"
                ) from None
            except PaceStopped:  # or another batch at this endpoint has ended
                if stopped := self._stopped():
                    raise CallsStopped(f"not asked: {stopped}") from None
                if self.closed_for(call.ask):
                    raise LineClosed from None

    async def _in_turn(self, call: Call) -> Reply:
        ask, loop = call.ask, asyncio.get_running_loop()
        await call.turn.aclose()
        bound = input_bound(ask, call.talk)
        worst = self.prices.worst(self.model_for(ask), bound, call.output_tokens)
        expected = bound // 4 + min(call.output_tokens, 2000)
        async with AsyncExitStack() as held:
            await asyncio.sleep(call.not_before - loop.time())
            queued_at = loop.time()
            money = await held.enter_async_context(
                self._budget.reserved(worst or Decimal(0), item=ask.item, needed=ask.needed)
            )
            money.actual = Decimal(0)
            turn = await held.enter_async_context(AsyncExitStack())
            await turn.enter_async_context(self.pace.slot(expected, first=call.requests > 0))
            if self._stopped() or self.closed_for(ask):
                raise PaceStopped
            if call.ends is None:
                call.ends = queued_at + self._options.deadline_s
            call.ends += loop.time() - queued_at  # waiting for its turn is not the call's time
            async with asyncio.timeout_at(call.ends):
                reply = await self._request(call, money, expected)
            call.turn = turn.pop_all()
            return reply

    async def _request(self, call: Call, money: Reservation, expected: int) -> Reply:
        """Make one HTTP request and book what it took, whatever comes of it."""
        ask, loop = call.ask, asyncio.get_running_loop()
        model, deadline_s = self.model_for(ask), self._options.deadline_s
        call.left_out = frozenset(self.quirks)
        call.requests += 1
        body = request_body(ask, model, call.talk, call.output_tokens, call.left_out)
        sent_at = loop.time()
        money.actual = None
        usage: Usage | None = None
        usd: Decimal | None = None
        billed = True
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
                response = await self._send(body)
                self.reached = True
                call.request_id = response.request_id
                found = _parsed(response)
                describe_response(span, response.status, found)
                usage = usage_of(found)
                billed = response.status == 200 or usage is not None
                tier = found.get("service_tier")
                named = found.get("model")
                if usage:
                    usd = self.prices.cost(named if isinstance(named, str) else model, usage, tier)
                    if usd is None and named != model:
                        usd = self.prices.cost(model, usage, tier)
                money.actual = usd if usage and usd is not None else None if billed else Decimal(0)
                self.pace.spent(expected, usage.input_tokens + usage.output_tokens if usage else 0)
                if 0 < (wait := used_up_s(response.headers)) <= deadline_s:
                    self.pace.pause(wait)
                reply = read_reply(response, self.host, model)
            except CallError as error:
                if isinstance(error, NotSent):
                    billed, money.actual = False, Decimal(0)
                if isinstance(error, EndpointOverloaded) or not self.reached:
                    self.pace.overloaded(sent_at)
                if isinstance(error, EndpointUnavailable):
                    self._misses += 1
                    if self._misses >= MISSES_IN_A_ROW:
                        self.pace.failing()
                if error.retry_after and error.retry_after <= deadline_s:
                    self.pace.pause(error.retry_after)
                raise
            except asyncio.CancelledError:
                failed(span, "timeout" if loop.time() >= (call.ends or 0) else "cancelled")
                self.pace.overloaded(sent_at)
                raise
            finally:
                if billed:
                    call.book(usage, usd)
                self._ledger.attempt(ask.item, usage, usd, again=call.again, billed=billed)
                call.again = False
        self._misses = 0
        self.pace.answered(ask.step, sent_at)
        return reply

    async def _send(self, body: dict[str, Any]) -> Response:
        """Exchange one request for one response; every other outcome is a `CallError`."""
        from openai import APIStatusError, OpenAIError

        handled = sys.exception()
        http: httpx2.Response
        try:
            # Not `chat.completions.create`: it would copy the body and read the answer, which is
            # read here, and more strictly.
            http = await self._client.post("/chat/completions", body=body, cast_to=httpx2.Response)
        except APIStatusError as error:
            http = error.response
        except (OpenAIError, httpx2.HTTPError, BodyTooLarge, OSError) as error:
            broken = broken_connection(error, self.host, handled)
            if isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout) and (
                type(broken) is EndpointUnavailable
            ):
                broken = NotSent(broken.message)
            raise broken from None
        return Response(http.status_code, http.headers, http.content)


def import_client() -> None:
    """Import what sends requests; half a second that is better spent while something is awaited."""
    for module in ("openai", "prefect_llm_reports.tasks.llm.connections"):
        import_module(module)


def _parsed(response: Response) -> dict[str, Any]:
    try:
        found = strict_json(response.body)
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
