"""Every error of this software, in one tree; the class decides what happens next.

ReportsError
├── BadInput                 config: stop before any call, all problems together
│   └── ServerUnreachable
├── CallError                one LLM call did not give a usable answer
│   ├── EndpointUnavailable  retry: refused, reset, DNS, truncated, 408, 409, 5xx, not JSON
│   │   └── EndpointOverloaded   retry, and every caller slows down: 429, 503, 529
│   ├── AttemptsExhausted    item: every attempt of the call failed
│   ├── CallTimedOut         item: the wall-clock deadline of the call passed
│   ├── CallRejected         item: 400 and other 4xx
│   ├── AnswerRefused        item: refusal or content filter
│   ├── AnswerTruncated      item: cut at the token limit, twice
│   ├── AnswerUnusable       item: empty, not text, too large, or invalid after re-asking
│   ├── CallsStopped         not started: the batch is ending, no new call is made
│   ├── BudgetExhausted      not started: the worst case of the call exceeds what is left
│   ├── NotNeeded            not started: another branch has answered, and one is enough
│   └── FatalCallError       fatal: no further call can succeed
│       ├── KeyRejected  ModelNotFound  QuotaExhausted  CertificateRefused
│       ├── NotAnEndpoint    a login page, a proxy or a redirect answers
│       ├── RetryLater       the endpoint asks to wait longer than the deadline
│       ├── AllRejected      different topics were rejected alike, one after the other
│       └── EndpointDown     first contact failed, or five items in a row
├── NothingToQuote           item: no passage of the sources fits the topic
├── FormatFailed             one file of a report cannot be made; the others are published
├── HeldBack                 item: a person decided that the report is not published
├── ShardFailed              item: the worker of the report's shard did not finish
├── ShardStopped             fatal: what stopped one shard concerns the whole batch
├── NoWorker                 fatal: no worker takes the shards of a batch
├── Undecided                nobody approved or rejected the reports in time
├── Interrupted              fatal: a person or the system ended the run
└── StorageError             fatal: answers or reports can no longer be saved
    └── StorageFull
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from prefect_llm_reports.tasks.contract.records import ErrorReport

Reach = Literal["config", "retry", "item", "not_started", "fatal"]


class ReportsError(Exception):
    """Base of all errors of this software.

    Attributes:
        reach: How far the failure goes: ``config`` stops before any call, ``retry`` may succeed at
            another attempt, ``item`` ends one report, ``not_started`` means that no call was made,
            ``fatal`` ends the batch.
    """

    reach: ClassVar[Reach] = "item"

    @property
    def kind(self) -> str:
        """The error's stable name in results, such as ``key_rejected``."""
        name = type(self).__name__
        return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")

    def report(self) -> ErrorReport:
        """The error in the form of results."""
        return ErrorReport(kind=self.kind, message=str(self))


class BadInput(ReportsError):
    """The request cannot be carried out; no call was made.

    Args:
        problems: One sentence each, which ends with the next action.
    """

    reach = "config"

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ServerUnreachable(BadInput):
    """The Prefect API does not answer."""


