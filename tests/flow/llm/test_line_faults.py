"""Every row of the LLM table in behaviour.md, by the real flow against a real HTTP server."""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prefect_llm_reports.tasks.contract.records import ErrorReport
from prefect_llm_reports.tasks.contract.reports import BatchResult, ReportResult
from prefect_llm_reports.tasks.llm.blocks import LLMEndpoint
from tests.flow.conftest import Bench
from tests.harness import faults
from tests.harness.endpoint import Endpoint, Reply, Request
from tests.harness.pace import PATIENCE_S

KEY = "sk-canary-4f1c9a7e2b"
FAULTY, OTHER, THIRD = "Tidal power", "Heat pumps", "Rust"
CALLS = 3
"""Draft, critique, summary: the first draft is accepted."""

DEADLINE_S = 20.0


@pytest.fixture
def one_round() -> Any:
    """An endpoint whose first drafts score 8, so that a report takes three calls."""
    with Endpoint(scores=(8,), words=60) as running:
        yield running


def run(bench: Bench, endpoint: Endpoint, *topics: str, **options: Any) -> BatchResult:
    """Run a batch with the canary key; it ends in bounded time."""
    began = time.monotonic()
    options.setdefault("deadline_s", DEADLINE_S)
    result = bench.run(endpoint, list(topics), key=KEY, options=options)
    assert time.monotonic() - began < options["deadline_s"] + PATIENCE_S
    return result


def report_on(result: BatchResult, topic: str) -> ReportResult:
    return next(r for r in result.reports if r.topic == topic)


def error_of(result: BatchResult, topic: str, endpoint: Endpoint) -> ErrorReport:
    """Why a topic failed; the message has neither the key nor any prompt in it."""
    error = report_on(result, topic).error
    assert error is not None
    said = result.model_dump_json()
    assert KEY not in said
    for request in endpoint.requests:
        for message in (request.body or {}).get("messages", []):
            assert message["content"] not in error.message
    assert len(error.message) < 600
    return error


def answered(endpoint: Endpoint) -> set[str]:
    """The questions that got a good answer, by key."""
    return {r.key for r in endpoint.requests if r.status == 200 and r.answered}


def finish(bench: Bench, endpoint: Endpoint, *topics: str, calls: int) -> None:
    """Run the batch again, now that all is well: it makes the missing calls and no other."""
    before = len(endpoint.requests)
    result = run(bench, endpoint, *topics)
    assert result.status == "complete"
    assert len(endpoint.requests) - before == result.calls.made == calls
    assert result.calls.made + result.calls.cached == CALLS * len(topics)


# Retried, then the report ------------------------------------------------------------------------

PASSING: dict[str, tuple[Reply, str]] = {
    "reset before an answer": (faults.reset(), "no answer from 127.0.0.1"),
    "reset midway": (faults.reset(midway=True), "no answer from 127.0.0.1"),
    "closed before an answer": (faults.disconnect(), "no answer from 127.0.0.1"),
    "truncated body": (faults.truncated(), "no answer from 127.0.0.1"),
    "broken JSON": (faults.not_json(), "200 with broken JSON"),
    "invalid UTF-8": (faults.invalid_utf8(), "200 with broken JSON"),
    **{str(n): (faults.status(n), f"answered {n}") for n in (408, 409, 500, 502, 503, 504, 529)},
    "no choices": (faults.no_choices(), "200 without a choice"),
    "null content": (faults.null_content(), "200 without text"),
    "empty content": (faults.answer(""), "200 without text"),
    "content in parts": (faults.content_parts(), "200 without text"),
    "error in a 200": (faults.error_in_200(), "upstream provider failed"),
    "unknown encoding": (Reply(headers={"content-encoding": "zstd"}), "not asked for"),
}


