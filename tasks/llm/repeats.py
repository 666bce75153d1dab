"""After a failed request: another one, later or different, or the end of the call.

Here: attempts, waits, time-outs, and absences of the endpoint. Not here: sending (`llm.line`),
unusable answers, other endpoints (`llm.session`), what a response means (`llm.refusals`).
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from datetime import UTC, datetime, timedelta

from prefect_llm_reports.tasks.contract.call_options import CallOptions
from prefect_llm_reports.tasks.contract.errors import (
    AllRejected,
    AnswerRefused,
    AnswerTruncated,
    AnswerUnusable,
    AttemptsExhausted,
    CallError,
    CallRejected,
    CallTimedOut,
    EndpointOverloaded,
    EndpointUnavailable,
    FatalCallError,
    NotAnEndpoint,
    QuotaExhausted,
    RetryLater,
)
from prefect_llm_reports.tasks.llm.call import Call
from prefect_llm_reports.tasks.llm.faults import AWAY, NotSent
from prefect_llm_reports.tasks.llm.line import Line
from prefect_llm_reports.tasks.llm.size_limits import TooLarge
from prefect_llm_reports.tasks.llm.unsupported import Unsupported

MAX_ATTEMPTS = 3
"""Failed attempts at one endpoint after which a call fails."""

MOST_WAIT_S = 365 * 24 * 3600.0
"""Seconds up to which an endpoint's wait is a date to name."""
MAX_TRIALS = 5
"""Parts of a request that one call leaves out on trial."""

LEAST_OUTPUT = 256
"""Tokens that an answer needs; a context with less room is too short."""

CONTEXT_SPARE = 64
"""Tokens left free in a model's context, since servers count differently."""

MAX_TIMEOUTS = 2
"""Requests without an answer in time after which a call fails."""

OTHERS_S = 1.0
"""Seconds in which an answer to another call shows that an endpoint is there."""

_STARTING = re.compile(
    r"loading model|(?:is|currently|still) (?:loading|starting)|starting up|warming up"
    r"|waking up|spinning up|cold start|scaled to zero|model is not (?:yet )?ready",
    re.I,
)

_VALUES = re.compile(r"\d+|'[^']*'|\"[^\"]*\"|`[^`]*`")
"""Parts of messages that differ between equal rejections."""

AGAIN = "The answers so far are kept; run the same command again"

logger = logging.getLogger(__name__)


