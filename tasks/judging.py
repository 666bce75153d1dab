"""Judging drafts: the critique task, and what counts as a critique."""

from __future__ import annotations

import json
import re

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from tasks.completions import sealed
from tasks.faults import shown, strict_json
from tasks.llm import Invalid, current_session
from tasks.policies import SealedAnswer, llm_step
from tasks.schemas import Ask, Critique

_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)\n?\s*```", re.DOTALL)

_LOOKS_LIKE_ONE = re.compile(r'\{\s*["}\']')


def one_object(text: str) -> str:
    """The one JSON object in an answer: bare, in a code fence, or inside prose.

    Raises:
        Invalid: There is none, or more than one, or a broken one.
    """
    text = text.strip().removeprefix("\ufeff")
    if text.startswith("{") and text.endswith("}") and _object_ends(text, 0) == len(text):
        return text
    if len(fences := _FENCED.findall(text)) == 1 and "{" not in _FENCED.sub("", text):
        return fences[0].strip()
    if text.startswith("[") and text.endswith("]"):
        raise Invalid("it holds no JSON object but a list; exactly one object is wanted.")
    found: list[str] = []
    at = text.find("{")
    while at >= 0 and len(found) < 2:
        end = _object_ends(text, at)
        if end:
            found.append(text[at:end])
        elif _LOOKS_LIKE_ONE.match(text, at):
            raise Invalid("it holds a broken JSON object; exactly one is wanted, whole.")
        at = text.find("{", end or at + 1)
    if len(found) != 1:
        count = "no JSON object" if not found else "more than one JSON object"
        raise Invalid(f"it holds {count}; exactly one is wanted.")
    return found[0]


def _object_ends(text: str, at: int) -> int | None:
    """Where the JSON object that begins at `at` ends; None when there is none."""
    try:
        found, end = json.JSONDecoder().raw_decode(text, at)
    except (ValueError, RecursionError):
        return None
    return end if isinstance(found, dict) else None


def accepted_critique(text: str) -> str:
    """A critique in the form that is kept.

    Raises:
        Invalid: Not one object of the schema, exactly; values are never clamped or repaired.
    """
    try:
        critique = Critique.model_validate(strict_json(one_object(text)))
    except ValidationError as error:
        problems = "; ".join(
            f"{shown('.'.join(str(part) for part in e['loc']), 60) or 'the object'}: {e['msg']}"
            for e in error.errors(include_url=False, include_input=False)[:5]
        )
        raise Invalid(f"it does not fit the schema: {problems}.") from None
    except ValueError as error:
        raise Invalid(f"it is not valid JSON: {shown(str(error), 120)}.") from None
    try:
        return critique.model_dump_json()
    except PydanticSerializationError:
        raise Invalid("it holds half of a character, a lone surrogate escape.") from None


@llm_step
async def critique_content(ask: Ask) -> SealedAnswer:
    """Have a draft judged by the critic: a score from 1 to 10 with reasons."""
    return sealed(await current_session().answer(ask, accepted_critique))
