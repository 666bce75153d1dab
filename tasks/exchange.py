"""One request to one endpoint: in its turn, within budget and deadline, and always booked.

The only importer of openai. No SDK exception leaves this module, and nothing here decides whether
to ask again.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

import httpx2
import openai
from pydantic import SecretStr

from tasks.budget import Budget, OverBudget, Reservation
from tasks.errors import (
    BudgetExhausted,
    CallError,
    CallRejected,
    CallsStopped,
    CallTimedOut,
    EndpointOverloaded,
    EndpointUnavailable,
    FatalCallError,
)
from tasks.faults import (
    BodyTooLarge,
    Reply,
    Response,
    Unsupported,
    broken_connection,
    read_reply,
    strict_json,
    usage_of,
    used_up_s,
)
from tasks.ledger import Ledger
from tasks.options import ReportOptions
from tasks.pacing import PaceStopped, shared_pace
from tasks.pricing import PriceList
from tasks.schemas import Ask, Message, Price, Usage, canonical_json
from tasks.transport import host_of, open_http

SCHEMA_IN_WORDS = """

Answer with one JSON object and nothing else. It must fit this JSON Schema:
{schema}
"""

logger = logging.getLogger(__name__)

_learnt: dict[str, set[str]] = {}
"""What endpoints do not take, by address, as far as this process has found out."""


@dataclass(frozen=True)
class Endpoint:
    """Where to ask and with which key.

    Attributes:
        base_url: Address that `/chat/completions` is appended to.
        api_key: Sent as bearer token.
        model: Model to ask for here, whatever the question names; None: the question's.
        prices: Prices by model name at this endpoint.
        requests_per_minute: The account's limit; None: none.
        tokens_per_minute: The account's limit; None: none.
    """

    base_url: str
    api_key: SecretStr = field(default=SecretStr("none"), repr=False)
    model: str | None = None
    prices: dict[str, Price] = field(default_factory=dict[str, Price])
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


@dataclass
class Call:
    """One question while it is pursued, kept across the task's repeats.

    Attributes:
        talk: Messages after the question's own: an unusable answer, and what was wrong with it.
        attempts: Requests since the question, or a changed form of it, was first sent.
        requests: Requests in all.
        ends: When the deadline of the present form passes, in the event loop's time.
        not_before: When the next attempt may be made, in the event loop's time.
        suspicious: Something that does not look like an endpoint has answered once.
    """

    ask: Ask
    output_tokens: int
    talk: list[Message] = field(default_factory=list[Message])
    attempts: int = 0
    requests: int = 0
    reasks: int = 0
    ends: float | None = None
    not_before: float = 0.0
    request_id: str | None = None
    suspicious: bool = False
    usage: Usage | None = field(default_factory=Usage)
    usd: Decimal | None = Decimal(0)

    def begin_anew(self) -> None:
        """Go on with a changed request, which has attempts and a deadline of its own."""
        self.attempts = 0
        self.ends = None
        self.not_before = 0.0

    def book(self, usage: Usage | None, usd: Decimal | None) -> None:
        """Add what one request took; unknown stays unknown."""
        self.usage = self.usage + usage if self.usage and usage else None
        self.usd = None if self.usd is None or usd is None else self.usd + usd


class NotSent(EndpointUnavailable):
    """No connection came about, so nothing can have been billed."""


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
        options: ReportOptions,
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
        self._options = options
        self._budget = budget
        self._ledger = ledger
        self._stopped = stopped

    async def open(self, resources: AsyncExitStack) -> Line:
        """Open the connections; `resources` closes them."""
        ceiling = self._options.concurrency
        http = await resources.enter_async_context(open_http(self.endpoint.base_url, ceiling))
        self._client = openai.AsyncOpenAI(
            api_key=self.endpoint.api_key.get_secret_value(),
            base_url=self.endpoint.base_url,
            http_client=http,
            max_retries=0,
        )
        self.pace.join(ceiling)
        resources.callback(self.pace.leave, ceiling)
        return self

    def model_for(self, ask: Ask) -> str:
        """The model this endpoint is asked for: its own, or the question's."""
        return self.endpoint.model or ask.model

    def closed_for(self, ask: Ask) -> FatalCallError | None:
        """Why a question cannot be answered here; None: it may be."""
        return self.closed.get(None) or self.closed.get(self.model_for(ask))

    def worst_usd(self, ask: Ask) -> Decimal | None:
        """The most one request for this can cost; None: the price is unknown."""
        return self.prices.worst(self.model_for(ask), input_bound(ask, ()), ask.max_output_tokens)

    def adapt(self, error: Unsupported) -> None:
        """Learn what the endpoint does not take.

        Raises:
            CallRejected: It was left out already.
        """
        lessons = [error.parameter]
        if error.parameter == "json_schema":
            lessons.append("json_object")
        for quirk in lessons:
            if quirk not in self.quirks:
                self.quirks.add(quirk)
                logger.warning("%s does not take %s; going on without it", self.host, quirk)
                return
        raise CallRejected(error.message, status=error.status, request_id=error.request_id)

    async def attempt(self, call: Call) -> Reply:
        """Send one request: in its turn, within the budget, inside the call's deadline."""
        ask, loop = call.ask, asyncio.get_running_loop()
        model = self.model_for(ask)
        bound = input_bound(ask, call.talk)
        worst = self.prices.worst(model, bound, call.output_tokens)
        expected = bound // 4 + min(call.output_tokens, 2000)
        call.attempts += 1
        try:
            async with asyncio.timeout_at(call.ends) as deadline, AsyncExitStack() as held:
                await asyncio.sleep(call.not_before - loop.time())
                money = await held.enter_async_context(
                    self._budget.reserved(worst or Decimal(0), item=ask.item, needed=ask.needed)
                )
                money.actual = Decimal(0)
                await held.enter_async_context(self.pace.slot(expected))
                if self._stopped():
                    raise PaceStopped
                if call.ends is None:
                    call.ends = loop.time() + self._options.deadline_s
                    deadline.reschedule(call.ends)
                return await self._request(call, money, expected)
        except TimeoutError:
            raise CallTimedOut(
                f"no whole answer from {self.host} within {self._options.deadline_s:g} s; raise the"
                " deadline or ask for shorter reports"
            ) from None
        except OverBudget as over:
            raise BudgetExhausted(
                f"not asked: up to {over.wanted:.4f} USD needed, {max(over.left, 0):.4f} of the"
                f" budget left; raise the budget to go on"
            ) from None
        except PaceStopped:
            raise CallsStopped(f"not asked: {self._stopped()}") from None

    async def _request(self, call: Call, money: Reservation, expected: int) -> Reply:
        """Make one HTTP request and book what it took, whatever comes of it."""
        ask, loop = call.ask, asyncio.get_running_loop()
        model = self.model_for(ask)
        sent_at = loop.time()
        money.actual = None
        usage: Usage | None = None
        usd: Decimal | None = None
        billed = True
        call.requests += 1
        try:
            response = await self._send(call)
            self.reached = True
            call.request_id = response.request_id
            found = _parsed(response)
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
            if wait := used_up_s(response.headers):
                self.pace.pause(wait)
            reply = read_reply(response, self.host, model)
        except CallError as error:
            if isinstance(error, NotSent):
                billed, money.actual = False, Decimal(0)
            if isinstance(error, EndpointOverloaded) or not self.reached:
                self.pace.overloaded(sent_at)
            if error.retry_after and error.retry_after <= (call.ends or 0) - loop.time():
                self.pace.pause(error.retry_after)
            raise
        except asyncio.CancelledError:
            self.pace.overloaded(sent_at)
            raise
        finally:
            if billed:
                call.book(usage, usd)
            self._ledger.attempt(ask.item, usage, usd, again=call.attempts > 1, billed=billed)
        self.pace.answered(ask.step, sent_at)
        return reply

    async def _send(self, call: Call) -> Response:
        """Exchange one request for one response; every other outcome is a `CallError`."""
        create: Any = self._client.chat.completions.with_raw_response.create
        body = request_body(
            call.ask, self.model_for(call.ask), call.talk, call.output_tokens, self.quirks
        )
        http: httpx2.Response
        try:
            http = (await create(**body)).http_response
        except openai.APIStatusError as error:
            http = error.response
        except (openai.OpenAIError, httpx2.HTTPError, BodyTooLarge, OSError) as error:
            broken = broken_connection(error, self.host)
            if isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout) and (
                type(broken) is EndpointUnavailable
            ):
                broken = NotSent(broken.message)
            raise broken from None
        return Response(http.status_code, http.headers, http.content)