@pytest.mark.parametrize("names", [[*PASSING][n : n + 4] for n in range(0, len(PASSING), 4)])
def test_a_passing_fault_that_stays_costs_three_requests_and_one_report(
    bench: Bench, one_round: Endpoint, names: list[str]
) -> None:
    """After three failed attempts the report fails, and the others are published."""
    topics = {name: f"On {name}." for name in names}
    for name, topic in topics.items():
        one_round.fail(PASSING[name][0], step="critique", topic=topic, times=3)
    result = run(bench, one_round, *topics.values(), OTHER)

    assert result.status == "partial"
    assert report_on(result, OTHER).status == "published"
    for name, topic in topics.items():
        assert one_round.count(step="critique", topic=topic) == 3
        error = error_of(result, topic, one_round)
        assert (error.kind, error.step, error.attempts) == ("attempts_exhausted", "critique", 3)
        assert PASSING[name][1] in error.message
        assert report_on(result, topic).slug not in error.message
        assert "(3 attempts)" in error.message
        assert "run the same command again" in error.message
    assert result.calls.retried == 2 * len(names)
    finish(bench, one_round, *topics.values(), OTHER, calls=2 * len(names))


def test_a_passing_fault_that_passes_is_not_seen_in_the_result(
    bench: Bench, one_round: Endpoint
) -> None:
    """A call that fails twice, in whatever way, succeeds at its third request."""
    topics = [f"Subject {n:02}" for n in range(len(PASSING))]
    for topic, (reply, _) in zip(topics, PASSING.values(), strict=True):
        one_round.fail(reply, step="critique", topic=topic, times=2)
    result = run(bench, one_round, *topics)

    assert result.status == "complete"
    assert [one_round.count(step="critique", topic=t) for t in topics] == [3] * len(topics)
    assert result.calls.retried == 2 * len(topics)


def test_failures_and_re_asks_do_not_multiply(bench: Bench, one_round: Endpoint) -> None:
    """A call whose failures and unusable answers alternate ends at its third failure."""
    unusable = faults.answer("no judgement")
    for reply in [faults.status(500), unusable, faults.status(500), unusable, faults.status(500)]:
        one_round.fail(reply, step="critique", topic=FAULTY)
    result = run(bench, one_round, FAULTY, OTHER)

    assert one_round.count(step="critique", topic=FAULTY) == 5
    error = error_of(result, FAULTY, one_round)
    assert (error.kind, error.attempts) == ("attempts_exhausted", 5)


def test_refusals_by_the_account_s_limits_cost_no_report(bench: Bench, one_round: Endpoint) -> None:
    """A plain 429 uses up no attempt, however often it comes."""
    one_round.fail(faults.rate_limited(), step="critique", topic=FAULTY, times=5)
    result = run(bench, one_round, FAULTY, OTHER)

    assert result.status == "complete"
    assert one_round.count(step="critique", topic=FAULTY) == 6
    assert result.calls.retried == 5


# One report, not retried -------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A fault, what becomes of the report, and what the message must say."""

    reply: Reply
    kind: str
    said: tuple[str, ...]
    requests: int = 1
    deadline_s: float = DEADLINE_S


ITEM: dict[str, Row] = {
    "context length": Row(
        faults.context_length_exceeded(), "call_rejected", ("context_length_exceeded",), 2
    ),
    "other 400": Row(faults.error(400, "Bad thing."), "call_rejected", ("400", "Bad thing."), 2),
    "413": Row(faults.error(413, "Too big."), "call_rejected", ("413", "Too big.")),
    "refusal": Row(faults.refusal(), "answer_refused", ("I can't help with that.", "reword")),
    "content filter": Row(faults.filtered(), "answer_refused", ("content filter", "reword")),
    "cut twice": Row(faults.cut_off(), "answer_truncated", ("16000", "32000", "raise"), 2),
    "endless body": Row(faults.endless(), "call_rejected", ("without end", "base URL")),
    "gzip bomb": Row(faults.gzip_bomb(), "call_rejected", ("without end", "base URL")),
    "output limit too large": Row(
        faults.error(
            400,
            "max_tokens is too large: 16000. This model supports at most 4096 completion tokens.",
            code="invalid_value",
            param="max_completion_tokens",
        ),
        "call_rejected",
        ("at most 4096", "max_output_tokens"),
        2,
    ),
    "hang": Row(faults.hang(), "call_timed_out", ("within 1 s", "raise the deadline"), 2, 1.0),
    "drip": Row(faults.drip(0.15), "call_timed_out", ("within 1 s", "raise the deadline"), 2, 1.0),
    "stall": Row(faults.stall(), "call_timed_out", ("within 1 s", "raise the deadline"), 2, 1.0),
}


