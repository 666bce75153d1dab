"""Limits that a response names: the wait, the units that are left, the time of the next ones.

Sources: RFC 9110 for `Retry-After`, the IETF's drafts of `RateLimit`, and the headers and bodies of
OpenAI, Azure, Anthropic, Groq, Mistral, Gemini, OpenRouter, Together, Cerebras and LiteLLM. Pure
reading. Not here: what follows from it (`llm.account`).
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, cast

from prefect_llm_reports.tasks.llm.response import as_object

_UNITS_S = {
    **dict.fromkeys(("ms", "msec", "msecs", "millisecond", "milliseconds", "millis"), 0.001),
    **dict.fromkeys(("us", "µs", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ns", "nanosecond", "nanoseconds"), 1e-9),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
}
_PART = r"\d+(?:\.\d+)?\s*(?:[a-zµ]+)"
_AND = r"(?:[\s,]|\band\b)*"
_PARTS = re.compile(rf"(\d+(?:\.\d+)?)\s*([a-zµ]+){_AND}")
_ISO_DURATION = re.compile(r"p(?:(\d+)d)?t?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")
_IN_TEXT = re.compile(
    r"(?:(?:try|retry|request|send)\w*(?:\s+\w+){0,3}?\s+(?:again\s+)?(?:in|after)"
    r"|(?:wait|(?:available|allowed|possible)(?:\s+again)?(?:\s+(?:in|after))?"
    r"|resets?(?:\s+(?:in|after))?|retry[-_ ]?after))"
    r"(?:\s+(?:for|at\s+least|about|around|approx\w*\.?|roughly))?"
    rf"[\s:=~]+({_PART}(?:{_AND}{_PART})*|\d+(?:\.\d+)?)",
    re.I,
)
_EPOCH_S, _EPOCH_MS = 1e9, 1e12
_LONGEST_TEXT = 2000
"""Characters of a message that are searched for a wait."""

_KINDS = {
    **dict.fromkeys(("requests", "request", "req", "reqs", "rpm", "rpd", "rps"), "requests"),
    **dict.fromkeys(("tokens", "token", "tok", "tpm", "tpd", "bysize"), "tokens"),
}
_WINDOWS_S = {
    **dict.fromkeys(("second", "1s", "rps"), 1.0),
    **dict.fromkeys(("minute", "1m", "rpm", "tpm"), 60.0),
    **dict.fromkeys(("hour", "1h"), 3600.0),
    **dict.fromkeys(("day", "1d", "rpd", "tpd"), 86_400.0),
    "month": 2_592_000.0,
}
_RESETS = frozenset({"resetat", "resetsat", "resettime", "nextaccesstime"})
"""Fields of an error body that name a time, without their underscores."""
_FIELDS = frozenset({"limit", "remaining", "reset", "renewalperiod"})


class Limit(NamedTuple):
    """One limit of an account, as far as a response tells it.

    Attributes:
        name: What the endpoint calls it; equal in every response.
        kind: `requests` or `tokens`.
        limit: Units in one window; None: not told.
        remaining: Units that are left; None: not told.
        reset_s: Seconds until the limit is whole again; None: not told.
        window_s: Seconds of its window; None: not told.
    """

    name: str
    kind: str
    limit: float | None = None
    remaining: float | None = None
    reset_s: float | None = None
    window_s: float | None = None


def retry_after_s(
    headers: Mapping[str, str], now: datetime | None = None, body: Any = None
) -> float | None:
    """Seconds that the endpoint asks to wait; None: it does not ask.

    Args:
        headers: The response's headers, by names in lower case.
        now: The time that dates are compared with; None: the response's own `Date`, else the
            present.
        body: The response's body as JSON: Gemini's `retryDelay`, and waits in its message.
    """
    for name in ("retry-after-ms", "x-ms-retry-after-ms", "x-retry-after-ms"):
        said = headers.get(name, "")
        if (milliseconds := _number(said)) is not None:
            return milliseconds / 1000
        if said and (seconds := duration_s(said)) is not None:
            return seconds
    for name in ("retry-after", "x-retry-after"):
        if (seconds := _moment_s(headers.get(name), headers, now)) is not None:
            return seconds
    return _asked_in(body, headers, now) if body is not None else None


def limits_of(headers: Mapping[str, str], now: datetime | None = None) -> list[Limit]:
    """The limits that a response names, in whatever spelling.

    Args:
        headers: The response's headers, by names in lower case.
        now: The time that dates are compared with; None: the response's own `Date`, else the
            present.
    """
    found: dict[str, dict[str, float]] = {}
    for header, said in headers.items():
        if "limit" not in header:
            continue
        if header in ("ratelimit", "ratelimit-policy"):
            _structured(said, found)
            continue
        words = _words(header)
        fields = [word for word in words if word in _FIELDS]
        if not fields:
            continue
        rest = [word for word in words if word not in _FIELDS]
        of_it = found.setdefault("-".join(rest) or "requests", {})
        if fields[-1] == "reset":
            value = _moment_s(said, headers, now)
        else:
            value = _number(said.split(",")[0].split(";")[0])
            if fields[-1] == "limit" and (window := re.search(r"\bw=(\d+)", said)):
                of_it["window"] = float(window[1])
        if value is not None:
            of_it[fields[-1]] = value
    return [limit for name, of_it in found.items() if (limit := _limit(name, of_it))]


def duration_s(said: str) -> float | None:
    """Seconds in a duration as `6m0s`, `120ms`, `1.5 s`, `2 minutes`, `PT1M` or `12`; else None."""
    said = said.strip().lower()
    if (seconds := _number(said)) is not None:
        return seconds
    total, at = 0.0, 0
    for part in _PARTS.finditer(said):
        unit = _UNITS_S.get(part[2])
        if part.start() != at or unit is None:
            break
        total += float(part[1]) * unit
        at = part.end()
    if said and at == len(said):
        return total if math.isfinite(total) else None
    match = _ISO_DURATION.fullmatch(said)
    if not match or not any(match.groups()):
        return None
    days, hours, minutes, seconds_ = (float(part or 0) for part in match.groups())
    return days * 86_400 + hours * 3600 + minutes * 60 + seconds_


def _moment_s(said: str | None, headers: Mapping[str, str], now: datetime | None) -> float | None:
    """Seconds until what a header names: a duration, a date, or seconds of the Unix clock."""
    if said is None or len(said) > 100:
        return None
    if (number := _number(said)) is not None and number < _EPOCH_S:
        return number
    if (span := duration_s(said)) is not None and number is None:
        return span
    if number is not None:
        until = number / 1000 if number >= _EPOCH_MS else number
    elif (date := _date(said)) is not None:
        until = date.timestamp()
    else:
        return None
    own = now or _date(headers.get("date", ""))
    return max(0.0, until - (own.timestamp() if own else time.time()))


def _date(said: str) -> datetime | None:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            date = read(said.strip())
            date = date if date.tzinfo else date.replace(tzinfo=UTC)
            date.timestamp()
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
        return date
    return None


def _asked_in(body: Any, headers: Mapping[str, str], now: datetime | None) -> float | None:
    """Seconds to wait that an error body names: `retryDelay`, `retry_after`, or in words.

    A gateway may quote the headers of the server behind it: `metadata.headers`.
    """
    texts: list[str] = []
    todo: list[Any] = [body]
    for _ in range(200):
        if not todo:
            break
        value = todo.pop(0)
        if isinstance(value, list):
            todo += cast("list[Any]", value)[:50]
        elif isinstance(value, str):
            texts.append(value[:_LONGEST_TEXT])
        for name, part in as_object(value).items():
            plain = str(name).lower().replace("_", "").replace("-", "")
            if plain in ("retrydelay", "retryafter", "retryafterseconds", "retryafterms"):
                seconds = _told_s(part)
                if seconds is not None:
                    return seconds / 1000 if plain.endswith("ms") else seconds
            moment = str(part) if isinstance(part, str | int | float) else None
            if plain in _RESETS and (until := _moment_s(moment, headers, now)) is not None:
                return until
            if plain == "headers" and (seconds := _quoted_s(as_object(part), headers, now)):
                return seconds
            todo.append(part)
    for text in texts:
        if (match := _IN_TEXT.search(text)) and (seconds := duration_s(match[1])) is not None:
            return seconds
    return None


def _quoted_s(
    quoted: Mapping[str, Any], headers: Mapping[str, str], now: datetime | None
) -> float | None:
    """Seconds to wait for the limits that are used up, as quoted headers say."""
    said = {"date": headers.get("date", "")}
    said |= {str(name).lower(): str(value) for name, value in quoted.items()}
    if (seconds := retry_after_s(said, now)) is not None:
        return seconds
    used_up = (limit for limit in limits_of(said, now) if not limit.remaining)
    return max((limit.reset_s or 0.0 for limit in used_up), default=0.0) or None


def _told_s(part: Any) -> float | None:
    if isinstance(part, bool):
        return None
    if isinstance(part, (int, float, str)):
        return duration_s(str(part))
    fields = as_object(part)  # a protobuf duration: {"seconds": 7, "nanos": 500000000}
    seconds, nanos = fields.get("seconds", 0), fields.get("nanos", 0)
    if not fields.keys() & {"seconds", "nanos"}:
        return None
    return (_number(str(seconds)) or 0) + (_number(str(nanos)) or 0) / 1e9


def _words(header: str) -> list[str]:
    """The words of a header's name that say which limit it is, and what of it."""
    name = header.removeprefix("llm_provider-").removeprefix("x-").removeprefix("anthropic-")
    name = re.sub(r"^rate-?limit(bysize)?-?", r"\1-", name)
    name = re.sub(r"^token-?limit-?", "tokens-", name)
    if name == header.removeprefix("llm_provider-").removeprefix("x-"):
        return []  # it speaks of something else
    return [word for word in name.split("-") if word]


