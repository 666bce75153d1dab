"""What servers answer, as their users report it: one row a spelling, read into what it means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from prefect_llm_reports.tasks.contract import errors
from prefect_llm_reports.tasks.llm.replies import read_reply
from prefect_llm_reports.tasks.llm.response import Response
from prefect_llm_reports.tasks.llm.size_limits import TooLarge
from prefect_llm_reports.tasks.llm.unsupported import Unsupported

Row = dict[str, Any]
ROWS: dict[str, list[Row]] = yaml.safe_load(
    (Path(__file__).parent / "replies_by_server.yaml").read_text(encoding="utf-8")
)
MEANS: dict[str, type[errors.CallError]] = {
    "withheld": errors.AnswerRefused,
    "prompt": errors.CallRejected,
    "part": Unsupported,
    "size": TooLarge,
    "throttle": errors.EndpointOverloaded,
    "overloaded": errors.EndpointOverloaded,
    "away": errors.EndpointUnavailable,
    "quota": errors.QuotaExhausted,
    "key": errors.KeyRejected,
    "model": errors.ModelNotFound,
}


def response(row: Row) -> Response:
    body = row.get("text") or json.dumps(row["body"], ensure_ascii=False)
    return Response(row.get("status", 200), row.get("headers", {}), body.encode())


def rows(*kinds: str) -> list[Any]:
    return [pytest.param(kind, row, id=row["from"]) for kind in kinds for row in ROWS[kind]]


@pytest.mark.parametrize(("kind", "row"), rows("answer", "cut"))
def test_an_answer_is_found_in_whatever_envelope(kind: str, row: Row) -> None:
    """The text of a whole answer, or that it was cut."""
    reply = read_reply(response(row), "h", "m")
    assert reply.truncated == (kind == "cut")
    assert reply.truncated or reply.text.strip() == row["answer"]


@pytest.mark.parametrize(("kind", "row"), rows(*MEANS))
def test_a_refusal_is_what_it_says(kind: str, row: Row) -> None:
    """Its class, and the wait, the part or the limit that it names."""
    with pytest.raises(errors.CallError) as raised:
        read_reply(response(row), "h", "m")
    error = raised.value
    assert type(error) is MEANS[kind]
    if isinstance(error, errors.EndpointOverloaded):
        assert error.limited == (kind == "throttle")
    if isinstance(error, Unsupported) and "part" in row:
        assert error.parameter == row["part"]
    if isinstance(error, TooLarge):
        for name, tokens in row.get("names", {}).items():
            assert getattr(error, name) == tokens
    if row.get("wait_s") == "days":
        assert (error.retry_after or 0) > 86_400
    elif "wait_s" in row:
        assert error.retry_after == pytest.approx(row["wait_s"], abs=1)


@pytest.mark.parametrize(("kind", "row"), rows("quota"))
def test_used_up_money_concerns_all_topics(kind: str, row: Row) -> None:
    """Also after answers it is not taken for the refusal of one prompt, except for a bare 402."""
    del kind
    with pytest.raises(errors.QuotaExhausted) as raised:
        read_reply(response(row), "h", "m")
    assert raised.value.alone is None
