"""Waits and limits in headers, in every spelling."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from prefect_llm_reports.tasks.llm.hints import Limit, limits_of, retry_after_s

NOW = datetime(2025, 1, 1, 12, 0, 0, tzinfo=UTC)


def used_up_s(headers: Mapping[str, str]) -> float:
    """Seconds until every used-up limit is whole again; 0: none is used up, or none says when."""
    return max(
        (limit.reset_s or 0.0 for limit in limits_of(headers) if not limit.remaining), default=0.0
    )


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "3"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "3"}, 3),
        ({"retry-after": "Wed, 01 Jan 2025 12:01:30 GMT"}, 90),
        ({"retry-after": "Wed, 01 Jan 2025 12:01:30 -0000"}, 90),
        ({"retry-after": "Wed, 01 Jan 2025 11:00:00 GMT"}, 0),
        *(({"retry-after": odd}, None) for odd in ("-1", "nan", "inf", "later", "", "1e999")),
    ],
)
def test_the_wait_is_read_in_all_three_forms(
    headers: dict[str, str], seconds: float | None
) -> None:
    """A wait is read from milliseconds, seconds or a date; nonsense is no wait."""
    assert retry_after_s(headers, NOW) == seconds


def used_up(reset: str, left: str = "0", kind: str = "tokens") -> dict[str, str]:
    return {f"x-ratelimit-remaining-{kind}": left, f"x-ratelimit-reset-{kind}": reset}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        (used_up("6m0s"), 360),
        (used_up("1h2m3.5s"), 3723.5),
        (used_up("20ms", kind="requests"), 0.02),
        (used_up("2m59.56s"), 179.56),
        (used_up("12"), 12),
        (used_up("12s", left="1"), 0),
        (used_up("1.2.3s"), 0),
        (used_up(""), 0),
        (used_up("soon"), 0),
        (used_up("1s") | used_up("2s", kind="requests"), 2),
    ],
)
def test_a_used_up_limit_tells_how_long(headers: dict[str, str], seconds: float) -> None:
    """Only a limit that is used up asks for a wait, in any of the forms in use."""
    assert used_up_s(headers) == pytest.approx(seconds)


DATE = "Wed, 01 Jan 2025 12:10:00 GMT"
"""The endpoint's clock goes ten minutes fast."""

GEMINI = {
    "error": {
        "code": 429,
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"},
        ],
    }
}


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "2s"}, None, 2),
        ({"retry-after": "1m30s"}, None, 90),
        ({"retry-after": "350ms"}, None, 0.35),
        ({"retry-after": "2 seconds"}, None, 2),
        ({"retry-after": "PT4S"}, None, 4),
        ({"retry-after-ms": "1200.5"}, None, 1.2005),
        ({"x-ms-retry-after-ms": "40"}, None, 0.04),
        ({"retry-after": "Wed, 01 Jan 2025 12:10:02 GMT", "date": DATE}, None, 2),
        ({"retry-after": "2025-01-01T12:10:03Z", "date": DATE}, None, 3),
        ({"retry-after": "1735733404", "date": DATE}, None, 4),
        ({"retry-after": "1735733405000", "date": DATE}, None, 5),
        ({}, GEMINI, 7),
        ({}, [GEMINI], 7),
        ({}, {"error": {"details": [{"retryDelay": "0.25s"}]}}, 0.25),
        ({}, {"error": {"details": [{"retry_delay": {"seconds": 3, "nanos": 500000000}}]}}, 3.5),
        ({}, {"detail": {"retry_after": 12}}, 12),
        ({}, {"retry_after_ms": 500}, 0.5),
        ({}, {"error": {"message": "Rate limit reached. Please try again in 6.2s. Visit"}}, 6.2),
        ({}, {"error": {"message": "Please try again in 1m2s."}}, 62),
        ({}, {"error": {"message": "try again in 120ms"}}, 0.12),
        ({}, {"error": "Too many requests, retry after 5 seconds"}, 5),
        ({}, {"message": "Please wait 2 minutes and 3 s"}, 123),
        ({}, {"error": {"message": "Your quota will reset after 4s."}}, 4),
        ({}, {"error": {"message": "Next request allowed in 3.2 seconds"}}, 3.2),
        ({}, {"error": {"message": "Try again in approximately 7 seconds"}}, 7),
        ({}, {"error": {"message": "Retry in 1 hour"}}, 3600),
        ({}, {"error": {"message": "Please retry in 8.5s."}}, 8.5),
        ({}, {"error": {"message": "You asked for 300 tokens"}}, None),
        ({"retry-after": "3"}, GEMINI, 3),
    ],
)
def test_the_wait_is_read_in_every_spelling(
    headers: dict[str, str], body: object, seconds: float | None
) -> None:
    """Units, dates by the endpoint's own clock, Unix time, and bodies of several makers."""
    assert retry_after_s(headers, body=body) == (
        None if seconds is None else pytest.approx(seconds)
    )


