"""Waits and limits in headers, in every spelling."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from prefect_llm_reports.tasks.llm.hints import retry_after_s, used_up_s

NOW = datetime(2025, 1, 1, 12, 0, 0, tzinfo=UTC)


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