# A limit that one refusal names holds for the model: each that names one is at an endpoint of its
# own, and "cut twice" at another.
@pytest.mark.parametrize("names", [[*ITEM][:3], [*ITEM][3:6], [*ITEM][6:9], [*ITEM][9:]])
def test_a_fault_that_no_repeat_cures_costs_one_report(
    bench: Bench, one_round: Endpoint, names: list[str]
) -> None:
    """The report fails with what was seen and what to do; nothing of the answer is kept."""
    topics = {name: f"On {name}." for name in names}
    for name, topic in topics.items():
        one_round.fail(ITEM[name].reply, step="critique", topic=topic, times=ITEM[name].requests)
    deadline_s = ITEM[names[0]].deadline_s
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = run(bench, one_round, *topics.values(), OTHER, deadline_s=deadline_s)

    assert result.status == "partial"
    assert report_on(result, OTHER).status == "published"
    for name, topic in topics.items():
        row = ITEM[name]
        assert one_round.count(step="critique", topic=topic) == row.requests
        error = error_of(result, topic, one_round)
        assert (error.kind, error.step, error.attempts) == (row.kind, "critique", row.requests)
        for words in row.said:
            assert words in error.message
    if deadline_s < DEADLINE_S:
        assert result.duration_s < 2 * deadline_s + PATIENCE_S  # each is asked once more
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 100_000  # KiB
    assert "max_completion_tokens" in one_round.requests[-1].body
    finish(bench, one_round, *topics.values(), OTHER, calls=2 * len(names))


def test_a_cut_answer_is_asked_for_again_with_a_larger_limit(
    bench: Bench, one_round: Endpoint
) -> None:
    """The whole answer is published; the cut one is nowhere."""
    one_round.fail(faults.cut_off(), step="draft", topic=FAULTY)
    result = run(bench, one_round, FAULTY)

    limits = [r.body["max_completion_tokens"] for r in one_round.requests if r.step == "draft"]
    assert limits == [16_000, 32_000]
    assert result.status == "complete"
    draft = bench.history(result, FAULTY)["drafts"][0]["text"]
    assert "## Conclusion" in draft
    assert result.usage.output_tokens == sum(r.output_tokens for r in one_round.requests)


ACCEPTED = ("fenced", "prose")
UNUSABLE = tuple(name for name in faults.CRITIQUES if name not in (*ACCEPTED, "empty"))
"""An empty text is no answer at all: it is retried, see `PASSING`."""


def test_every_unusable_critique_is_asked_for_again_twice_and_never_repaired(
    bench: Bench, one_round: Endpoint
) -> None:
    """One JSON object of the schema is accepted, bare, fenced or in prose; all else fails."""
    for name in (*ACCEPTED, *UNUSABLE):
        reply = faults.answer(faults.CRITIQUES[name])
        one_round.fail(reply, step="critique", topic=f"On {name}.", times=3)
    topics = {name: f"On {name}." for name in (*ACCEPTED, *UNUSABLE)}
    result = run(bench, one_round, *topics.values())

    statuses = {name: report_on(result, topic).status for name, topic in topics.items()}
    assert statuses == {
        **dict.fromkeys(ACCEPTED, "published"),
        **dict.fromkeys(UNUSABLE, "failed"),
    }
    for name in ACCEPTED:
        assert one_round.count(step="critique", topic=topics[name]) == 1
    for name in UNUSABLE:
        error = error_of(result, topics[name], one_round)
        assert (error.kind, error.attempts) == ("answer_unusable", 3)
        assert "asking 3 times" in error.message
        assert "run the same command again" in error.message
        asked = [r.body["messages"] for r in one_round.requests if r.topic == topics[name]][1:]
        assert [len(messages) for messages in asked] == [2, 4, 4]
        assert faults.CRITIQUES[name] == asked[1][2]["content"]
        assert "cannot be used" in asked[1][3]["content"]
    finish(bench, one_round, *topics.values(), calls=2 * len(UNUSABLE))


