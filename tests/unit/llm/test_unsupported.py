"""What a refusal says of a request's parts and sizes, in the words of many servers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from prefect_llm_reports.tasks.contract.errors import CallRejected, KeyRejected, ModelNotFound
from prefect_llm_reports.tasks.llm.refusals import refusal
from prefect_llm_reports.tasks.llm.response import Response
from prefect_llm_reports.tasks.llm.size_limits import TooLarge
from prefect_llm_reports.tasks.llm.unsupported import Unsupported


def refused(status: int, body: Any) -> Any:
    """What a response of this status and body means."""
    text = body if isinstance(body, str) else json.dumps(body)
    return refusal(Response(status, {}, text.encode()), "h", "m")


def error(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


SURE = {
    "FastAPI's list": (
        422,
        {"detail": [{"loc": ["body", "max_completion_tokens"], "msg": "Extra inputs forbidden"}]},
        "max_completion_tokens",
    ),
    "JSON mode": (400, error("Json mode is not supported for this model."), "json_schema"),
    "guided decoding": (400, error("guided decoding is not supported here"), "json_schema"),
    "the same as 405": (405, {"detail": "structured outputs are not available"}, "json_schema"),
    "the same as 500": (500, error("response_format is not implemented"), "json_schema"),
    "temperature": (400, error("Unsupported value: 'temperature' must be 1"), "temperature"),
    "roles": (400, error("Only user and assistant roles are supported!"), "system"),
    "system prompts": (400, error("System messages are not supported by this model"), "system"),
    "a bound": (400, error("schema: 'minimum' is not supported"), "bounds"),
    "plain text": (400, "unknown field: response_format", "json_schema"),
}  # fmt: skip
GUESSED = {
    "no words": (400, ""),
    "unhelpful words": (422, {"detail": "Unprocessable Entity"}),
    "a word of ours": (500, error("grammar crashed")),
}
SIZES: dict[str, tuple[str, dict[str, int]]] = {
    "OpenAI": (
        "This model's maximum context length is 8192 tokens. However, you requested 16000 tokens"
        " (4000 in the messages, 12000 in the completion).",
        {"context": 8192, "prompt": 4000},
    ),
    "vLLM": ("max_tokens=16000 cannot be greater than max_model_len=8192.", {"context": 8192}),
    "llama.cpp": (
        "the request exceeds the available context size (4096 tokens)",
        {"context": 4096},
    ),
    "vLLM, with the prompt": (
        "'max_tokens' or 'max_completion_tokens' is too large: 16000. This model's maximum context"
        " length is 8192 tokens and your request has 900 input tokens (16000 > 8192 - 900).",
        {"context": 8192, "prompt": 900},
    ),
    "vLLM, as it says it since": (
        "You passed 900 input tokens and requested 16000 output tokens. However, the model's"
        " context length is only 8192 tokens, resulting in a maximum input length of 0 tokens.",
        {"context": 8192, "prompt": 900},
    ),
    "an output limit": ("max_tokens must be at most 16384", {"output": 16384}),
    "too large": (
        "max_tokens is too large: 32000. This model supports at most 16384 completion tokens",
        {"output": 16384},
    ),
    "a range": (
        "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
        {"output": 8192},
    ),
    "Anthropic": (
        "max_tokens: 64000 > 8192, which is the maximum allowed number of output tokens",
        {"output": 8192},
    ),
    "less than": ("max_completion_tokens must be less than or equal to 4,096", {"output": 4096}),
    "less than, and context": (
        "`max_completion_tokens` must be less than or equal to `8192`, the maximum value is less"
        " than the `context_window` for this model",
        {"output": 8192},
    ),
    "exclusive": (
        "it has a maxOutputTokens value of 16000 but the supported range is from 1 (inclusive) to"
        " 8193 (exclusive). Update the value and try again.",
        {"output": 8192},
    ),
    "a range in capitals": ("Range of max_tokens should be [1, 8192]", {"output": 8192}),
    "Chinese": ("max_tokens参数非法。限制1到8192。", {"output": 8192}),
    "inputs and outputs": (
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 100"
        " `inputs` tokens and 16000 `max_new_tokens`",
        {"context": 4096, "prompt": 100},
    ),
    "two names": (
        "max_tokens=16000 cannot be greater than max_model_len=max_total_tokens=8192.",
        {"context": 8192},
    ),
    "number before": (
        "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
        {"context": 32768, "prompt": 40000},
    ),
    "token limit": (
        "Your request exceeded model token limit: 8192 (requested: 16500)",
        {"context": 8192},
    ),
    "token count": (
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        {"context": 1048576},
    ),
    "prompt length": (
        "This model's maximum prompt length is 131072 but the request contains 140000 tokens.",
        {"context": 131072},
    ),
    "only the excess": ("prompt too long; exceeded max context length by 300 tokens", {}),
    "no number": ("Input is too long for requested model.", {}),
    "an error's code": ("max_tokens is invalid (error 1210)", {}),
    "an id": ("prompt is too long, request 48213, status 400", {}),
}


@pytest.mark.parametrize(("status", "body", "part"), SURE.values(), ids=SURE)
def test_a_part_that_is_named_is_known(status: int, body: Any, part: str) -> None:
    """The endpoint says itself what it does not take."""
    found = refused(status, body)
    assert isinstance(found, Unsupported)
    assert (found.parameter, found.sure) == (part, True)


@pytest.mark.parametrize(("status", "body"), GUESSED.values(), ids=GUESSED)
def test_where_nothing_is_named_a_part_may_be_tried(status: int, body: Any) -> None:
    """Such a refusal teaches nothing by itself."""
    found = refused(status, body)
    assert isinstance(found, Unsupported)
    assert not found.sure


@pytest.mark.parametrize(("message", "limits"), SIZES.values(), ids=SIZES)
def test_limits_that_are_named_are_read(message: str, limits: dict[str, int]) -> None:
    """Context, prompt and output, as far as the sentence has them."""
    found = refused(400, error(message))
    assert isinstance(found, TooLarge)
    read = {"context": found.context, "prompt": found.prompt, "output": found.output}
    assert {name: n for name, n in read.items() if n is not None} == limits


def test_limits_that_stand_in_fields_are_read() -> None:
    """A server may give the numbers beside its sentence."""
    fields = {"message": "the request exceeds the available context size", "n_ctx": 4096}
    found = refused(400, {"error": {**fields, "n_prompt_tokens": 900, "code": 400}})
    assert isinstance(found, TooLarge)
    assert (found.context, found.prompt) == (4096, 900)
    assert "n_ctx = 4096" in str(found)


@pytest.mark.parametrize("status", [429, 413])
def test_a_request_beyond_the_account_s_minute_is_too_large(status: int) -> None:
    """Waiting does not help: it asks for more tokens than one minute has."""
    found = refused(
        status,
        error(
            "Request too large for m on tokens per min (TPM): Limit 6000, Requested 16500. The"
            " input or output tokens must be reduced in order to run successfully.",
            code="rate_limit_exceeded",
        ),
    )
    assert isinstance(found, TooLarge)
    assert found.context == 6000


def test_an_error_s_name_and_its_sentence_are_both_read() -> None:
    """A framework's name of the error hides no parameter."""
    said = 'Unrecognized field "max_completion_tokens" (class Chat), not marked as ignorable'
    found = refused(400, {"status": 400, "error": "Bad Request", "message": said})
    assert isinstance(found, Unsupported)
    assert (found.parameter, found.sure) == ("max_completion_tokens", True)