def _parsed(response: Response) -> dict[str, Any]:
    try:
        found = strict_json(response.body)
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def input_bound(ask: Ask, talk: Sequence[Message]) -> int:
    """An upper bound of a request's input tokens: no tokenizer makes more than one a byte."""
    schema = len(canonical_json(ask.output_schema)) if ask.output_schema else 0
    texts = sum(
        len(m.content.encode("utf-8", "surrogatepass")) + 16 for m in (*ask.messages, *talk)
    )
    return texts + 2 * schema + 256


def request_body(
    ask: Ask, model: str, talk: Sequence[Message], output_tokens: int, quirks: set[str]
) -> dict[str, Any]:
    """The Chat Completions request for a question, as this endpoint takes it.

    Args:
        ask: The question.
        model: The model to name.
        talk: Messages after the question's own: an unusable answer and what was wrong with it.
        output_tokens: Tokens the answer may have.
        quirks: Parameters the endpoint does not take.
    """
    messages = [{"role": m.role, "content": m.content} for m in (*ask.messages, *talk)]
    body: dict[str, Any] = {"model": model, "messages": messages}
    limit = "max_tokens" if "max_completion_tokens" in quirks else "max_completion_tokens"
    body[limit] = output_tokens
    if ask.temperature is not None and "temperature" not in quirks:
        body["temperature"] = ask.temperature
    if ask.output_schema is not None:
        if "json_schema" not in quirks:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {
                    "name": ask.output_name or "answer",
                    "schema": ask.output_schema,
                    "strict": True,
                },
            }
        else:
            messages[0]["content"] += SCHEMA_IN_WORDS.format(
                schema=json.dumps(ask.output_schema, indent=1)
            )
            if "json_object" not in quirks:
                body["response_format"] = {"type": "json_object"}
    return body
