"""Parts of a request that a model at an endpoint refuses, and its limits, kept for this process.

Not here: how a refusal names a part or a limit (`llm.unsupported`), the request without it
(`llm.requests`).
"""

from __future__ import annotations

import logging
import re

from prefect_llm_reports.tasks.contract.calls import Ask
from prefect_llm_reports.tasks.llm.requests import writes_cache
from prefect_llm_reports.tasks.llm.transport import host_of
from prefect_llm_reports.tasks.llm.unsupported import Unsupported

logger = logging.getLogger(__name__)

FORM = ("bounds", "enums", "json_schema", "json_object")
"""Ways to ask for a form, each refused by fewer servers than the one before."""
_GUESSES = ("max_completion_tokens", "stream", "system")
"""Other parts that some server refuses, the likeliest first."""
KEPT = frozenset(
    {"provider", "store", "data_collection", "zdr", "safety_settings", "guardrails", "moderation"}
)
"""Extra parameters that say who may read a prompt, or what may be answered: never left out."""
_WORDS = {
    "bounds": "bounds in a JSON schema",
    "enums": "lists of numbers in a JSON schema",
    "json_schema": "JSON schemas",
    "json_object": "JSON mode",
    "system": "system messages",
}


class Dialect:
    """Chat Completions as one model at one endpoint speaks it.

    Args:
        host: The endpoint's host, for the log.
        model: The model's name.

    Attributes:
        left_out: Parts to leave out of every request.
        most_output: Tokens that an answer may have; None: not known.
        input_share: Input tokens billed for each that the request's bytes allow, at most; above 1
            where the endpoint adds texts of its own.
    """

    def __init__(self, host: str, model: str) -> None:
        self._host = host
        self._model = model
        self.left_out: frozenset[str] = frozenset()
        self.most_output: int | None = None
        self.input_share = 1.0

    def next_without(
        self, error: Unsupported, ask: Ask, left_out: frozenset[str]
    ) -> frozenset[str] | None:
        """The parts to leave out of the next request; None: nothing more can be left out.

        A part that the endpoint says it does not take is left out of all later requests at once.
        Where it says nothing, the likeliest is left out once, and for good when that has helped
        (`learn`): the form, which then stands in words.

        Args:
            error: The refusal.
            ask: The question.
            left_out: What the refused request was made without already.
        """
        carried = [part for part in self._carried(ask) if part not in left_out]
        extras = [part for part in carried if part in ask.extra_body]
        named = next((part for part in extras if _names(error.words, part)), error.parameter)
        if not error.sure and named not in (*FORM, *self._carried(ask)):
            named = ""  # the request had no such part
        if not named:
            likeliest = {part for part in carried if part in FORM} or {*extras} or {*carried[:1]}
            return left_out | likeliest if likeliest and left_out == self.left_out else None
        if named in FORM:
            carried = [p for p in carried if p in FORM and FORM.index(p) >= FORM.index(named)]
        else:
            carried = [part for part in carried if part == named]
        if not carried:
            return None
        without = left_out | {carried[0]}
        if error.sure:
            self.learn(without)
        return without

    def learn(self, left_out: frozenset[str]) -> None:
        """Leave parts out of every request from now on."""
        for part in sorted(left_out - self.left_out):
            logger.warning(
                "%s does not take %s for %s; going on without it",
                self._host,
                _WORDS.get(part, part),
                self._model,
            )
        self.left_out |= left_out

    def billed(self, input_tokens: int, bound: int) -> bool:
        """Count on what the endpoint has billed for one request's input.

        Args:
            input_tokens: The tokens billed.
            bound: Those that the request's bytes allow.

        Returns:
            Whether requests cost more than was thought.
        """
        more = input_tokens > self.input_share * bound
        if more:
            self.input_share = input_tokens / bound
        return more

    def _carried(self, ask: Ask) -> tuple[str, ...]:
        """Parts of a request for a question that it can go without, the likeliest first."""
        parts: tuple[str, ...] = ()
        if ask.output_schema is not None:
            parts = FORM[2:]
            if ask.bounded_schema not in (None, ask.output_schema):
                parts = FORM
        extras = tuple(name for name in ask.extra_body if name not in KEPT)
        set_here = ("reasoning_effort", "temperature")
        given = tuple(name for name in set_here if getattr(ask, name) is not None)
        cache = ("prompt_cache_options",) if writes_cache(self._model) else ()
        return (*parts, *extras, *given, *cache, *_GUESSES)


def _names(words: str, part: str) -> bool:
    """Whether words name a parameter, and do not only have it within another word."""
    return re.search(rf"(?<![\w-]){re.escape(part)}(?![\w-])", words, re.IGNORECASE) is not None


_dialects: dict[tuple[str, str], Dialect] = {}


def dialect_of(base_url: str, model: str) -> Dialect:
    """The dialect of a model at an endpoint, as far as this process has found it out."""
    known = _dialects.get((base_url, model))
    if known is None:
        known = _dialects[base_url, model] = Dialect(host_of(base_url), model)
    return known
