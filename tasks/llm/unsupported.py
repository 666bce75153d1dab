"""What a refusal says of a request's parts: a parameter that is not taken, a limit that is named.

Pure reading. Not here: remembering it (`llm.dialect`), the request without it (`llm.requests`).
"""

from __future__ import annotations

import re
from typing import Any

from prefect_llm_reports.tasks.contract.errors import CallError, CallRejected
from prefect_llm_reports.tasks.llm.error_bodies import ErrorBody

ADAPTABLE = frozenset({400, 404, 405, 406, 415, 422, 500, 501})
"""Statuses by which servers refuse a parameter."""
ALWAYS_TRIED = frozenset({400, 406, 415, 422})
"""Statuses of refusals after which a request is tried once without its likeliest parameter."""

_NAMED = {
    "bounds": re.compile(
        r"\b(?:minimum|maximum|minItems|maxItems|minLength|maxLength|exclusiveM\w+|multipleOf"
        r"|pattern|format)\b.{0,60}(?:not (?:supported|permitted|allowed)|unsupported)"
        r"|(?:not (?:supported|permitted)|unsupported|unknown).{0,60}\b(?:minimum|maximum|minItems"
        r"|maxItems|minLength|maxLength|multipleOf|pattern)\b",
        re.I,
    ),
    "json_schema": re.compile(
        r"response_format|json_schema|structured[ _]outputs?|guided[ _](?:decoding|json)|grammar"
        r"|json[ _]mode|json_object|\bschema\b",
        re.I,
    ),
    "max_completion_tokens": re.compile(r"max_completion_tokens", re.I),
    "max_tokens": re.compile(r"max_tokens", re.I),
    "temperature": re.compile(r"\btemperature\b", re.I),
    "system": re.compile(
        r"only .{0,20}user.{0,20}assistant|\bsystem\b.{0,30}(?:role|message|prompt|instruction)"
        r"|(?:role|message).{0,30}\b(?:system|developer)\b|developer instruction",
        re.I,
    ),
    "stream": re.compile(r"\bstream\b", re.I),
    "reasoning_effort": re.compile(r"reasoning_effort|\breasoning\b.{0,20}effort", re.I),
}
"""Parts that a request can go without, and how endpoints name them; the first that fits."""
_REFUSED = re.compile(
    r"not (?:be )?(?:supported|permitted|allowed|available|enabled|implemented|recogni[sz]ed)"
    r"|unsupported|unrecogni[sz]ed|unknown|unexpected|extra (?:inputs|fields)|invalid (?:param|arg"
    r"|value|field)|does ?n[o']t support|does not (?:accept|take|allow)|cannot be used|deprecated"
    r"|only (?:the )?default|must be|are supported|forbidden",
    re.I,
)
_CONTEXT = re.compile(r"context|max_model_len|n_ctx|prompt is too long|input is too long", re.I)
_CONTEXT_SIZE = (
    re.compile(r"context (?:length|window|size|limit)\D{0,40}?(\d[\d,_]{2,})", re.I),
    re.compile(r"(?:max_model_len|n_ctx|max_seq_len|max_position_embeddings)\D{0,6}(\d[\d,_]+)"),
    re.compile(r"(\d[\d,_]{2,})[- ]tokens?\s+(?:context|limit|maximum)", re.I),
    re.compile(r"> ?(\d[\d,_]{2,}) maximum", re.I),
)
_PROMPT_SIZE = (
    re.compile(
        r"(\d[\d,_]*) (?:tokens )?(?:in|from) (?:the |your )?(?:messages|prompt|input)", re.I
    ),
    re.compile(r"(?:messages|prompt|input)\D{0,40}?(\d[\d,_]{1,}) (?:input )?tokens", re.I),
    re.compile(r"request \((\d[\d,_]*) tokens\)", re.I),
)
_OUTPUT = re.compile(
    r"max_\w*tokens|maxOutputTokens|completion tokens|output tokens|max tokens", re.I
)
_OUTPUT_SIZE = (
    re.compile(r"at most (\d[\d,_]*)", re.I),
    re.compile(
        r"(?:<=|less than or equal to|up to|limit of|limited to|maximum of)\s*(\d[\d,_]*)", re.I
    ),
    re.compile(r"range\D{0,30}\[\s*\d+\s*,\s*(\d[\d,_]*)\s*\]", re.I),
    re.compile(r"between \d+ and (\d[\d,_]*)", re.I),
    re.compile(r"> ?(\d[\d,_]*),? which is the maximum", re.I),
    re.compile(r"(?:maximum|max_\w*tokens is too large|exceeds?)\D{0,60}?(\d[\d,_]*)\D*$", re.I),
    re.compile(r"from 1 .{0,12}to (\d[\d,_]*)", re.I),
    re.compile(r"too large:? ?(\d[\d,_]*)\.?$", re.I),
)


