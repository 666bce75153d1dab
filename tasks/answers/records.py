"""Records of the store: an answer sealed under a checksum, read back or refused."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from prefect.serializers import JSONSerializer

from prefect_llm_reports.tasks.contract.calls import Answer
from prefect_llm_reports.tasks.contract.records import canonical_json, digest

PLAIN_JSON = JSONSerializer(object_encoder=None, object_decoder=None)
"""Plain values: no record names a class, and none is looked up when a record is read."""


SERIALIZER = PLAIN_JSON.model_dump(mode="json")


KEY = re.compile(r"[0-9a-f]{64}")


def sealed(answer: Answer, kept_at: float | None = None) -> dict[str, Any]:
    """Seal an answer: a plain value with the time it was kept and a checksum over both.

    Args:
        answer: The accepted answer.
        kept_at: Unix time; None: now.
    """
    value = answer.model_dump(mode="json")
    kept = int(time.time() if kept_at is None else kept_at)
    return {"answer": value, "kept_at": kept, "sha256": digest(canonical_json([value, kept]))}


def unsealed(value: Any) -> tuple[Answer, int]:
    """Open a sealed value: the answer, and the Unix time at which it was kept.

    Raises:
        ValueError: It was not made by `sealed`, or was altered since.
    """
    match value:
        case {"answer": answer, "kept_at": int(kept_at), "sha256": checksum, **others} if (
            not others
        ):
            if digest(canonical_json([answer, kept_at])) != checksum:
                raise ValueError("checksum does not match")
            return Answer.model_validate(answer), kept_at
        case _:
            raise ValueError("not a sealed answer")


def checked_record(path: str, record: bytes) -> str:
    """Check a record, and return the sealed answer in it.

    Raises:
        ValueError: The record is not ours, or not for this key.
    """
    found: Any = json.loads(record)
    match found:
        case {
            "metadata": {"serializer": named, "storage_key": key},
            "result": str(result),
            **others,
        } if not others:
            if not isinstance(named, dict) or {**SERIALIZER, **named} != SERIALIZER:
                raise ValueError("written with another serializer")
            if key != path:
                raise ValueError("kept under another key")
            return result
        case _:
            raise ValueError("not one of our records")


def is_answer(path: str, record: bytes) -> bool:
    """Whether a record is ours and holds an answer; that of a cancelled step holds none."""
    try:
        unsealed(json.loads(checked_record(path, record)))
    except (ValueError, RecursionError):
        return False
    return True
