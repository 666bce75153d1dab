"""What response headers say about limits: how long to wait, and which limit is used up.

Sources: RFC 9110 for `Retry-After`; OpenAI and compatible servers for the rest.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_DURATION = re.compile(
    r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?", re.ASCII
)


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds the endpoint asks to wait, by `retry-after-ms` or `Retry-After`; None: it does not.

    Args:
        headers: The response's headers, by names in lower case.
        now: The time that dates are compared with; None: the present.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    said = headers.get("retry-after")
    if said is None:
        return None
    if (seconds := _number(said)) is not None:
        return seconds
    try:
        until = parsedate_to_datetime(said)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - (now or datetime.now(UTC))).total_seconds())


def used_up_s(headers: Mapping[str, str]) -> float:
    """Seconds until a used-up rate limit has room again, by the `x-ratelimit-*` headers; else 0."""
    return max(
        _duration_s(headers.get(f"x-ratelimit-reset-{kind}", ""))
        if headers.get(f"x-ratelimit-remaining-{kind}") == "0"
        else 0.0
        for kind in ("requests", "tokens")
    )


def _duration_s(said: str) -> float:
    """Seconds in a duration as `6m0s`, `20ms` or `12`; 0 when it is none."""
    said = said.strip()
    if (seconds := _number(said)) is not None:
        return seconds
    match = _DURATION.fullmatch(said)
    if not match:
        return 0.0
    hours, minutes, secs, millis = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + secs + millis / 1000


def _number(said: str | None) -> float | None:
    try:
        value = float(said) if said is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
