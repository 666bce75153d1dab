"""Refusals of a part of a request: parameters that the endpoint does not take.

Pure reading. Not here: limits on tokens (`llm.size_limits`), remembering what is not taken
(`llm.dialect`), the request without it (`llm.requests`).
"""

from __future__ import annotations

import re

from prefect_llm_reports.tasks.contract.errors import CallError, FatalCallError
from prefect_llm_reports.tasks.llm.error_bodies import ErrorBody
from prefect_llm_reports.tasks.llm.size_limits import is_about_size

ADAPTABLE = frozenset({400, 404, 405, 406, 415, 422, 500, 501})
"""Statuses by which servers refuse a parameter."""
ALWAYS_TRIED = frozenset({400, 406, 415, 422})
"""Statuses of refusals after which a request is tried once without its likeliest parameter."""

_NAMED = {
    "bounds": re.compile(
        r"schema.{0,60}\b(?:features?|keywords?|constraints?|propert\w+)\b.{0,40}"
        r"(?:not (?:supported|permitted|allowed)|unsupported)"
        r"|unsupported.{0,20}schema (?:features?|keywords?|constraints?)|"
        r"\b(?:minimum|maximum|minItems|maxItems|minLength|maxLength|exclusiveM\w+|multipleOf"
        r"|pattern|format)\b.{0,60}(?:not (?:supported|permitted|allowed)|unsupported)"
        r"|(?:not (?:supported|permitted)|unsupported|unknown).{0,60}\b(?:minimum|maximum|minItems"
        r"|maxItems|minLength|maxLength|multipleOf|pattern)\b",
        re.I,
    ),
    "prompt_cache_options": re.compile(r"prompt_cache_options", re.I),
    "json_schema": re.compile(
        r"response_format|json_schema|response_?schema|structured[ _]outputs?"
        r"|guided[ _](?:decoding|json)|grammar"
        r"|json[ _]mode|json_object|\bschema\b",
        re.I,
    ),
    "max_completion_tokens": re.compile(r"max_completion_tokens", re.I),
    "max_tokens": re.compile(r"max_tokens", re.I),
    "temperature": re.compile(r"\btemperature\b", re.I),
    "system": re.compile(
        r"only .{0,20}user.{0,20}assistant|\bsystem\b.{0,30}(?:role|message|prompt|instruction)"
        r"|(?:role|message).{0,30}\b(?:system|developer)\b|developer instruction"
        r"|roles must alternate|alternate.{0,10}user.{0,10}assistant",
        re.I,
    ),
    "stream": re.compile(r"\bstream\b", re.I),
    "reasoning_effort": re.compile(
        r"reasoning_effort|\breasoning\b.{0,20}effort"
        r"|(?:support|enable|allow)\w* (?:\w+ )?(?:thinking|reasoning)\b"
        r"|\b(?:thinking|reasoning) is not\b",
        re.I,
    ),
}
"""Parts that a request can go without, and how endpoints name them; the first that fits."""
_ALIASES = {"response_format": "json_schema", "max_output_tokens": "max_completion_tokens"}
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_REFUSED = re.compile(
    r"not (?:be )?(?:supported|permitted|allowed|available|enabled|implemented|recogni[sz]ed)"
    r"|unsupported|unrecogni[sz]ed|unknown|unexpected|extra (?:inputs|fields)|invalid (?:param|arg"
    r"|value|field)|does ?n[o']t support|does not (?:accept|take|allow)|cannot be used|deprecated"
    r"|only (?:the )?default|must be|are supported|forbidden",
    re.I,
)


class Unsupported(CallError):
    """The endpoint may not take a part of the request; without it, the call may succeed.

    Args:
        parameter: The part; empty: the endpoint names none.
        rejected: The error in case the request did not carry it.
        sure: The endpoint says so itself.
        words: What the endpoint says, for names of parameters that only the request knows.
    """

    def __init__(
        self, parameter: str, rejected: CallError, *, sure: bool = True, words: str = ""
    ) -> None:
        super().__init__(rejected.message, status=rejected.status, request_id=rejected.request_id)
        self.parameter = parameter
        self.rejected = rejected
        self.sure = sure
        self.words = words


def names_a_part(body: ErrorBody) -> bool:
    """Whether a refusal says itself which part of the request is not taken."""
    known, said = _part_named(body)
    return known != "" and _REFUSED.search(said) is not None


def unsupported(status: int, body: ErrorBody, rejected: CallError) -> Unsupported | None:
    """The part that the endpoint does not take; None: nothing speaks for one.

    Args:
        status: The HTTP status, or the one that the body means.
        body: The refusal's body.
        rejected: The error where no part can be left out.
    """
    if status not in ADAPTABLE or (is_about_size(body) and status in ALWAYS_TRIED):
        return None
    known, said = _part_named(body)
    if known and (_alias(body.parameter) in _NAMED or _REFUSED.search(said)):
        return Unsupported(known, rejected, words=said)
    if known or status in ALWAYS_TRIED or isinstance(rejected, FatalCallError):
        return Unsupported(known, rejected, sure=False, words=said)
    return None


def _part_named(body: ErrorBody) -> tuple[str, str]:
    """The part that a refusal is about, empty where it names none, and its words.

    `maxCompletionTokens` is read as `max_completion_tokens`.
    """
    said = f"{body.parameter} {body.message} {body.code}"
    said += " " + " ".join(_CAMEL.sub("_", word) for word in said.split() if _CAMEL.search(word))
    known = next((name for name, way in _NAMED.items() if way.search(said)), "")
    alias = _alias(body.parameter)
    return alias if alias in _NAMED else known, said


def _alias(parameter: str) -> str:
    """The name by which a parameter that a refusal names is known here."""
    name = _CAMEL.sub("_", parameter).lower().split(".")[0]
    return _ALIASES.get(name, name)
