"""Headers that an endpoint is sent beyond its key: which can be sent, and which are secret."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.llm.blocks import LLMEndpoint
from prefect_llm_reports.tasks.llm.endpoint import Endpoint, checked_headers

SECRET = "canary-secret-1"
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a blank in a name": ({"X Title": "a"}, "no name of a header"),
    "no name": ({"": "a"}, "no name of a header"),
    "a line end in a value": ({"X-Key": f"{SECRET}\r\nHost: x"}, "on one line"),
    "letters beyond ASCII": ({"X-Key": f"{SECRET}é"}, "in ASCII"),
    "nothing": ({"X-Key": " "}, "must be a text"),
    "a list": ({"X-Key": [SECRET]}, "must be a text"),
    "the connection's own": ({"Content-Length": "3"}, "set by the connection"),
    "a host": ({"host": "elsewhere"}, "set by the connection"),
    "a second key": ({"authorization": f"Bearer {SECRET}"}, "give one of the two"),
    "one twice": ({"X-Key": SECRET, "x-key": SECRET}, "given twice"),
}


@pytest.mark.parametrize(("headers", "said"), REFUSED.values(), ids=REFUSED)
def test_a_header_that_cannot_be_sent_is_refused(headers: dict[str, Any], said: str) -> None:
    """By name, before any call, and without its value."""
    block = LLMEndpoint(api_key=SecretStr("sk-1"), extra_headers=headers)
    with pytest.raises(BadInput, match="extra header") as refused:
        block.endpoint()
    assert said in str(refused.value)
    assert SECRET not in str(refused.value)


def test_headers_are_secret_in_every_form_of_block_and_endpoint() -> None:
    """A form that is left empty has none."""
    block = LLMEndpoint(extra_headers={"x-api-key": SECRET, "X-Title": "Reports", "X-Port": 9})
    endpoint = block.endpoint()
    assert SECRET not in f"{block!r} {block} {block.model_dump_json()} {endpoint!r}"
    assert {n: v.get_secret_value() for n, v in endpoint.headers.items()} == {
        "x-api-key": SECRET,
        "X-Title": "Reports",
        "X-Port": "9",
    }
    for empty in ({}, None, ""):
        assert LLMEndpoint(extra_headers=empty).endpoint().headers == {}


def test_only_headers_that_hold_secrets_are_hidden_in_answers() -> None:
    """A title or a referring page may well stand in a report."""
    headers = {
        "X-Title": "prefect reports",
        "HTTP-Referer": "https://reports.example.com",
        "x-api-key": SECRET,
        "Authorization": "Basic dXNlcjpwYXNz",
        "X-Opaque": "f3a9b2c4d5e6f7a8b9c0d1e2",
    }
    endpoint = Endpoint("https://a.example/v1", headers=checked_headers(headers, key_given=False))
    assert set(endpoint.secrets) == {
        *("none", SECRET, "Basic dXNlcjpwYXNz", "dXNlcjpwYXNz", "f3a9b2c4d5e6f7a8b9c0d1e2"),
    }