@pytest.mark.parametrize(
    ("headers", "limits"),
    [
        (
            {
                "x-ratelimit-limit-requests": "600",
                "x-ratelimit-remaining-requests": "599",
                "x-ratelimit-reset-requests": "100ms",
                "x-ratelimit-limit-tokens": "900000",
                "x-ratelimit-remaining-tokens": "12",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            [
                Limit("requests", "requests", 600, 599, 0.1),
                Limit("tokens", "tokens", 900_000, 12, 360),
            ],
        ),
        (
            {
                "anthropic-ratelimit-input-tokens-limit": "40000",
                "anthropic-ratelimit-input-tokens-remaining": "100",
                "anthropic-ratelimit-input-tokens-reset": "2025-01-01T12:10:30Z",
            },
            [Limit("input-tokens", "tokens", 40_000, 100, 30)],
        ),
        (
            {
                "x-ratelimit-limit": "20",
                "x-ratelimit-remaining": "0",
                "x-ratelimit-reset": "1735733460000",
            },
            [Limit("requests", "requests", 20, 0, 60)],
        ),
        (
            {"x-ratelimit-limit-req-minute": "60", "x-ratelimit-remaining-req-minute": "3"},
            [Limit("req-minute", "requests", 60, 3, None, 60)],
        ),
        (
            {"x-ratelimit-limit-tokens-day": "100", "x-ratelimit-remaining-tokens-day": "7"},
            [Limit("tokens-day", "tokens", 100, 7, None, 86_400)],
        ),
        (
            {
                "ratelimit-limit": "100, 100;w=60",
                "ratelimit-remaining": "5",
                "ratelimit-reset": "9",
            },
            [Limit("requests", "requests", 100, 5, 9, 60)],
        ),
        (
            {"ratelimit": '"default";r=50;t=30', "ratelimit-policy": '"default";q=100;w=60'},
            [Limit("default", "requests", 100, 50, 30, 60)],
        ),
        (
            {"ratelimitbysize-limit": "500", "ratelimitbysize-remaining": "1"},
            [Limit("bysize", "tokens", 500, 1)],
        ),
        (
            {"llm_provider-x-ratelimit-remaining-requests": "4", "x-ratelimit-over-limit": "no"},
            [Limit("requests", "requests", None, 4)],
        ),
        (
            {
                "x-ratelimit-limit-tokens": "1000",
                "x-ratelimit-remaining-tokens": "10",
                "x-ratelimit-renewalperiod-tokens": "60",
            },
            [Limit("tokens", "tokens", 1000, 10, None, 60)],
        ),
        ({"x-request-id": "1", "content-length": "3"}, []),
    ],
)
def test_limits_are_read_in_every_spelling(headers: dict[str, str], limits: list[Limit]) -> None:
    """Limit, remaining and reset of OpenAI, Anthropic, Mistral, the IETF, and others."""
    assert limits_of({**headers, "date": DATE}) == limits