class Unsupported(CallError):
    """The endpoint may not take a part of the request; without it, the call may succeed.

    Args:
        parameter: The part; empty: the endpoint names none.
        rejected: The error in case the request did not carry it.
        sure: The endpoint says so itself.
    """

    def __init__(self, parameter: str, rejected: CallRejected, *, sure: bool = True) -> None:
        super().__init__(rejected.message, status=rejected.status, request_id=rejected.request_id)
        self.parameter = parameter
        self.rejected = rejected
        self.sure = sure


class TooLarge(CallRejected):
    """The request asks for more tokens than the endpoint allows.

    Attributes:
        context: Tokens of question and answer together, at most; None: not named.
        prompt: Tokens of the question as the endpoint counts them; None: not named.
        output: Tokens of an answer, at most; None: not named.
    """

    context: int | None = None
    prompt: int | None = None
    output: int | None = None

    @property
    def kind(self) -> str:
        """In results it is a rejection like any other."""
        return "call_rejected"


def unsupported(status: int, body: ErrorBody, rejected: CallRejected) -> Unsupported | None:
    """The part that the endpoint does not take; None: nothing speaks for one.

    Args:
        status: The HTTP status, or the one that the body means.
        body: The refusal's body.
        rejected: The error where no part can be left out.
    """
    if status not in ADAPTABLE or (_is_about_size(body) and status in ALWAYS_TRIED):
        return None
    named = f"{body.parameter} {body.message} {body.code}"
    known = next((name for name, way in _NAMED.items() if way.search(named)), "")
    if body.parameter in _NAMED:
        known = body.parameter
    if known and (body.parameter in _NAMED or _REFUSED.search(named)):
        return Unsupported(known, rejected)
    if known or status in ALWAYS_TRIED:
        return Unsupported(known, rejected, sure=False)
    return None


def limits_named(
    body: ErrorBody, said: str, host: str, where: dict[str, Any]
) -> CallRejected | None:
    """The refusal of a request that is too large, with limits that it names; None: it is none."""
    if not _is_about_size(body):
        return None
    about_context = _CONTEXT.search(body.words) is not None
    advice = "choose a smaller max_output_tokens"
    if about_context:
        advice = "choose a model with a longer context, or ask for a shorter report"
    error = TooLarge(f"{host} rejected the request ({said}); {advice}", **where)
    if about_context:
        error.context = _number(_CONTEXT_SIZE, body.message)
        error.prompt = _number(_PROMPT_SIZE, body.message)
    else:
        error.output = _number(_OUTPUT_SIZE, body.message)
    return error


def _is_about_size(body: ErrorBody) -> bool:
    """Whether a refusal is about how many tokens a request may take."""
    if re.search(r"context_length_exceeded|string_above_max", body.code):
        return True
    if _CONTEXT.search(body.words) and re.search(r"\d{3}|too long|exceed", body.message):
        return True
    large = re.search(
        r"too large|at most|exceed|less than|<=|>|range|between|maximum|up to|limit", body.message
    )
    named = _OUTPUT.search(f"{body.parameter} {body.message}")
    return bool(named and large and re.search(r"\d{2}", body.message))


def _number(ways: tuple[re.Pattern[str], ...], text: str) -> int | None:
    """The first number that a text names in one of several ways."""
    for way in ways:
        if found := way.search(text):
            return int(re.sub(r"[,_]", "", found[1])) or None
    return None