class Repeats:
    """Decides whether a failed request is repeated.

    Args:
        options: The batch's deadline and patience.
        backoff_s: Longest wait before a second attempt; the third may wait twice as long.
    """

    def __init__(self, options: CallOptions, backoff_s: float) -> None:
        self._options = options
        self._backoff_s = backoff_s

    async def after(self, call: Call, line: Line, error: CallError) -> CallError | None:
        """The error that ends the call; None: the call is changed, ask again.

        Args:
            call: The call.
            line: Where it was asked.
            error: The failure of its last request.
        """
        if isinstance(error, Unsupported):
            without = line.dialect(call.ask).next_without(error, call.ask, call.left_out)
            if without is not None and len(call.without) < MAX_TRIALS:
                call.without = frozenset() if error.sure else without
                call.begin_anew()
                return None
            error = error.rejected
        call.without = frozenset()
        if isinstance(error, TooLarge) and _fit(call, line, error):
            call.begin_anew()
            return None
        error = _reach(call, line, error)
        if isinstance(error, EndpointOverloaded) and error.limited:
            line.absence.end()
            ended = self._refused(line, error)
            if ended is None:
                call.wait_again()
            return ended
        if await self._is_away(call, line, error):
            call.wait_again()
            call.resumed = True
            call.failures = call.timeouts = 0
            return None
        if isinstance(error, CallTimedOut) and self._may_ask_once_more(call, line):
            call.wait_again()
            return None
        judged = self._judged(call, line, error)
        # After an absence, attempts may be more than the task around the call has.
        return None if isinstance(judged, EndpointUnavailable) and call.resumed else judged

    def _refused(self, line: Line, error: EndpointOverloaded) -> FatalCallError | None:
        """The error after a refusal by the account; None: the call waits for its turn again."""
        if (asked := error.retry_after or 0) > self._options.deadline_s:
            return _later(error, asked)
        if error.about_quota and line.health.quota_used_up():
            return QuotaExhausted(
                f"{error.message}; the quota or credit is used up: top it up or use another key,"
                " then run the same command again",
                status=error.status,
            )
        refused_s = line.health.refused_s(asyncio.get_running_loop().time())
        if refused_s > max(self._options.deadline_s, self._options.patience):
            return RetryLater(
                f"{error.message}; nothing but refusals for {refused_s:.0f} s: run the same command"
                " again later, or raise the account's limits",
                status=error.status,
            )
        return None

    def _may_ask_once_more(self, call: Call, line: Line) -> bool:
        """Whether a request without an answer in time is repeated.

        Time in the endpoint's own queue is no fault of the request; a request that hangs otherwise
        is repeated once.
        """
        if not line.health.served:
            return False
        call.timeouts += not call.queued
        return call.timeouts < MAX_TIMEOUTS

    async def _is_away(self, call: Call, line: Line, error: CallError) -> bool:
        """Whether the endpoint has gone away, so that the failure is not the call's."""
        if not isinstance(error, EndpointUnavailable) or not line.health.served:
            return False
        now = asyncio.get_running_loop().time()
        known = line.absence.since is not None
        if not known and not isinstance(error, NotSent) and not _STARTING.search(error.message):
            if error.status not in AWAY:
                return False
            if call.failures == 0:
                call.first_failed = now
            if call.failures + 1 < MAX_ATTEMPTS or line.health.replied_at > call.first_failed:
                return False
            if await line.health.replies_within(OTHERS_S):
                return False
            if error.status is None and await line.is_there():
                return False
        elif known and error.status not in AWAY:
            line.absence.end()
            return False
        if not known:
            logger.warning(
                "%s; waiting up to %g s for it to come back", error.message, self._options.patience
            )
        line.absence.begin(error.message, now)
        return True

    def _judged(self, call: Call, line: Line, error: CallError) -> CallError:
        """The failure in the light of the call's and the endpoint's history."""
        line.absence.end()  # it has responded, or `_is_away` would have said so
        if isinstance(error, NotAnEndpoint) and error.status == 200 and not call.suspicious:
            call.suspicious = True
            error = EndpointUnavailable(error.message, status=200, request_id=error.request_id)
        if isinstance(error, AnswerRefused | AnswerTruncated | AnswerUnusable | CallRejected):
            line.health.settled()
            return error
        if not isinstance(error, EndpointUnavailable | CallTimedOut):
            return error
        seen = error.message
        if isinstance(error, EndpointUnavailable):
            call.failures += 1
            if (asked := error.retry_after or 0) > self._options.deadline_s:
                return _later(error, asked)
            if self._may_repeat(call, asked):
                return error
            error = AttemptsExhausted(
                f"{seen}. {AGAIN}", status=error.status, request_id=error.request_id
            )
        return line.health.gave_up(seen) or error

    def _may_repeat(self, call: Call, asked: float) -> bool:
        """Whether there is time for another attempt; if so, say when it may be sent.

        Args:
            call: The call.
            asked: Seconds that the endpoint asks to wait; its pace makes every caller wait.
        """
        now = asyncio.get_running_loop().time()
        left = (call.ends or now + self._options.deadline_s) - now
        wait = random.uniform(0, self._backoff_s * 2 ** (call.failures - 1))  # noqa: S311
        if call.failures == MAX_ATTEMPTS or max(wait, asked) >= left:
            return False
        call.again = True
        call.not_before = now + wait
        return True


def _fit(call: Call, line: Line, error: TooLarge) -> bool:
    """Fit the request to limits that its refusal named; False: it cannot be.

    Raises:
        AnswerTruncated: A longer answer was asked for than the model can give.
    """
    asked, first = call.output_tokens, call.ask.max_output_tokens
    if error.output and error.output < asked:
        line.dialect(call.ask).most_output = error.output
        if asked > first:
            raise AnswerTruncated(
                f"the answer was cut at {first:,} tokens, and the model's limit is"
                f" {error.output:,}; ask for less, or choose another model"
            )
        call.output_tokens = error.output
        return True
    if error.context and not call.fitted:
        texts = (*call.ask.messages, *call.talk)
        prompt = error.prompt or sum(len(m.content.encode()) for m in texts) // 3 + CONTEXT_SPARE
        left = error.context - prompt - CONTEXT_SPARE
        call.fitted = True
        if LEAST_OUTPUT <= left < asked:
            call.output_tokens = left
            return True
    return False


def _reach(call: Call, line: Line, error: CallError) -> CallError:
    """The error for one topic, or for all of them once several topics fail alike."""
    model, item = line.model_for(call.ask), call.ask.item
    if isinstance(error, FatalCallError):
        if error.alone is None or not line.health.has_served(model):
            return error
        every = line.health.all_rejected(item, f"{type(error).__name__} {model}")
        return error if every else error.alone
    if isinstance(error, CallRejected):
        how = _VALUES.sub("", error.message)
        if line.health.all_rejected(item, f"{model} {how}"):
            return AllRejected(
                f"different topics were rejected alike, one after the other: {error.message}",
                status=error.status,
                request_id=error.request_id,
            )
    return error


def _later(error: EndpointUnavailable, seconds: float) -> RetryLater:
    if seconds > MOST_WAIT_S:  # no date that anybody could wait for
        way = "more than a year: run the same command again when the endpoint's limits are raised"
        return RetryLater(
            f"{error.message}; it asks to wait {way}", status=error.status, retry_after=MOST_WAIT_S
        )
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return RetryLater(
        f"{error.message}; it asks to wait {seconds:.0f} s, longer than a call may take:"
        f" resume after {at:%Y-%m-%d %H:%M:%S} UTC with the same command",
        status=error.status,
        retry_after=seconds,
    )
