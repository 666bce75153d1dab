"""The questions that a report still asks after its stored answers end.

Here: which they are, and how long they can be. Not here: what one of them takes
(`llm.estimates`), how many rounds there usually are (`rounds`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from statistics import fmean

from prefect_llm_reports.tasks.contract.calls import Ask
from prefect_llm_reports.tasks.contract.choices import CLAIMS_A_CALL, WORDS_A_CLAIM
from prefect_llm_reports.tasks.contract.evidence import Grounds
from prefect_llm_reports.tasks.contract.records import OFFLINE
from prefect_llm_reports.tasks.contract.reports import Critique, Topic
from prefect_llm_reports.tasks.llm.estimates import TOKENS_A_WORD, Estimator, Expected
from prefect_llm_reports.tasks.llm.quotes import Part
from prefect_llm_reports.tasks.llm.requests import input_bound
from prefect_llm_reports.tasks.reports.questions import (
    BYTES_A_WORD,
    Plan,
    critique_ask,
    draft_ask,
    judge_ask,
    needed_asks,
    revise_ask,
    summary_ask,
)
from prefect_llm_reports.tasks.reports.support import Pair, support_ask

CHARS_A_WORD, PASSAGE_WORDS = 6, 200
CRITIQUE_TOKENS, SUMMARY_TOKENS, VERDICT_TOKENS = 350, 280, 60
"""Usual lengths of answers while nothing is recorded; a verdict's is that on one candidate."""


@dataclass(frozen=True)
class Position:
    """The question at which a report's stored answers end.

    Attributes:
        step: Its step; empty: the store has all answers.
        round: Its round of critique.
        stored: The questions that are asked together with it and are answered, by their order.
    """

    step: str = ""
    round: int = 0
    stored: tuple[int, ...] = ()


@dataclass
class Walked:
    """What the store has of a topic.

    Attributes:
        kept: Stored answers that its report uses.
        draft_chars: Characters of the prompt for its first draft.
        problem: Why the run would fail its report; empty: nothing is known.
        grounds: The passages that its prompts show; None: the topic has no sources.
    """

    topic: Topic
    position: Position
    kept: int
    draft_chars: int
    problem: str = ""
    grounds: Grounds | None = None


def remaining(
    plan: Plan,
    position: Position,
    goes_on: Callable[[int], float],
    expected: Callable[[str, int, int], Expected],
    *,
    grounded: bool = False,
) -> list[list[Part]]:
    """The questions that a report still asks, in stages, each stage at the same time.

    Args:
        plan: How the reports are made.
        position: Where its stored answers end.
        goes_on: The share of reports that another round follows, by round.
        expected: A question by step, round and critic.
        grounded: The report has sources, so the support of its claims is judged as well.
    """
    options = plan.options
    judged = options.support_calls if grounded and plan.model != OFFLINE else 0
    critics = range(max(1, len(options.critics)))
    stages: list[list[Part]] = []
    judging = options.candidates if options.candidates > 1 else 0
    several = {"draft": options.candidates, "judge": judging}
    for step in ("draft", "judge")[0 if position.step == "draft" else 1 :]:
        if position.step in ("draft", "judge"):
            stored = position.stored if step == position.step else ()
            left = several[step] - len(stored)
            stages.append([Part(expected(step, 0, 0), 1) for _ in range(left)])
    if position.step != "summary":
        at, share = max(1, position.round), 1.0
        if position.step == "revise":
            stages.append([Part(expected("revise", at, 0), 1)])
            at += 1
        stored = position.stored if position.step == "critique" else ()
        if position.step == "support":
            stored = tuple(critics)
        while True:
            asked = [n for n in critics if n not in stored]
            parts = [Part(expected("critique", at, critic), share) for critic in asked]
            known = len(position.stored) if position.step == "support" and not parts else 0
            beside = [Part(expected("support", at, 0), share) for _ in range(judged - known)]
            if stored or len(parts) == 1:
                stages.append([*parts, *beside])
            else:
                stages += [parts[:1], [*parts[1:], *beside]]
            if at == plan.max_iterations:
                break
            share, stored = share * goes_on(at), ()
            stages.append([Part(expected("revise", at, 0), share)])
            at += 1
    stages.append([Part(expected("summary", 0, 0), 1)])
    return [stage for stage in stages if stage]


