"""Judging: the tasks that score drafts and compare candidates."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from prefect_llm_reports.tasks.answers.records import sealed
from prefect_llm_reports.tasks.calls.policies import SealedAnswer, llm_step
from prefect_llm_reports.tasks.contract.calls import Ask, Ranking
from prefect_llm_reports.tasks.llm.answer_forms import Form, schema_form
from prefect_llm_reports.tasks.llm.session import current_session
from prefect_llm_reports.tasks.llm.strict_schemas import Json


@llm_step
async def judge_candidates(ask: Ask) -> SealedAnswer:
    """Have candidates compared in one order: a score from 1 to 10 with a reason for each."""
    return sealed(await current_session().answer(ask))


def verdict_form(candidates: int) -> Form:
    """The form of a judge's verdict on this many candidates: a reason and a score for each."""
    judged = {
        "type": "object",
        "properties": {
            "reason": {"type": "string", "description": "What decides the score, in a sentence."},
            "score": {
                "type": "integer",
                "minimum": 1,
                "maximum": 10,
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
            "$defs": {"judged": judged},
        }
    )


def label(position: int) -> str:
    """What the candidate at a position is called before the judge, 0-based."""
    return f"candidate_{position + 1}"


def orders(candidates: int) -> list[list[int]]:
    """The orders in which a judge reads candidates: each stands at every position once.

    For two these are both orders. A preference for a position is then the same for all.
    """
    return [[(at + turn) % candidates for at in range(candidates)] for turn in range(candidates)]


def ranked(names: Sequence[str], verdicts: Sequence[tuple[Sequence[int], Json]]) -> list[Ranking]:
    """Candidates by their mean score, best first.

    Of equals the one whose lowest score is higher, then the one that comes first in the program.

    Args:
        names: The candidates in program order.
        verdicts: For each reading its order, as indexes of `names`, and the verdict.
    """
    found: list[Ranking] = []
    for index, name in enumerate(names):
        given = [verdict[label(list(order).index(index))] for order, verdict in verdicts]
        scores = tuple(int(judged["score"]) for judged in given)
        reasons = tuple(str(judged["reason"]) for judged in given)
        found.append(Ranking(name=name, score=fmean(scores), scores=scores, reasons=reasons))
    return sorted(found, key=lambda ranking: (-ranking.score, -min(ranking.scores)))