def _limit(name: str, of_it: Mapping[str, float]) -> Limit | None:
    if not of_it.keys() & {"limit", "remaining"}:
        return None
    words = name.split("-")
    kind = next((_KINDS[word] for word in words if word in _KINDS), "requests")
    window = next((_WINDOWS_S[word] for word in words if word in _WINDOWS_S), None)
    return Limit(
        name=name,
        kind=kind,
        limit=of_it.get("limit"),
        remaining=of_it.get("remaining"),
        reset_s=of_it.get("reset"),
        window_s=of_it.get("renewalperiod") or of_it.get("window") or window,
    )


def _structured(said: str, found: dict[str, dict[str, float]]) -> None:
    """Read `RateLimit: "default";r=50;t=30` and `RateLimit-Policy: "default";q=100;w=60`."""
    letters = {"r": "remaining", "t": "reset", "q": "limit", "w": "window"}
    words = {"limit": "limit", "remaining": "remaining", "reset": "reset"}
    for item in said.split(",") if ";" in said else [said.replace(",", ";")]:
        first, *more = item.split(";")
        name = "requests" if "=" in first else first.strip().strip('"') or "requests"
        of_it = found.setdefault(name, {})
        for part in (first, *more):
            key, _, value = part.strip().partition("=")
            field = letters.get(key) or words.get(key)
            if field and (number := _number(value)) is not None:
                of_it[field] = number


def _number(said: str | None) -> float | None:
    try:
        value = float(said) if said is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