@dataclass
class Questions:
    """The questions about topics of about one size.

    Args:
        plan: How the reports are made.
        sized: The topics of this size.
        asked: All topics that are asked about.
        estimator: Knows the questions of earlier answers.
    """

    plan: Plan
    sized: Sequence[Walked]
    asked: Sequence[Walked]
    estimator: Estimator
    _made: dict[tuple[str, int, int], Expected] = field(
        default_factory=dict[tuple[str, int, int], Expected]
    )

    def __post_init__(self) -> None:
        topics = [one.topic for one in self.sized]
        self._largest = Topic(
            title=max((topic.title for topic in topics), key=lambda text: len(text.encode())),
            guidance=max((topic.guidance for topic in topics), key=lambda text: len(text.encode())),
        )
        by_length = sorted(self.asked, key=lambda one: one.draft_chars)
        self._usual = by_length[len(by_length) // 2].topic
        self._grounds = by_length[len(by_length) // 2].grounds
        self._most_grounds = max(
            (one.grounds for one in self.sized if one.grounds),
            key=lambda grounds: sum(len(text) for text in grounds.shown),
            default=None,
        )
        draft = draft_ask(self.plan, self._usual, grounds=self._grounds)
        mean = self.estimator.experience.mean(draft, draft.model)
        chars = fmean(one.draft_chars for one in self.asked)
        self._longer = chars - mean.chars if mean else 0.0

    @cached_property
    def held(self) -> Decimal | None:
        """What a budget must have left before a report is begun."""
        if self.plan.options.budget_usd is None:
            return Decimal(0)
        asks = needed_asks(self.plan, self._largest, self._most_grounds)
        held = [self.estimator.held(ask) for ask in asks]
        known = [usd for usd in held if usd is not None]
        return sum(known, Decimal(0)) if len(known) == len(held) else None

    def expected(self, step: str, at: int, critic: int) -> Expected:
        """A question by its step, its round of critique and its critic."""
        key = (step, at, critic)
        if key not in self._made:
            self._made[key] = self._expected(*key)
        return self._made[key]

    def _expected(self, step: str, at: int, critic: int) -> Expected:
        options = self.plan.options
        limit, words = options.max_output_tokens, options.length_words
        draft, critique = max(limit, BYTES_A_WORD * words), limit * max(1, len(options.critics))
        most = {
            "draft": 0,
            "judge": options.candidates * draft,
            "critique": draft,
            "revise": draft + at * critique,
            "summary": draft,
            "support": 2 * CLAIMS_A_CALL * CHARS_A_WORD * PASSAGE_WORDS,
        }
        output = {
            "draft": words * TOKENS_A_WORD,
            "judge": VERDICT_TOKENS * options.candidates,
            "critique": CRITIQUE_TOKENS,
            "revise": words * TOKENS_A_WORD,
            "summary": SUMMARY_TOKENS,
            "support": VERDICT_TOKENS * CLAIMS_A_CALL,
        }
        text = "x" * (words * CHARS_A_WORD)
        return Expected(
            ask=self._ask(
                self._usual, self._grounds, step, at, critic, text, "x" * (4 * CRITIQUE_TOKENS)
            ),
            output_tokens=output[step],
            at_most=input_bound(
                self._ask(self._largest, self._most_grounds, step, at, critic, "", ""), ()
            )
            + most[step],
            longer=0.0 if step in ("summary", "support") else self._longer,
        )

    def _ask(
        self,
        topic: Topic,
        grounds: Grounds | None,
        step: str,
        at: int,
        critic: int,
        draft: str,
        critique: str,
    ) -> Ask:
        plan, options = self.plan, self.plan.options
        match step:
            case "draft":
                return draft_ask(plan, topic, grounds=grounds)
            case "judge":
                return judge_ask(plan, topic, [draft] * options.candidates, 1)
            case "critique":
                by = options.critics[critic] if options.critics else None
                return critique_ask(plan, topic, at, draft, by, grounds=grounds)
            case "support":
                words = "x" * (CHARS_A_WORD * PASSAGE_WORDS if draft else 0)
                pair = Pair(words[: CHARS_A_WORD * WORDS_A_CLAIM], "", words, shared=False)
                return support_ask(plan, topic, at, [pair] * CLAIMS_A_CALL, 1)
            case "revise":
                said = Critique(score=5, strengths=[], improvements=[critique], summary="")
                return revise_ask(plan, topic, at, draft, said, [], grounds=grounds)
            case _:
                return summary_ask(plan, topic, draft, grounded=grounds is not None)
