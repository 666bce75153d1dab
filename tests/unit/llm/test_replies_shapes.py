"""Completions in the shapes that servers write them: what counts as the answer, and what as cut."""

from __future__ import annotations

import json
from typing import Any

import pytest

from prefect_llm_reports.tasks.contract import errors
from prefect_llm_reports.tasks.llm.replies import read_reply
from prefect_llm_reports.tasks.llm.response import Response


def said(message: dict[str, Any], finish: Any = "stop", **more: Any) -> Response:
    """A completion with this message."""
    choice = {"index": 0, "message": message, "finish_reason": finish, **more}
    return Response(200, {}, json.dumps({"model": "m", "choices": [choice]}).encode())


def stream(*chunks: dict[str, Any], done: bool = True) -> Response:
    """The same as a stream of events that nobody asked for."""
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + ["data: [DONE]\n\n"] * done
    return Response(200, {"content-type": "text/event-stream"}, "".join(lines).encode())


def delta(finish: str | None = None, **part: Any) -> dict[str, Any]:
    return {"model": "m", "choices": [{"index": 0, "delta": part, "finish_reason": finish}]}


PLAIN = said({"content": "yes"}).body
TEXTS = {
    "plain": said({"content": "yes"}),
    "no finish reason": said({"content": "yes"}, None),
    "an empty one": said({"content": "yes"}, ""),
    "a synonym": said({"content": "yes"}, "end_turn"),
    "an enumeration": said({"content": "yes"}, "FinishReason.STOP"),
    "eos": said({"content": "yes"}, "eos_token"),
    "parts": said(
        {"content": [{"type": "thinking", "thinking": "{"}, {"type": "text", "text": "yes"}]}
    ),
    "parts of output": said({"content": [{"type": "output_text", "text": "y"}, "es"]}),
    "one part": said({"content": {"type": "text", "text": {"value": "yes"}}}),
    "thinking before": said({"content": "<think>is {it}?</think>\n\nyes"}),
    "only the end of thinking": said({"content": "is {it}?\n</think>\n\nyes"}),
    "Magistral": said({"content": "[THINK]is it?[/THINK]yes"}),
    "harmony": said({"content": "<|channel|>analysis<|message|>is it?<|end|><|start|>assistant"
                                "<|channel|>final<|message|>yes<|return|>"}),
    "text/plain": Response(200, {"content-type": "text/plain"}, said({"content": "yes"}).body),
    "a byte order mark": Response(200, {}, b"\xef\xbb\xbf" + said({"content": "yes"}).body),
    "NaN beside": Response(200, {}, PLAIN.replace(b'"m"', b'"m", "x": NaN')),
    "a key twice": Response(200, {}, PLAIN.replace(b'"m"', b'"n", "model": "m"')),
    "a stream": stream(delta(content="y"), delta(content="es"), delta("stop")),
    "a stream with pings": Response(
        200, {}, b": ping\n\nevent: chunk\n" + stream(delta(content="yes"), delta("stop")).body
    ),
}  # fmt: skip
CUT = ["length", "max_tokens", "MAX_TOKENS", "model_length", "max_output_tokens"]
BAD = ["error", "cancelled", "unexpected_thing", "MALFORMED_FUNCTION_CALL", "timeout"]
WITHHELD = ["content_filter", "SAFETY", "RECITATION", "guardrail_intervened"]
ERRORS: dict[str, tuple[dict[str, Any] | list[Any], type[errors.CallError]]] = {
    "429 as a number": ({"error": {"code": 429, "message": "slow"}}, errors.EndpointOverloaded),
    "429 in words": ({"error": "Rate limit reached"}, errors.EndpointOverloaded),
    "overloaded": ({"error": "model is overloaded, sorry"}, errors.EndpointOverloaded),
    "402": ({"error": {"code": "402", "message": "pay"}}, errors.QuotaExhausted),
    "401": ({"error": {"status": 401, "message": "who?"}}, errors.KeyRejected),
    "a key in words": ({"error": {"message": "Incorrect API key provided"}}, errors.KeyRejected),
    "a list": ([{"error": {"code": 503, "message": "away"}}], errors.EndpointOverloaded),
    "bare": ({"object": "error", "message": "boom", "code": 500}, errors.EndpointUnavailable),
    "inside the choice": (
        {"choices": [{"message": {"content": "half"}, "error": {"code": 502, "message": "gone"}}]},
        errors.EndpointUnavailable,
    ),
}


