"""The answers of many servers over HTTP: each is read, or the request is changed until it fits."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from pydantic import SecretStr

from prefect_llm_reports.tasks.contract.calls import Answer
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.llm.endpoint import Endpoint as Address
from prefect_llm_reports.tasks.llm.session import Session
from tests.boundary.llm.test_line import KEY, answered, question
from tests.harness.endpoint import Endpoint, Reply, Request
from tests.unit.llm.test_replies_by_server import ROWS, Row, response

FORM = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}
BOUNDED = {**FORM, "properties": {"score": {"type": "integer", "minimum": 1, "maximum": 10}}}
CARRIED: dict[str, Any] = {
    "bounds": lambda body: '"minimum"' in json.dumps(body),
    "json_schema": lambda body: "json_schema" in json.dumps(body.get("response_format")),
    "system": lambda body: any(m["role"] == "system" for m in body["messages"]),
    "": lambda body: "response_format" in body,
}
"""Whether a request carries the part; others stand in it by their names."""


def reply(row: Row) -> Reply:
    sent = response(row)
    return Reply(status=sent.status, headers=sent.headers, body=sent.body)


def asked(rows: list[Row], refused: Any) -> list[tuple[Row, Answer | BaseException]]:
    """Ask each row's model; the endpoint answers as the row says where `refused` says so."""
    by_model = {f"model-{n}": row for n, row in enumerate(rows)}

    def script(request: Request) -> Reply | None:
        row = by_model.get(str((request.body or {}).get("model")))
        return reply(row) if row and refused(row, request.body) else None

    async def main(url: str) -> list[Answer | BaseException]:
        options = ReportOptions(concurrency=16)
        async with Session([Address(url, SecretStr(KEY))], options, backoff_s=0) as session:
            more: dict[str, Any] = {"output_schema": FORM, "bounded_schema": BOUNDED}
            more |= {"temperature": 0.5, "reasoning_effort": "low"}
            asks = (
                answered(session, question(url, model=name, item=name, variant=name, **more))
                for name in by_model
            )
            return await asyncio.gather(*asks, return_exceptions=True)

    with Endpoint(script=script) as endpoint:
        found = asyncio.run(main(endpoint.base_url))
    return list(zip(rows, found, strict=True))


def test_a_part_that_a_server_refuses_is_left_out_and_the_answer_comes() -> None:
    """In whatever words, status and shape it refuses the part."""

    def carries(row: Row, body: dict[str, Any]) -> bool:
        part = row.get("part", "")
        return CARRIED[part](body) if part in CARRIED else part in body

    for row, outcome in asked(ROWS["part"], carries):
        assert isinstance(outcome, Answer), (row["from"], outcome)
        assert outcome.attempts <= 4, row["from"]


def test_an_answer_in_any_envelope_is_an_answer() -> None:
    """Streams that nobody asked for, other success codes, completions inside other objects."""
    for row, outcome in asked(ROWS["answer"], lambda *_: True):
        assert isinstance(outcome, Answer), (row["from"], outcome)
        assert outcome.text.strip() == row["answer"], row["from"]
