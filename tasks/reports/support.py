"""The judge of support: whether a passage bears out the sentence that cites it.

Here: its question, the form of its answer, and the answer read. Its word is an opinion, and changes
no score. Not here: which pairs it is asked about (`grounding`), the wording (`calls.prompts`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from prefect_llm_reports.tasks.answers.records import sealed
from prefect_llm_reports.tasks.calls.policies import SealedAnswer, llm_step
from prefect_llm_reports.tasks.calls.prompts import support_prompt
from prefect_llm_reports.tasks.contract.calls import Ask
from prefect_llm_reports.tasks.contract.evidence import OPINIONS, Support
from prefect_llm_reports.tasks.contract.records import canonical_json, digest
from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.llm.answer_forms import Form, schema_form
from prefect_llm_reports.tasks.llm.session import current_session
from prefect_llm_reports.tasks.reports.questions import Plan, report_ask
from prefect_llm_reports.tasks.text.markdown import well_formed

MOST_REASON = 500
"""Characters of a reason that are kept."""


@llm_step
async def judge_support(ask: Ask) -> SealedAnswer:
    """Ask a judge whether passages bear out the sentences that cite them."""
    return sealed(await current_session().answer(ask))


@dataclass(frozen=True)
class Opinion:
    """What the judge said of one pair of a sentence and a passage."""

    support: Support
    reason: str


@dataclass(frozen=True)
class Pair:
    """A sentence and the passage that its note quotes, as the judge reads them."""

    sentence: str
    quote: str
    passage: str
    shared: bool

    @property
    def key(self) -> str:
        """Equal for equal pairs, in whatever draft and run."""
        return digest(canonical_json([self.sentence, self.quote, self.passage, self.shared]))[:32]

    def shown(self, number: int) -> dict[str, object]:
        """The pair as the prompt shows it."""
        return {
            "name": pair_name(number),
            "sentence": self.sentence,
            "passage": self.passage,
            "quote": self.quote,
            "shared": self.shared,
        }


def support_ask(
    plan: Plan, topic: Topic, iteration: int, pairs: Sequence[Pair], number: int
) -> Ask:
    """Ask a judge whether passages support sentences; a report does not need its opinion.

    Args:
        plan: The batch's models and options.
        topic: The topic of the report.
        iteration: The round of critique, 1-based.
        pairs: Sentences and passages.
        number: Which call of this round it is, 1-based.
    """
    form = support_form(len(pairs))
    shown = [pair.shown(at) for at, pair in enumerate(pairs, start=1)]
    return report_ask(
        plan,
        topic,
        "support",
        iteration,
        support_prompt(plan.options, shown),
        part=f"part {number}",
        output_name="support",
        output_schema=form.schema,
        bounded_schema=form.bounded,
        accept=form.accept,
        needed=False,
    )


@lru_cache(maxsize=20)
def support_form(pairs: int) -> Form:
    """The form of opinions on this many pairs: a reason and a verdict for each."""
    opinion = {
        "type": "object",
        "properties": {
            "reason": {"type": "string", "description": "The words that decide, in a sentence."},
            "verdict": {"type": "string", "enum": list(OPINIONS), "description": "What follows."},
        },
        "required": ["reason", "verdict"],
        "additionalProperties": False,
    }
    names = [pair_name(number) for number in range(1, pairs + 1)]
    return schema_form(
        {
            "type": "object",
            "properties": {name: {"$ref": "#/$defs/judged"} for name in names},
            "required": names,
            "additionalProperties": False,
            "$defs": {"judged": opinion},
        }
    )


def pair_name(number: int) -> str:
    """The judge's name for a pair of a sentence and a passage, 1-based."""
    return f"pair_{number}"


def read_opinions(pairs: Sequence[Pair], answer: str) -> dict[str, Opinion]:
    """What a judge said, by the key of each pair.

    Args:
        pairs: The pairs that it was asked about, in order.
        answer: Its accepted answer.
    """
    said = json.loads(answer)
    found: dict[str, Opinion] = {}
    for number, pair in enumerate(pairs, start=1):
        one = said[pair_name(number)]
        reason = well_formed(" ".join(str(one["reason"]).split()))[:MOST_REASON]
        found[pair.key] = Opinion(one["verdict"], reason)
    return found