@pytest.mark.parametrize("response", TEXTS.values(), ids=TEXTS)
def test_the_answer_is_found(response: Response) -> None:
    """Whatever surrounds it, the answer is the text after the reasoning."""
    reply = read_reply(response, "h", "m")
    assert (reply.text.strip(), reply.truncated, reply.model) == ("yes", False, "m")


@pytest.mark.parametrize("finish", CUT)
def test_a_cut_answer_is_known_as_one(finish: str) -> None:
    """Every name for the token limit means that the answer was cut."""
    assert read_reply(said({"content": "half"}, finish), "h", "m").truncated


@pytest.mark.parametrize("finish", BAD)
def test_an_ending_that_is_not_known_as_good_is_a_failure(finish: str) -> None:
    """Such a text is never an answer."""
    with pytest.raises(errors.EndpointUnavailable, match="not whole"):
        read_reply(said({"content": "half"}, finish), "h", "m")


@pytest.mark.parametrize("finish", WITHHELD)
def test_a_filter_is_a_refusal(finish: str) -> None:
    """A withheld answer is not asked for again."""
    with pytest.raises(errors.AnswerRefused):
        read_reply(said({"content": "half"}, finish), "h", "m")


def test_a_stream_that_breaks_off_is_a_failure() -> None:
    """Neither a reason nor an end was sent: the text may be half of one."""
    with pytest.raises(errors.EndpointUnavailable, match="unfinished"):
        read_reply(stream(delta(content="hal"), done=False), "h", "m")


@pytest.mark.parametrize(("body", "kind"), ERRORS.values(), ids=ERRORS)
def test_an_error_in_a_200_is_what_it_says(body: Any, kind: type[errors.CallError]) -> None:
    """A status inside the body counts like the response's own."""
    with pytest.raises(kind):
        read_reply(Response(200, {}, json.dumps(body).encode()), "h", "m")


@pytest.mark.parametrize(
    "message",
    [
        {"content": {"a": 1}},
        {"content": None, "reasoning_content": '{"a": 1}'},
        {"content": "", "reasoning": '{"a": 1}'},
        {"content": None, "tool_calls": [{"function": {"name": "f", "arguments": '{"a": 1}'}}]},
        {"content": None, "function_call": {"name": "f", "arguments": {"a": 1}}},
    ],
)
def test_a_structured_answer_may_stand_elsewhere(message: dict[str, Any]) -> None:
    """It is offered to whoever asked for the form, and is no text by itself."""
    reply = read_reply(said(message, "tool_calls"), "h", "m")
    assert reply.text == ""
    assert [json.loads(text) for text in reply.elsewhere] == [{"a": 1}]


def test_reasoning_without_an_end_is_no_answer() -> None:
    """A model that only thought has not answered."""
    with pytest.raises(errors.EndpointUnavailable, match="reasoning and no answer"):
        read_reply(said({"content": "<think>is it?"}), "h", "m")


def test_a_generation_that_the_server_refused_is_an_answer_that_misses_its_form() -> None:
    """It is read as text, so that the model is told what is wrong with it."""
    error = {"code": "json_validate_failed", "failed_generation": '{"score": "8"}'}
    body = json.dumps({"error": error}).encode()
    assert read_reply(Response(400, {}, body), "h", "m").text == '{"score": "8"}'