def test_an_unusable_critique_is_mended_by_asking_again(bench: Bench, one_round: Endpoint) -> None:
    """Told what was wrong, the critic answers properly and the report is published."""
    for name in UNUSABLE:
        reply = faults.answer(faults.CRITIQUES[name])
        one_round.fail(reply, step="critique", topic=f"On {name}.", times=2)
    result = run(bench, one_round, *(f"On {name}." for name in UNUSABLE))

    assert result.status == "complete"
    assert {r.score for r in result.reports} == {8}
    assert one_round.count(step="critique") == 3 * len(UNUSABLE)


def test_missing_usage_makes_the_cost_unknown_and_nothing_else(
    bench: Bench, one_round: Endpoint
) -> None:
    """A report with a call of unknown usage has an unknown cost; the other's is known."""
    one_round.fail(faults.no_usage(), step="critique", topic=FAULTY)
    prices = {"gpt-5-mini": {"input": "1", "output": "10"}}
    result = run(bench, one_round, FAULTY, OTHER, prices=prices)

    assert result.status == "complete"
    assert result.cost_usd is None
    assert report_on(result, FAULTY).cost_usd is None
    assert (report_on(result, OTHER).cost_usd or 0) > 0


# Fatal -------------------------------------------------------------------------------------------

QUOTAS = (
    "insufficient_quota",
    "monthly_spend_limit_exceeded",
    "credit_balance_exhausted",
    "weekly_usage_limit_exceeded",
)
TEXT = Reply(headers={"content-type": "text/plain"}, body=b"it works")
REFUSED: dict[str, Row] = {
    "401": Row(faults.unauthorized(), "key_rejected", ("key rejected by 127.0.0.1", "401")),
    "403": Row(faults.forbidden(), "key_rejected", ("key rejected by 127.0.0.1", "403")),
    "404": Row(
        faults.model_not_found(), "model_not_found", ("model gpt-5-mini not found at 127.0.0.1",)
    ),
    "405": Row(faults.error(405, "no such route"), "call_rejected", ("no such route",)),
}
FATAL: dict[str, Row] = {
    **{
        f"{name} in {where}": Row(
            faults.quota(name, where=where), "quota_exhausted", (name, "top it up")
        )
        for name, where in zip(QUOTAS, ("code", "type", "type", "code"), strict=True)
    },
    "429 with a long wait": Row(
        faults.rate_limited(300), "retry_later", ("wait 300 s", "resume after", "UTC")
    ),
    "html": Row(
        faults.html(), "not_an_endpoint", ("a proxy or login page answers at 127.0.0.1",), 2
    ),
    "text": Row(TEXT, "not_an_endpoint", ("a proxy or login page answers at 127.0.0.1",), 2),
}


