"""What error responses mean beside their class: parameters, waits, and nothing secret."""

from __future__ import annotations

import json

import pytest

from prefect_llm_reports.tasks.contract import errors
from prefect_llm_reports.tasks.llm.refusals import ErrorBody, Unsupported
from prefect_llm_reports.tasks.llm.response import Response
from tests.unit.llm.test_replies import JSON, SECRET, error_of, failing


@pytest.mark.parametrize(
    ("message", "param", "quirk"),
    [
        ("Invalid parameter: response_format json_schema", None, "json_schema"),
        ("'schema' is not permitted", None, "json_schema"),
        ("use 'max_tokens' instead of 'max_completion_tokens'", None, "max_completion_tokens"),
        ("use 'max_completion_tokens' instead", "max_tokens", "max_tokens"),
        ("Only the default (1) value is supported", "temperature", "temperature"),
        ("unknown field max_tokens", None, "max_tokens"),
    ],
)
@pytest.mark.parametrize("status", [400, 422])
def test_a_rejected_parameter_is_named(
    status: int, message: str, param: str | None, quirk: str
) -> None:
    """A 400 that says a parameter is not supported names the parameter to do without."""
    error = error_of(failing(status, "unsupported_parameter", message, param=param))
    assert isinstance(error, Unsupported)
    assert error.parameter == quirk


def test_a_400_about_the_prompt_is_no_rejected_parameter() -> None:
    """A 400 that names no parameter of ours ends the report."""
    assert type(error_of(failing(400, "invalid_prompt", "no."))) is errors.CallRejected


def test_a_wait_is_carried_by_the_error() -> None:
    """A refusal carries the wait the endpoint asks for."""
    error = error_of(Response(429, {"retry-after": "7"}, b"{}"))
    assert error.retry_after == 7


@pytest.mark.parametrize("status", [400, 413, 429, 500, 302])
def test_messages_hold_neither_keys_nor_long_foreign_text(status: int) -> None:
    """Whatever an endpoint sends back, a message holds no key, no header and no long text of it."""
    echo = f"Authorization: Bearer {SECRET}; \x1b[31m\n" + "blah " * 1000
    response = failing(status, code=echo, message=echo, kind=echo)
    headers = {**JSON, "location": f"https://{SECRET}@x/{'y' * 5000}", "x-request-id": echo}
    error = error_of(Response(status, headers, response.body))
    for text in (str(error), error.report().model_dump_json()):
        assert SECRET not in text
        assert len(text) < 900
        assert "\x1b" not in text


@pytest.mark.parametrize(
    ("body", "read"),
    [
        ({"error": {"code": "c", "type": "t", "message": "m", "param": "p"}}, ("c", "t", "m", "p")),
        ({"code": 7, "message": "bare"}, ("7", "", "bare", "")),
        ({"error": "as text"}, ("", "", "as text", "")),
        ({"error": {"message": None}}, ("", "", "", "")),
        ([], ("", "", "", "")),
        (None, ("", "", "", "")),
    ],
)
def test_error_bodies_are_read_in_their_shapes(body: object, read: tuple[str, ...]) -> None:
    """An error object inside `error`, bare, or as text; whatever is missing is empty."""
    response = Response(400, {}, json.dumps(body).encode())
    assert ErrorBody.of(response)[:4] == read
