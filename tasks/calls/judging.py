"""Judging: a model compares candidates in every order, and their mean scores rank them.

Here: the task, the form of a verdict, the candidates' labels, the orders, the ranking. Not here:
the candidates, and the qualities to judge by (`reports`, `branches`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean
from typing import Generic, TypeVar

from prefect_llm_reports.tasks.answers.records import sealed
from prefect_llm_reports.tasks.calls.policies import SealedAnswer, llm_step
from prefect_llm_reports.tasks.contract.calls import Ask, Ranking
from prefect_llm_reports.tasks.contract.choices import SCORES
from prefect_llm_reports.tasks.llm.answer_forms import Form, schema_form
from prefect_llm_reports.tasks.llm.session import current_session
from prefect_llm_reports.tasks.llm.strict_schemas import Json

T = TypeVar("T")


@llm_step
async def judge_candidates(ask: Ask) -> SealedAnswer:
    """Compare candidates in one order: a score from 1 to 10 with a reason for each."""
    return sealed(await current_session().answer(ask))


@lru_cache(maxsize=100)
def verdict_form(candidates: int) -> Form:
    """The form of a judge's verdict on this many candidates: a reason and a score for each."""
    verdict = {
        "type": "object",
        "properties": {
            "reason": {"type": "string", "description": "What decides the score, in a sentence."},
            "score": {
                "type": "integer",
                "minimum": SCORES.least,
                "maximum": SCORES.most,
                "description": "Its quality.",
            },
        },
        "required": ["reason", "score"],
        "additionalProperties": False,
    }
    names = [label(number) for number in range(candidates)]
    return schema_form(
        {
            "type": "object",
            "properties": {name: {"$ref": "#/$defs/judged"} for name in names},
            "required": names,
            "additionalProperties": False,
            "$defs": {"judged": verdict},
        }
    )


def label(position: int) -> str:
    """The judge's name for the candidate at a position, 0-based."""
    return f"candidate_{position + 1}"


@dataclass(frozen=True)
class Comparison(Generic[T]):
    """Candidates that a judge reads once in each of several orders.

    Attributes:
        candidates: The candidates by name, in program order.
    """

    candidates: Mapping[str, T]

    @property
    def readings(self) -> list[list[T]]:
        """The candidates in each order in which the judge reads them."""
        given = list(self.candidates.values())
        return [[given[at] for at in order] for order in orders(len(given))]

    def ranking(self, verdicts: Sequence[str]) -> list[Ranking]:
        """Rank the candidates, best first.

        Args:
            verdicts: The judge's answers as JSON, one for each reading.
        """
        read: list[Json] = [json.loads(verdict) for verdict in verdicts]
        turns = orders(len(self.candidates))
        return ranked(list(self.candidates), list(zip(turns, read, strict=True)))


def orders(candidates: int) -> list[list[int]]:
    """The orders in which a judge reads candidates: each stands at every position once.

    For two candidates these are both orders. A preference for a position then serves all alike.
    """
    return [[(at + turn) % candidates for at in range(candidates)] for turn in range(candidates)]


def ranked(names: Sequence[str], verdicts: Sequence[tuple[Sequence[int], Json]]) -> list[Ranking]:
    """Candidates by their mean score, best first.

    Among equals the one with the higher lowest score comes first, then the one that comes first
    in the program.

    Args:
        names: The candidates in program order.
        verdicts: Each reading's order, as indexes of `names`, with its verdict.
    """
    found: list[Ranking] = []
    for index, name in enumerate(names):
        given = [verdict[label(list(order).index(index))] for order, verdict in verdicts]
        scores = tuple(int(part["score"]) for part in given)
        reasons = tuple(str(part["reason"]) for part in given)
        found.append(Ranking(name=name, score=fmean(scores), scores=scores, reasons=reasons))
    return sorted(found, key=lambda ranking: (-ranking.score, -min(ranking.scores)))