@pytest.mark.parametrize("name", FATAL)
def test_a_fatal_fault_ends_the_batch_and_keeps_what_is_paid(
    bench: Bench, one_round: Endpoint, name: str
) -> None:
    """No request follows; the topic says why, the others are not started, nothing is lost."""
    row = FATAL[name]
    one_round.fail(row.reply, step="critique", topic=FAULTY, times=row.requests)
    result = run(bench, one_round, OTHER, FAULTY, THIRD, concurrency=1)

    assert result.status == "stopped"
    assert one_round.count(step="critique", topic=FAULTY) == row.requests
    assert (one_round.requests[-1].step, one_round.requests[-1].topic) == ("critique", FAULTY)
    error = error_of(result, FAULTY, one_round)
    assert (error.kind, error.step, error.attempts) == (row.kind, "critique", row.requests)
    for words in row.said:
        assert words in error.message
    assert result.error is not None
    assert result.error.kind == row.kind
    assert {report_on(result, t).status for t in (OTHER, THIRD)} <= {"published", "not_started"}
    paid = len(answered(one_round)) - (1 if row.reply.status == 200 else 0)
    finish(bench, one_round, OTHER, FAULTY, THIRD, calls=3 * CALLS - paid)


@pytest.mark.parametrize("name", [name for name in REFUSED if name != "405"])
def test_a_refusal_before_the_first_answer_ends_the_batch(
    bench: Bench, one_round: Endpoint, name: str
) -> None:
    """Key or model are wrong for all: one request is made, and no other."""
    row = REFUSED[name]
    one_round.fail(row.reply)
    result = run(bench, one_round, FAULTY, OTHER, THIRD, concurrency=1)
    assert result.status == "stopped"
    assert len(one_round.requests) == 1
    assert result.error is not None
    assert result.error.kind == row.kind
    for words in row.said:
        assert words in result.error.message


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_after_answers_concerns_one_topic(
    bench: Bench, one_round: Endpoint, name: str
) -> None:
    """A gateway refuses that prompt: its report fails with the endpoint's sentence."""
    one_round.fail(REFUSED[name].reply, step="critique", topic=FAULTY)
    result = run(bench, one_round, OTHER, FAULTY, THIRD, concurrency=1)
    assert result.status == "partial"
    error = error_of(result, FAULTY, one_round)
    assert error.kind == "call_rejected"
    assert name in error.message
    assert {report_on(result, topic).status for topic in (OTHER, THIRD)} == {"published"}


@pytest.mark.parametrize("name", REFUSED)
def test_equal_refusals_of_several_topics_in_a_row_end_the_batch(
    bench: Bench, one_round: Endpoint, name: str
) -> None:
    """Twenty topics are not asked for one after the other when three were refused alike.

    Each answer to another topic in between begins the row anew.
    """
    topics = [f"Subject {n:02}" for n in range(20)]
    one_round.fail(REFUSED[name].reply, times=None, when=lambda r: r.topic != OTHER)
    result = run(bench, one_round, OTHER, *topics, concurrency=1)
    assert result.status == "stopped"
    assert report_on(result, OTHER).status in ("published", "not_started")
    refused = {request.topic for request in one_round.requests} - {OTHER}
    others = one_round.count(topic=OTHER)  # 0: the first refusal came before any answer
    assert (3 if others else 1) <= len(refused) <= 3 + 2 * others <= 9
    assert sum(report.status == "failed" for report in result.reports) <= len(refused)


def test_a_report_whose_answers_are_kept_is_published_without_the_endpoint(
    bench: Bench, one_round: Endpoint
) -> None:
    """With a rejected key, what was answered before is still published."""
    run(bench, one_round, OTHER)
    one_round.fail(faults.unauthorized(), times=None)
    result = run(bench, one_round, FAULTY, OTHER, THIRD, concurrency=1)

    assert report_on(result, OTHER).status == "published"
    assert one_round.count(status=401) == 1
    assert sorted(r.status for r in result.reports) == ["failed", "not_started", "published"]


