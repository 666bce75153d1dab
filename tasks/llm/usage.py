"""Tokens that a response body names, read without trust."""

from __future__ import annotations

from typing import Any, TypeGuard

from prefect_llm_reports.tasks.contract.records import Usage
from prefect_llm_reports.tasks.llm.response import as_object


def usage_of(body: Any) -> Usage | None:
    """Tokens named in a response body, also of a failed request; None when it names none.

    Counts are believed only as whole numbers that are not negative.
    """
    usage = as_object(as_object(body).get("usage"))
    sent, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not (_is_count(sent) and _is_count(written)):
        return None
    cached = as_object(usage.get("prompt_tokens_details")).get("cached_tokens")
    return Usage(
        input_tokens=sent,
        output_tokens=written,
        cached_input_tokens=cached if _is_count(cached) and cached <= sent else 0,
    )


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int and value >= 0
