"""Refusals of requests that are too large, and the limits on tokens that they name.

Pure reading. Not here: the request that fits them (`llm.repeats`).
"""

from __future__ import annotations

import re
from typing import Any

from prefect_llm_reports.tasks.contract.errors import CallRejected
from prefect_llm_reports.tasks.llm.error_bodies import ErrorBody

_CONTEXT = re.compile(
    r"context|max_model_len|n_ctx|(?:prompt|input|request)s? (?:is |are |was )?too (?:long|large)"
    r"|too many (?:input |prompt |total )?tokens|token limit|token count|prompt length"
    r"|sequence length|input length|body too large|inputs must have less than|input_length"
    r"|session_len|max_seq_len|prompt has \d+ tokens"
    r"|inputs tokens \+|must be reduced|reduce (?:your|the) \w+ size",
    re.I,
)
_OUTPUT_ALONE = re.compile(r"(?<!\+ )max_?\w*tokens must be (?:less|<|at most|between|in)", re.I)
_BEYOND = (
    r"(?:(?:prompt|input|sequence|context)[_ ](?:length|size)|prompt has)\D{0,12}"
    r"(\d{2,})\D{0,40}(?:great\w+ than|longer than|larger than|exceed\w*)\D{0,40}(\d{3,})"
)
"""A size, and the limit that it is beyond."""
_CONTEXT_SIZE = (
    re.compile(_BEYOND.replace(r"(\d{2,})", r"\d{2,}"), re.I),
    re.compile(r"(?:cannot|must not|not) exceed (\d{3,})", re.I),
    re.compile(r"\d+ \+ \d+ > ?(\d{3,})"),
    re.compile(r"n_ctx\D{0,6}(\d{2,})"),
    re.compile(r"(\d{3,}) maximum context", re.I),
    re.compile(r"inputs tokens \+ max_new_tokens\D{0,20}(\d{3,})", re.I),
    re.compile(r"(?:context|prompt) (?:length|window|size|limit)\D{0,40}?(\d{3,})", re.I),
    re.compile(
        r"(?:max_model_len|max_seq_len|max_position_embeddings)(?!\w)\D{0,30}?(\d{2,})", re.I
    ),
    re.compile(r"(\d{3,})[- ]tokens?\s+(?:context|limit|maximum)", re.I),
    re.compile(r"> ?(\d{3,}) maximum", re.I),
    re.compile(r"\blimit(?: is| of|:)? (\d{3,})", re.I),
    re.compile(r"less than (\d{3,})", re.I),
    re.compile(r"max(?:imum)? size:? (\d{3,})", re.I),
    re.compile(r"length should be \[\s*\d+\s*,\s*(\d+)\s*\]", re.I),
)
_PROMPT_SIZE = (
    re.compile(_BEYOND, re.I),
    re.compile(r"received (\d+)", re.I),
    re.compile(r"(\d+) \+ \d+ > ?\d{3,}"),
    re.compile(r"n_prompt_tokens\D{0,6}(\d+)", re.I),
    re.compile(r"(\d+) (?:tokens )?(?:in|from|of) (?:the |your )?(?:messages|prompt|\w*inputs?)\b"),
    re.compile(r"given: (\d+)", re.I),
    re.compile(r"current length is (\d+)", re.I),
    re.compile(r"(?:messages|prompt|input)\D{0,40}?(\d{2,}) (?:input )?tokens", re.I),
    re.compile(r"(?:has|have|with|passed|contains?) (\d+) (?:input|prompt) tokens", re.I),
    re.compile(r"request \((\d+) tokens\)", re.I),
)
_OUTPUT = re.compile(
    r"max_\w*tokens|max\w*tokens|(?:completion|output|generated|new) tokens|max(?:imum)? tokens",
    re.I,
)
_OUTPUT_SIZE = (
    re.compile(r"at most (\d+)", re.I),
    re.compile(r"(?:<=|less than or equal to|up to|limit of|limited to|maximum of)\s*(\d+)", re.I),
    re.compile(r"\[\s*\d+\s*,\s*(\d+)\s*\]"),
    re.compile(r"between \d+ and (\d+)", re.I),
    re.compile(r"> ?(\d+),? which is the maximum", re.I),
    re.compile(r"(?:maximum|max_\w*tokens is too large|exceeds?)\D{0,60}?(\d+)\D*$", re.I),
    re.compile(r"from 1 .{0,12}to (\d+)", re.I),
    re.compile(r"too large:? ?(\d+)\.?$", re.I),
)
_NUMBERS = re.compile(r"(?<![A-Za-z0-9_.-])\d{3,9}(?![A-Za-z0-9_])")
_LARGE = re.compile(
    r"too (?:large|long|many|high|big|great)|at most|exceed|less than|great\w* than|<=|[^-=]>|range"
    r"|between|maximum|up to|limit|must be reduced",
    re.I,
)
_ANOTHER_FAULT = re.compile(
    r"unsupported|not supported|unrecogni[sz]ed|not permitted|unknown|unexpected|integer"
    r"|deprecated",
    re.I,
)


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