@pytest.mark.parametrize("status", [302, 307, 308])
def test_a_redirect_is_not_followed(bench: Bench, one_round: Endpoint, status: int) -> None:
    """Key and prompts do not go to another host."""
    with Endpoint() as elsewhere:
        one_round.fail(faults.redirect(f"{elsewhere.base_url}/chat/completions", status))
        result = run(bench, one_round, FAULTY, OTHER, concurrency=1)
        assert elsewhere.requests == []

    assert result.status == "stopped"
    error = error_of(result, FAULTY, one_round)
    assert (error.kind, error.attempts) == ("not_an_endpoint", 1)
    assert "not followed" in error.message
    finish(bench, one_round, FAULTY, OTHER, calls=2 * CALLS)


def test_a_refused_certificate_ends_the_batch(bench: Bench) -> None:
    """An endpoint with a certificate nobody trusts gets no request, and is never trusted anyway."""
    with Endpoint(tls=True) as endpoint:
        result = run(bench, endpoint, FAULTY, OTHER)
        assert endpoint.requests == []

    assert result.status == "stopped"
    assert result.error is not None
    assert (result.error.kind, result.error.attempts) == ("certificate_refused", 1)
    assert "SSL_CERT_FILE" in result.error.message


def test_a_refused_connection_ends_the_batch_at_first_contact(bench: Bench) -> None:
    """Nothing listens: the batch stops after three attempts and says what to check."""
    with Endpoint(scores=(8,)) as endpoint:
        port = int(endpoint.base_url.split(":")[2].split("/")[0])
    result = run(bench, endpoint, FAULTY, OTHER, concurrency=1)

    assert result.status == "stopped"
    error = error_of(result, FAULTY, endpoint)
    assert (error.kind, error.attempts) == ("endpoint_down", 3)
    assert "first contact failed" in error.message
    assert "check the base URL" in error.message
    assert report_on(result, OTHER).status == "not_started"
    assert result.cost_usd == 0
    with Endpoint(scores=(8,), port=port) as endpoint:
        finish(bench, endpoint, FAULTY, OTHER, calls=2 * CALLS)