class CallError(ReportsError):
    """One LLM call gave no usable answer.

    Args:
        message: The fault and the next action, without keys and without whole prompts.
        step: The step that called: `draft`, `critique`, `revise`, `summary` or a branch's name.
        attempts: Number of HTTP requests for this call.
        request_id: The endpoint's id of the last request, for its support staff.
        status: HTTP status of the last response.
        retry_after: Seconds that the endpoint asks its callers to wait.
    """

    def __init__(
        self,
        message: str,
        *,
        step: str = "",
        attempts: int = 0,
        request_id: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.step = step
        self.attempts = attempts
        self.request_id = request_id
        self.status = status
        self.retry_after = retry_after

    def __str__(self) -> str:
        said = self.message
        if self.attempts > 1:
            said += f" ({self.attempts} attempts)"
        if self.request_id:
            said += f" [request {self.request_id}]"
        return said

    def report(self) -> ErrorReport:
        """The error in the form of results."""
        return ErrorReport(
            kind=self.kind,
            message=str(self),
            step=self.step,
            attempts=self.attempts,
            request_id=self.request_id,
        )


class EndpointUnavailable(CallError):
    """The endpoint did not answer, or not with a completion; another attempt may."""

    reach = "retry"


class EndpointOverloaded(EndpointUnavailable):
    """The endpoint asks for fewer requests; every caller slows down.

    Args:
        message: As for every failed call.
        limited: The account's limits do not allow the request now: it waits for its turn again and
            uses up no attempt.
        about_quota: The endpoint reports a used-up quota; this counts once it is reported again.
        where: As for every failed call.
    """

    def __init__(
        self, message: str, *, limited: bool = False, about_quota: bool = False, **where: Any
    ) -> None:
        super().__init__(message, **where)
        self.limited = limited
        self.about_quota = about_quota


class AttemptsExhausted(CallError):
    """The endpoint failed every attempt of the call."""


class NoFlexCapacity(CallError):
    """The endpoint has no capacity for flex calls now: no rate limit, and no outage."""


class CallTimedOut(CallError):
    """The call's wall-clock deadline passed."""


class CallRejected(CallError):
    """The endpoint refuses this request for good."""


class AnswerRefused(CallError):
    """The model declined, or its provider filtered the answer."""


class AnswerTruncated(CallError):
    """The answer was cut at the token limit, and again at the larger limit."""


class AnswerUnusable(CallError):
    """The answer is empty, not text, too large, or still invalid after re-asking."""


class CallsStopped(CallError):
    """The batch is ending; this call was not made."""

    reach = "not_started"


class BudgetExhausted(CallError):
    """The worst case of this call exceeds what is left of the budget; it was not made."""

    reach = "not_started"


class NotNeeded(CallError):
    """Another branch has answered and one is enough; this call was cancelled or never made."""

    reach = "not_started"


class FatalCallError(CallError):
    """No further call can succeed; the batch ends and keeps the paid answers.

    Attributes:
        alone: The error if the endpoint rejects only this question; None: it rejects all.
    """

    reach = "fatal"
    alone: CallError | None = None


class KeyRejected(FatalCallError):
    """The endpoint does not accept the API key."""


class ModelNotFound(FatalCallError):
    """The endpoint does not have the model."""


class NoFlex(FatalCallError):
    """The endpoint does not offer flex for the model; nothing is asked at the standard price."""


class QuotaExhausted(FatalCallError):
    """The account has no quota or credit left."""


class CertificateRefused(FatalCallError):
    """The endpoint's TLS certificate cannot be verified."""


class NotAnEndpoint(FatalCallError):
    """The server at this address is not an OpenAI-compatible endpoint."""


class RetryLater(FatalCallError):
    """The endpoint asks to wait longer than a call may take."""


class AllRejected(FatalCallError):
    """The endpoint rejects different topics alike, one after the other."""


class EndpointDown(FatalCallError):
    """The endpoint is down: the first contact failed, or five items in a row."""


class NothingToQuote(ReportsError):
    """No passage of the sources fits the topic, so the report would have nothing to stand on."""


class FormatFailed(ReportsError):
    """A file of an optional format cannot be made; the report is published without it."""


class HeldBack(ReportsError):
    """A person decided that the report is not published; its drafts are kept."""


class ShardFailed(ReportsError):
    """The shard that a report belongs to did not finish."""


class ShardStopped(ReportsError):
    """A fatal error stopped a shard, and so the batch.

    Args:
        why: The error that the shard recorded.
    """

    reach = "fatal"

    def __init__(self, why: ErrorReport) -> None:
        super().__init__(why.message)
        self._why = why

    def report(self) -> ErrorReport:
        """The error in the form of results."""
        return self._why


class NoWorker(ReportsError):
    """No worker takes the shards of a batch."""

    reach = "fatal"


class Undecided(ReportsError):
    """Nobody approved or rejected the finished reports in time."""


class Interrupted(ReportsError):
    """A person or the system ended the run; it can be resumed."""

    reach = "fatal"


class StorageError(ReportsError):
    """Answers or reports can no longer be saved; the batch ends."""

    reach = "fatal"


class StorageFull(StorageError):
    """The disk or bucket that holds answers or reports is full."""