@pytest.mark.parametrize(
    "message",
    [
        "Your prompt was flagged: topic 'database schema design' violates the usage policies",
        "Your prompt was flagged: topic 'JSON schema' is not allowed",
        "The content management policy triggered on: temperature",
    ],
)
def test_a_prompt_that_a_filter_refuses_teaches_nothing(message: str) -> None:
    """Words of ours in somebody's topic are no parameters."""
    assert type(refused(400, error(message))) is CallRejected


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ([{"error": {"code": 400, "message": "API key not valid. Please pass one."}}], KeyRejected),
        (error("No connected db."), KeyRejected),
        (error("litellm: Invalid model name passed in model=x"), ModelNotFound),
        ({"message": "The model `x` does not exist"}, ModelNotFound),
    ],
)
def test_what_concerns_all_is_known_in_whatever_status(body: Any, kind: type[Exception]) -> None:
    """A gateway's 400 may mean the key or the model."""
    assert isinstance(refused(400, body), kind)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"detail": "the tide is out"}, "the tide is out"),
        ({"errors": [{"message": "the tide is out"}]}, "the tide is out"),
        ("<html><title>403 Forbidden by WAF</title><p>x</p></html>", "403 Forbidden by WAF"),
        ({"error": {"message": "wrapped", "metadata": {"raw": "the tide is out"}}}, "tide"),
    ],
)
def test_the_endpoints_own_sentence_is_shown(body: Any, says: str) -> None:
    """Whatever the shape of its body."""
    assert says in str(refused(403, body))