def test_an_unknown_host_ends_the_batch_at_first_contact(
    bench: Bench, one_round: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that DNS does not know is a refused connection."""

    def unknown(host: Any, *_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    base_url, resolve = one_round.base_url, socket.getaddrinfo
    one_round.base_url = "https://llm.invalid/v1"
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *a, **k: (unknown if "invalid" in str(host) else resolve)(host, *a, **k),
    )
    result = run(bench, one_round, FAULTY)
    one_round.base_url = base_url

    assert result.status == "stopped"
    assert result.error is not None
    assert (result.error.kind, result.error.attempts) == ("endpoint_down", 3)
    assert "Name or service not known" in result.error.message


@pytest.mark.parametrize("delivery", ["hang", "drip"])
def test_no_answer_at_first_contact_ends_the_batch_at_the_deadline(
    bench: Bench, delivery: str
) -> None:
    """An endpoint that never answers costs one deadline, not one for each topic."""
    with Endpoint() as endpoint:
        endpoint.fail(faults.hang() if delivery == "hang" else faults.drip(0.15), times=None)
        result = run(bench, endpoint, *(f"Subject {n}" for n in range(20)), deadline_s=1)
        assert len(endpoint.requests) <= 8

    assert result.status == "stopped"
    assert result.error is not None
    assert result.error.kind == "endpoint_down"
    assert "within 1 s" in result.error.message


# Many topics, one endpoint that is down ----------------------------------------------------------


@pytest.mark.parametrize("reply", [faults.reset(), faults.status(503), faults.no_choices()])
def test_an_endpoint_that_is_down_gets_few_requests(bench: Bench, reply: Reply) -> None:
    """Of 50 topics, no more calls fail than make the circuit open, and those under way.

    Never answered: the first call that is given up opens it, so at most 8 calls of 3 attempts.
    Answered with errors: the fifth in a row does, so at most 5 + 7 calls of 3 attempts.
    """
    with Endpoint() as endpoint:
        endpoint.fail(reply, times=None)
        result = run(bench, endpoint, *(f"Subject {n}" for n in range(50)))
        requests = len(endpoint.requests)

    assert result.status == "stopped"
    assert result.error is not None
    assert result.error.kind == "endpoint_down"
    assert requests <= (8 if reply.delivery == "reset" else 12) * 3
    statuses = [r.status for r in result.reports]
    assert statuses.count("not_started") >= 38
    assert "published" not in statuses


def test_a_wide_batch_hardly_asks_a_failing_endpoint_more_often(bench: Bench) -> None:
    """At 64 calls at once, failures in a row narrow the way to one request at a time."""
    with Endpoint() as endpoint:
        endpoint.fail(faults.status(500), times=None)
        result = run(bench, endpoint, *(f"Subject {n}" for n in range(100)), concurrency=64)
        requests = len(endpoint.requests)

    assert result.error is not None
    assert result.error.kind == "endpoint_down"
    assert requests <= 64 + 5 * 2


def test_an_endpoint_that_goes_down_gets_few_requests_more(bench: Bench) -> None:
    """In mid-run the circuit opens as well; what was answered is not asked again."""
    down = True

    def script(request: Request) -> Reply | None:
        return faults.status(500) if down and request.number > 20 else None

    with Endpoint(scores=(8,), script=script) as endpoint:
        topics = [f"Subject {n}" for n in range(16)]
        result = run(bench, endpoint, *topics)
        assert result.status == "stopped"
        assert endpoint.count(status=500) <= (5 + 7) * 3
        down = False
        finish(bench, endpoint, *topics, calls=16 * CALLS - 20)


# What an endpoint asks of everybody --------------------------------------------------------------


@pytest.mark.parametrize("form", ["seconds", "date", "milliseconds", "limits"])
def test_a_wait_that_is_asked_for_holds_for_every_caller(
    bench: Bench, one_round: Endpoint, form: str
) -> None:
    """With Retry-After in any form, or a used-up limit, nobody sends before the time is over."""
    limits = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "400ms"}
    said: dict[str, Callable[[], Reply]] = {
        "seconds": lambda: faults.rate_limited(1),
        "date": lambda: faults.rate_limited(datetime.now(UTC) + timedelta(seconds=2)),
        "milliseconds": lambda: faults.rate_limited(retry_after_ms=400),
        "limits": lambda: Reply(headers=limits),
    }
    until: list[float] = []

    def script(request: Request) -> Reply | None:
        if request.number != 2:
            return None
        reply = said[form]()
        wait = {"seconds": 1.0, "milliseconds": 0.4, "limits": 0.4}.get(form)
        if wait is None:  # whole seconds of the wall clock
            wait = int(datetime.now(UTC).timestamp()) + 2 - time.time()
        until.append(time.monotonic() + wait)
        return reply

    one_round._script = script
    result = run(bench, one_round, FAULTY, OTHER, THIRD, concurrency=1)

    assert result.status == "complete"
    assert one_round.count(status=429) == (0 if form == "limits" else 1)
    assert min(r.arrived for r in one_round.requests[2:]) >= until[0] - 0.01


def test_a_used_up_limit_of_hours_does_not_hold_up_the_batch(
    bench: Bench, one_round: Endpoint
) -> None:
    """A reset that lies beyond the deadline is left to the endpoint's own refusal."""
    limits = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6h0m0s"}
    one_round.fail(Reply(headers=limits), times=None)

    assert run(bench, one_round, FAULTY, OTHER).status == "complete"


# What endpoints differ in ------------------------------------------------------------------------


def test_json_mode_is_learnt_once_for_an_endpoint(bench: Bench) -> None:
    """An endpoint without schemas refuses one request; all others use JSON mode."""
    with Endpoint(script=faults.no_json_schema) as endpoint:
        result = run(bench, endpoint, FAULTY, OTHER, concurrency=1)
        again = run(bench, endpoint, THIRD)
        critiques = [r for r in endpoint.requests if r.step == "critique"]

    assert (result.status, again.status) == ("complete", "complete")
    assert [r.status for r in endpoint.requests].count(400) == 1
    modes = [r.body["response_format"]["type"] for r in critiques]
    assert modes == ["json_schema"] + ["json_object"] * (len(critiques) - 1)
    assert all('"score"' in r.body["messages"][0]["content"] for r in critiques[1:])


def test_json_mode_is_not_lost_when_many_find_out_at_once(bench: Bench) -> None:
    """Refusals of requests sent before the lesson teach nothing more."""
    with Endpoint(script=faults.no_json_schema, latency=0.05) as endpoint:
        result = run(bench, endpoint, *(f"Subject {n}" for n in range(8)))
        late = [r for r in endpoint.requests if r.step == "critique" and r.status == 200]

    assert result.status == "complete"
    assert endpoint.count(status=400) <= 8
    assert {r.body["response_format"]["type"] for r in late} == {"json_object"}


def test_max_tokens_is_learnt_once_for_an_endpoint(bench: Bench) -> None:
    """An endpoint that knows only `max_tokens` refuses one request."""
    with Endpoint(script=faults.no_max_completion_tokens) as endpoint:
        result = run(bench, endpoint, FAULTY, OTHER, concurrency=1)

    assert result.status == "complete"
    assert endpoint.count(status=400) == 1
    assert all("max_tokens" in r.body for r in endpoint.requests[1:])


# Another endpoint --------------------------------------------------------------------------------


def test_a_fallback_serves_when_the_first_endpoint_rejects_the_key(
    bench: Bench, one_round: Endpoint
) -> None:
    """The second endpoint gets the whole batch, and the manifest says so."""
    with Endpoint(scores=(8,)) as second:
        saved = LLMEndpoint(base_url=second.base_url, api_key="sk-second-0123456789")  # pyright: ignore
        asyncio.run(saved.asave("second", overwrite=True))
        one_round.fail(faults.unauthorized(), times=None)
        result = run(
            bench,
            one_round,
            FAULTY,
            OTHER,
            concurrency=1,
            fallbacks=[{"model": "other-model", "endpoint": "second"}],
        )

        assert result.status == "complete"
        assert len(one_round.requests) == 1
        assert len(second.requests) == 2 * CALLS
        assert {r.headers["authorization"] for r in second.requests} == {
            "Bearer sk-second-0123456789"
        }
        for manifest in bench.manifests(result):
            assert {(s.endpoint, s.model) for s in manifest.steps} == {
                (second.base_url, "other-model")
            }


def test_a_fallback_model_serves_only_the_step_whose_model_is_gone(
    bench: Bench, one_round: Endpoint
) -> None:
    """A critic that does not exist is replaced; writer and summary stay with their model."""
    one_round.fail(faults.model_not_found(), times=None, when=lambda r: r.body["model"] == "gone")
    result = run(bench, one_round, FAULTY, critic_model="gone", fallbacks=[{"model": "gpt-5-mini"}])

    assert result.status == "complete"
    assert one_round.count(status=404) == 1
    [manifest] = bench.manifests(result)
    assert {s.model for s in manifest.steps} == {"gpt-5-mini"}


def test_a_fallback_after_a_down_endpoint_has_attempts_of_its_own(
    bench: Bench, one_round: Endpoint
) -> None:
    """Three attempts failed at the first; two failures at the second still end well."""
    with Endpoint() as first:
        pass
    saved = LLMEndpoint(base_url=one_round.base_url, api_key="none")  # pyright: ignore
    asyncio.run(saved.asave("standby", overwrite=True))
    one_round.fail(faults.status(500), step="draft", times=2)
    result = run(
        bench,
        first,
        FAULTY,
        concurrency=1,
        fallbacks=[{"model": "gpt-5-mini", "endpoint": "standby"}],
    )

    assert result.status == "complete"
    assert one_round.count(step="draft") == 3
