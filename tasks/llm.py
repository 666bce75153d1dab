"""The boundary to the model: one question in, one accepted answer out, nothing else escapes.

The only importer of openai. A `Session` is one batch's access to its endpoints: it paces, prices,
bounds and books every request. It makes one attempt for each time it is asked; the Prefect task
around it repeats what may succeed, and the session keeps count across those repeats.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import TracebackType
from typing import Any, Self, cast

import httpx2
import openai
from pydantic import SecretStr

from tasks.budget import Budget, OverBudget, Reservation
from tasks.errors import (
    AnswerTruncated,
    AnswerUnusable,
    AttemptsExhausted,
    BudgetExhausted,
    CallError,
    CallRejected,
    CallsStopped,
    CallTimedOut,
    EndpointDown,
    EndpointOverloaded,
    EndpointUnavailable,
    FatalCallError,
    ModelNotFound,
    NotAnEndpoint,
    ReportsError,
    RetryLater,
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
from tasks.pacing import Pace, PaceStopped, shared_pace
from tasks.pricing import PriceList
from tasks.schemas import Answer, Ask, Message, Price, Usage, canonical_json
from tasks.transport import host_of, open_http

REASK = """Your answer cannot be used: {problem}

Answer again, completely and in the required form, and return nothing else."""
SCHEMA_IN_WORDS = """

Answer with one JSON object and nothing else. It must fit this JSON Schema:
{schema}
"""
MAX_ATTEMPTS = 3
MAX_REASKS = 2
FAILURES_IN_A_ROW = 5

logger = logging.getLogger(__name__)


class Invalid(Exception):
    """The answer does not fit; the text says why, for the model to read."""


Accept = Callable[[str], str]
"""Turns an answer's text into the form that is kept, or raises `Invalid`."""


@dataclass(frozen=True)
class Endpoint:
    """Where to ask and with which key.

    Attributes:
        base_url: Address that `/chat/completions` is appended to.
        api_key: Sent as bearer token.
        model: Model to ask for here, whatever the question names; None: the question's.
        prices: Prices by model name at this endpoint.
    """

    base_url: str
    api_key: SecretStr = field(default=SecretStr("none"), repr=False)
    model: str | None = None
    prices: dict[str, Price] = field(default_factory=dict[str, Price])


@dataclass
class _Call:
    """One question while it is pursued, kept across the task's repeats."""

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
    usage: Usage | None = Usage()
    usd: Decimal | None = Decimal(0)

    def begin_anew(self) -> None:
        """Go on with a new request, which has attempts and a deadline of its own."""
        self.attempts = 0
        self.ends = None
        self.not_before = 0.0

    def book(self, usage: Usage | None, usd: Decimal | None) -> None:
        """Add what one request took; unknown stays unknown."""
        self.usage = self.usage + usage if self.usage and usage else None
        self.usd = None if self.usd is None or usd is None else self.usd + usd


@dataclass
class _Line:
    """One endpoint as this process has come to know it."""

    endpoint: Endpoint
    client: openai.AsyncOpenAI
    pace: Pace
    prices: PriceList
    quirks: set[str]
    reached: bool = False
    failed_in_a_row: int = 0
    closed: dict[str | None, FatalCallError] = field(
        default_factory=dict[str | None, FatalCallError]
    )

    @property
    def host(self) -> str:
        return host_of(self.endpoint.base_url)

    def model_for(self, ask: Ask) -> str:
        """The model this endpoint is asked for: its own, or the question's."""
        return self.endpoint.model or ask.model

    def open_for(self, ask: Ask) -> bool:
        return None not in self.closed and self.model_for(ask) not in self.closed


_learnt: dict[str, set[str]] = {}
"""What endpoints do not take, by address, as far as this process has found out."""