def limits_named(
    body: ErrorBody, said: str, host: str, where: dict[str, Any]
) -> CallRejected | None:
    """The refusal of a request that is too large, with limits that it names; None: it is none.

    Args:
        body: The refusal's body.
        said: What to quote of it.
        host: The endpoint's host, for the message.
        where: Status and request id, for the error.
    """
    if not is_about_size(body):
        return None
    message = _folded(body.message)
    about_context = bool(_CONTEXT.search(_folded(body.words)) and not _OUTPUT_ALONE.search(message))
    advice = "choose a smaller max_output_tokens"
    if about_context:
        advice = "choose a model with a longer context, or ask for a shorter report"
    error = TooLarge(f"{host} rejected the request ({said}); {advice}", **where)
    if about_context:
        error.context = _number(_CONTEXT_SIZE, message)
        error.prompt = _number(_PROMPT_SIZE, message)
    else:
        error.output = _number(_OUTPUT_SIZE, message)
    return error


def is_about_size(body: ErrorBody) -> bool:
    """Whether a refusal is about how many tokens a request may take."""
    if re.search(r"context_length_exceeded|string_above_max", body.code):
        return True
    message = _folded(body.message)
    named = _OUTPUT.search(f"{body.parameter} {message}") and re.search(r"\d{2}", message)
    if named and not _ANOTHER_FAULT.search(message):
        return True
    if named and _LARGE.search(message):
        return True
    about_context = _CONTEXT.search(_folded(body.words)) is not None
    return about_context and re.search(r"\d{3}|too |exceed|long", message) is not None


def is_never_taken(body: ErrorBody) -> bool:
    """Whether one request takes more than a limit per minute: waiting does not help."""
    return re.search(r"request too large|must be reduced", body.message, re.I) is not None


def _folded(message: str) -> str:
    """A message with plain numbers, and without the excess over a limit."""
    text = re.sub(r"[`'\"*]", "", message)
    text = re.sub(r"(?<=\d)[,_\u00a0\u202f](?=\d{3}(?!\d))", "", text)
    text = re.sub(r"\bby (?:about )?\d+", "by", text)
    text = re.sub(r"\b(\d{1,4}) ?k\b", r"\g<1>000", text, flags=re.I)
    return re.sub(r"(\d+) ?\(exclusive\)", lambda found: str(int(found[1]) - 1), text)


def _number(ways: tuple[re.Pattern[str], ...], message: str) -> int | None:
    """The number that a message names in one of several ways, else the least of one or two."""
    for way in ways:
        if found := way.search(message):
            return int(found[1]) or None
    if ways is _PROMPT_SIZE:
        return None
    numbers = [int(number) for number in _NUMBERS.findall(message)]
    return min((n for n in numbers if _is_a_size(n)), default=None) if len(numbers) <= 2 else None


def _is_a_size(number: int) -> bool:
    """Whether a number looks like a limit of tokens, and not like an error's code or an id."""
    return number >= 512 and (number % 256 in (0, 1, 255) or number % 1000 == 0)