class Session:
    """A batch's access to its endpoints; used as an async context manager on one event loop.

    Args:
        endpoints: Where to ask, in order: the next is used when one can no longer serve.
        options: The batch's options: concurrency, deadline, budget, rate limits, prices.
        backoff_s: Longest wait before a second attempt; the third may wait twice as long.
    """

    def __init__(
        self, endpoints: Sequence[Endpoint], options: ReportOptions, *, backoff_s: float = 1.0
    ) -> None:
        self.options = options
        self.ledger = Ledger()
        self.budget = Budget(options.budget_usd)
        self.stopped: ReportsError | None = None
        self.lines: list[_Line] = []
        self._endpoints = endpoints
        self._backoff_s = backoff_s
        self._calls: dict[str, _Call] = {}
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for endpoint in self._endpoints:
            self.lines.append(await self._connect(endpoint))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._resources.aclose()

    async def _connect(self, endpoint: Endpoint) -> _Line:
        options = self.options
        http = open_http(endpoint.base_url, options.concurrency)
        await self._resources.enter_async_context(http)
        client = openai.AsyncOpenAI(
            api_key=endpoint.api_key.get_secret_value(),
            base_url=endpoint.base_url,
            http_client=http,
            max_retries=0,
        )
        pace = shared_pace(
            endpoint.base_url, options.requests_per_minute, options.tokens_per_minute
        )
        pace.join(options.concurrency)
        self._resources.callback(pace.leave, options.concurrency)
        return _Line(
            endpoint=endpoint,
            client=client,
            pace=pace,
            prices=PriceList(endpoint.base_url, {**endpoint.prices, **options.prices}),
            quirks=_learnt.setdefault(endpoint.base_url, set()),
        )

    def stop(self, error: ReportsError) -> None:
        """Make no further call; what is under way may finish. The first reason is kept."""
        if self.stopped is None:
            self.stopped = error
            for line in self.lines:
                line.pace.stop()

    def worst_usd(self, ask: Ask) -> Decimal | None:
        """The most one request for this can cost at any endpoint; None: a price is unknown."""
        worst = [
            line.prices.worst(line.model_for(ask), input_bound(ask, ()), ask.max_output_tokens)
            for line in self.lines
        ]
        known = [usd for usd in worst if usd is not None]
        return max(known) if len(known) == len(worst) else None

    async def answer(self, ask: Ask, accept: Accept) -> Answer:
        """Make one attempt at an answer.

        Args:
            ask: The question.
            accept: Checks the text and gives the form to keep.

        Raises:
            EndpointUnavailable: Another attempt may succeed; ask again.
            CallError: It will not; the class says how far that reaches.
        """
        call = self._calls.setdefault(ask.key, _Call(ask, ask.max_output_tokens))
        try:
            while True:
                line = self._open_line(ask)
                try:
                    answer = await self._pursue(call, line, accept)
                    break
                except CallError as error:
                    judged = self._judge(call, line, error)
                    if not isinstance(judged, FatalCallError):
                        raise judged from None
                    everywhere = not isinstance(judged, ModelNotFound)
                    line.closed[None if everywhere else line.model_for(ask)] = judged
                    logger.warning("%s: %s", ask.label, judged)
                    call.begin_anew()
        except EndpointUnavailable as error:
            raise self._named(error, call) from None
        except CallError as error:
            self._calls.pop(ask.key, None)
            raise self._named(error, call) from None
        except BaseException:
            self._calls.pop(ask.key, None)
            raise
        del self._calls[ask.key]
        line.failed_in_a_row = 0
        self.ledger.answered(ask.item)
        return answer

    def _open_line(self, ask: Ask) -> _Line:
        """The first endpoint that can still serve; with none left the batch stops."""
        if self.stopped:
            raise CallsStopped(f"not asked: {self.stopped}")
        for line in self.lines:
            if line.open_for(ask):
                return line
        last = self.lines[-1]
        error = last.closed.get(None) or last.closed[last.model_for(ask)]
        self.stop(error)
        raise error

    @staticmethod
    def _named(error: CallError, call: _Call) -> CallError:
        """Complete an error with what it was for."""
        error.step = error.step or call.ask.step
        error.attempts = error.attempts or call.requests
        error.request_id = error.request_id or call.request_id
        return error

    def _judge(self, call: _Call, line: _Line, error: CallError) -> CallError:
        """Decide how far a failed attempt reaches, now that the call's history counts."""
        if isinstance(error, NotAnEndpoint) and error.status == 200 and not call.suspicious:
            call.suspicious = True
            error = EndpointUnavailable(error.message, status=200, request_id=error.request_id)
        if isinstance(error, EndpointUnavailable):
            now = asyncio.get_running_loop().time()
            left = (call.ends or now) - now
            if error.retry_after is not None and error.retry_after > left:
                at = datetime.now(UTC) + timedelta(seconds=error.retry_after)
                return RetryLater(
                    f"{error.message}; it asks to wait {error.retry_after:.0f} s, longer than a"
                    f" call may take: resume after {at:%Y-%m-%d %H:%M:%S} UTC with the same command",
                    status=error.status,
                    retry_after=error.retry_after,
                )
            wait = random.uniform(0, self._backoff_s * 2 ** (call.attempts - 1))  # noqa: S311
            wait = max(wait, error.retry_after or 0)
            if call.attempts < MAX_ATTEMPTS and wait < left:
                call.not_before = now + wait
                return error
            error = AttemptsExhausted(error.message, status=error.status)
        if isinstance(error, AttemptsExhausted | CallTimedOut):
            line.failed_in_a_row += 1
            if not line.reached:
                return EndpointDown(
                    f"first contact failed: {error.message}; check the base URL and that the"
                    " endpoint is running, then run the same command again"
                )
            if line.failed_in_a_row >= FAILURES_IN_A_ROW:
                return EndpointDown(
                    f"{line.failed_in_a_row} calls in a row failed, the last: {error.message};"
                    " run the same command again when the endpoint is well"
                )
        return error

    async def _pursue(self, call: _Call, line: _Line, accept: Accept) -> Answer:
        """Ask, and ask again while the answer itself is what falls short."""
        ask = call.ask
        while True:
            try:
                reply = await self._attempt(call, line)
            except Unsupported as error:
                call.attempts -= 1
                self._adapt(line, error)
                continue
            if reply.truncated:
                if call.output_tokens > ask.max_output_tokens:
                    raise AnswerTruncated(
                        f"the answer was cut at {call.output_tokens} tokens, twice; raise"
                        " max_output_tokens or ask for a shorter report"
                    )
                call.output_tokens *= 2
                call.begin_anew()
                continue
            try:
                text = accept(reply.text)
            except Invalid as problem:
                if call.reasks == MAX_REASKS:
                    raise AnswerUnusable(
                        f"still not usable after asking {MAX_REASKS + 1} times: {problem}"
                    ) from None
                call.reasks += 1
                call.talk = [
                    Message(role="assistant", content=reply.text[:20_000]),
                    Message(role="user", content=REASK.format(problem=problem)),
                ]
                call.begin_anew()
                continue
            return Answer(
                text=text,
                model=reply.model,
                endpoint=line.endpoint.base_url,
                created=reply.created,
                usage=call.usage,
                cost_usd=call.usd,
                request_id=reply.request_id,
                attempts=call.requests,
            )

    @staticmethod
    def _adapt(line: _Line, error: Unsupported) -> None:
        """Learn what the endpoint does not take; the same lesson twice is an error."""
        for quirk in (
            (error.parameter, "json_object")
            if error.parameter == "json_schema"
            else (error.parameter,)
        ):
            if quirk not in line.quirks:
                line.quirks.add(quirk)
                logger.warning("%s does not take %s; going on without", line.host, quirk)
                return
        raise CallRejected(error.message, status=error.status, request_id=error.request_id)

    async def _attempt(self, call: _Call, line: _Line) -> Reply:
        """Send one request: in its turn, within the budget, inside the call's deadline."""
        ask, loop = call.ask, asyncio.get_running_loop()
        model = line.model_for(ask)
        bound = input_bound(ask, call.talk)
        worst = line.prices.worst(model, bound, call.output_tokens)
        expected = bound // 4 + min(call.output_tokens, 2000)
        call.attempts += 1
        try:
            async with asyncio.timeout_at(call.ends) as deadline, AsyncExitStack() as held:
                await asyncio.sleep(call.not_before - loop.time())
                money = await held.enter_async_context(
                    self.budget.reserved(worst or Decimal(0), item=ask.item, needed=ask.needed)
                )
                money.actual = Decimal(0)
                await held.enter_async_context(line.pace.slot(expected))
                if self.stopped:
                    raise CallsStopped(f"not asked: {self.stopped}")
                if call.ends is None:
                    call.ends = loop.time() + self.options.deadline_s
                    deadline.reschedule(call.ends)
                return await self._request(call, line, money, expected)
        except TimeoutError:
            raise CallTimedOut(
                f"no whole answer from {line.host} within {self.options.deadline_s:g} s; raise the"
                " deadline or ask for shorter reports"
            ) from None
        except OverBudget as over:
            raise BudgetExhausted(
                f"not asked: up to {over.wanted:.4f} USD needed, {max(over.left, 0):.4f} of the"
                f" budget left; raise the budget to go on"
            ) from None
        except PaceStopped:
            raise CallsStopped(f"not asked: {self.stopped}") from None

    async def _request(self, call: _Call, line: _Line, money: Reservation, expected: int) -> Reply:
        """Make one HTTP request and book what it took, whatever comes of it."""
        ask, loop = call.ask, asyncio.get_running_loop()
        model = line.model_for(ask)
        sent_at = loop.time()
        money.actual = None
        usage: Usage | None = None
        usd: Decimal | None = None
        billed = True
        call.requests += 1
        try:
            response = await self._send(call, line)
            line.reached = True
            call.request_id = response.request_id
            found = _parsed(response)
            usage = usage_of(found)
            billed = response.status == 200 or usage is not None
            tier = found.get("service_tier")
            named = found.get("model")
            if usage:
                usd = line.prices.cost(named if isinstance(named, str) else model, usage, tier)
                if usd is None and named != model:
                    usd = line.prices.cost(model, usage, tier)
            money.actual = usd if usage and usd is not None else None if billed else Decimal(0)
            line.pace.spent(expected, usage.input_tokens + usage.output_tokens if usage else 0)
            if wait := used_up_s(response.headers):
                line.pace.pause(wait)
            reply = read_reply(response, line.host, model)
        except CallError as error:
            if isinstance(error, NotSent):
                billed, money.actual = False, Decimal(0)
            if isinstance(error, EndpointOverloaded) or not line.reached:
                line.pace.overloaded(sent_at)
            if error.retry_after and error.retry_after <= (call.ends or 0) - loop.time():
                line.pace.pause(error.retry_after)
            raise
        except asyncio.CancelledError:
            line.pace.overloaded(sent_at)
            raise
        finally:
            if billed:
                call.book(usage, usd)
            self.ledger.attempt(ask.item, usage, usd, again=call.attempts > 1, billed=billed)
        line.pace.answered(ask.step, sent_at)
        return reply

    async def _send(self, call: _Call, line: _Line) -> Response:
        """Exchange one request for one response; every other outcome is a `CallError`."""
        create = line.client.chat.completions.with_raw_response.create
        try:
            http = (
                await create(
                    **request_body(
                        call.ask,
                        line.model_for(call.ask),
                        call.talk,
                        call.output_tokens,
                        line.quirks,
                    )
                )
            ).http_response
        except openai.APIStatusError as error:
            http = error.response
        except (openai.OpenAIError, httpx2.HTTPError, BodyTooLarge, OSError) as error:
            broken = broken_connection(error, line.host)
            if isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout) and (
                type(broken) is EndpointUnavailable
            ):
                broken = NotSent(broken.message)
            raise broken from None
        return Response(http.status_code, http.headers, http.content)


class NotSent(EndpointUnavailable):
    """No connection came about, so nothing can have been billed."""


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


_session: ContextVar[Session] = ContextVar("llm_session")


@contextmanager
def use_session(session: Session) -> Iterator[None]:
    """Make a session the one that the tasks started within use."""
    token = _session.set(session)
    try:
        yield
    finally:
        _session.reset(token)


def current_session() -> Session:
    """The session of the running batch.

    Raises:
        LookupError: Called outside of a batch.
    """
    return _session.get()
