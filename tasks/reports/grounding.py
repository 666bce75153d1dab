"""One report's sources: its passages, what checking finds in its drafts, and the judge's opinions.

Here: the state of one topic with sources. Not here: the checks themselves (`citations`), the loop
that acts on them (`refining`), the record for readers (`reports.evidence`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self, TypeVar

from prefect_llm_reports.tasks.answers.store import current_store
from prefect_llm_reports.tasks.citations.checking import Checked, checked, counted
from prefect_llm_reports.tasks.citations.findings import cap_of, findings_of
from prefect_llm_reports.tasks.contract.calls import Answer, Ask, Message
from prefect_llm_reports.tasks.contract.choices import CLAIMS_A_CALL
from prefect_llm_reports.tasks.contract.errors import StorageError
from prefect_llm_reports.tasks.contract.evidence import Claim, EvidenceCount, Grounds
from prefect_llm_reports.tasks.contract.records import OFFLINE, canonical_json
from prefect_llm_reports.tasks.contract.reports import Draft, Topic
from prefect_llm_reports.tasks.reports.questions import Plan
from prefect_llm_reports.tasks.reports.support import Opinion, Pair, read_opinions, support_ask
from prefect_llm_reports.tasks.sources.library import current_library

logger = logging.getLogger(__name__)

T = TypeVar("T")

LONG_WORDS = 2000
"""Length from which the sections of a report look for passages of their own."""
MOST_SECTIONS = 30


async def grounds_for(topic: Topic, sections: Sequence[str] = ()) -> Grounds | None:
    """The passages of a topic; None: it has no sources.

    Args:
        topic: The topic of the report.
        sections: Headings of a draft, which look for passages of their own.

    Raises:
        NothingToQuote: No passage fits the topic.
    """
    library = current_library()
    if library is None or not library.covers(topic):
        return None
    passages = await library.passages(topic, tuple(sections))
    ids = dict.fromkeys(passage.source for passage in passages)
    return Grounds(sources=tuple(library.source(topic, id) for id in ids), passages=passages)


@dataclass
class Look:
    """What was found in one draft.

    Attributes:
        checked: What code found; None: checking failed.
        grounds: The passages that its writer was shown.
    """

    checked: Checked | None
    grounds: Grounds


@dataclass
class Grounding:
    """The sources of one report while it is written.

    Attributes:
        plan: The batch's models and options.
        topic: The topic of the report.
        grounds: The passages that prompts show.
        problem: Why a draft could not be checked; empty: all were.
    """

    plan: Plan
    topic: Topic
    grounds: Grounds
    problem: str = ""
    _widened: bool = False
    _looks: dict[int, Look] = field(default_factory=dict[int, Look])
    _opinions: dict[str, Opinion] = field(default_factory=dict[str, Opinion])
    _remembered: bool = False

    @classmethod
    async def begun(cls, plan: Plan, topic: Topic) -> Self | None:
        """The sources of a topic; None: it has none.

        Raises:
            NothingToQuote: No passage fits the topic.
        """
        grounds = await grounds_for(topic)
        return None if grounds is None else cls(plan, topic, grounds)

    def safely(self, what: str, work: Callable[[], T], otherwise: T) -> T:
        """Do a part of the checks; a fault in it is noted, and never ends the report.

        Args:
            what: What was to be done, for the message.
            work: Does it.
            otherwise: What counts where it fails.
        """
        try:
            return work()
        except Exception as error:
            logger.error("%s: %s failed", self.topic.slug, what, exc_info=error)
            self.problem = (
                f"{what} failed: unexpected {type(error).__name__}; the log of the flow run has the"
                " traceback"
            )
            return otherwise

    def check(self, draft: Draft) -> None:
        """Check a draft by code."""
        found = self.safely(
            f"checking draft {draft.number}",
            lambda: checked(
                draft.text, self.grounds.passages, self._asked(), title=self.topic.title
            ),
            None,
        )
        self._looks[draft.number] = Look(found, self.grounds)

    def _asked(self) -> str:
        return f"{self.topic.title}\n{self.topic.guidance}"

    async def widen(self, draft: Draft) -> None:
        """Let each section of a long report look for passages, once, before the first revision."""
        if self._widened or self.plan.options.length_words < LONG_WORDS:
            return
        self._widened = True
        look = self._looks[draft.number]
        claims = look.checked.claims if look.checked else ()
        sections = list(dict.fromkeys(claim.section for claim in claims if claim.section))
        if sections:
            wider = await grounds_for(self.topic, sections[:MOST_SECTIONS])
            self.grounds = wider or self.grounds

    # The judge of support

    async def support_asks(self, draft: Draft, iteration: int) -> list[tuple[Ask, list[Pair]]]:
        """The questions to the judge about pairs that it has not judged yet, ten a question."""
        if not self.plan.options.support or self.plan.model == OFFLINE:
            return []  # the embedded engine has no opinion
        pairs = list({pair.key: pair for pair in self._pairs(draft).values()}.values())
        asks = self._questions(pairs, iteration)
        try:
            kept = [await current_store().kept(ask) for ask, _ in asks]
        except LookupError:  # there is no store here
            return asks
        if None in kept:  # this draft is new, and perhaps some of its pairs are not
            await self._remember()
            asks = self._questions(pairs, iteration)
        return asks

    def _questions(self, pairs: Sequence[Pair], iteration: int) -> list[tuple[Ask, list[Pair]]]:
        new = [pair for pair in pairs if pair.key not in self._opinions]
        groups = [new[at : at + CLAIMS_A_CALL] for at in range(0, len(new), CLAIMS_A_CALL)]
        return [
            (self._support_ask(group, iteration, number), group)
            for number, group in enumerate(groups, start=1)
        ]

    def _support_ask(self, group: Sequence[Pair], iteration: int, number: int) -> Ask:
        return support_ask(self.plan, self.topic, iteration, group, number)

    def _pairs(self, draft: Draft) -> dict[int, Pair]:
        """The pairs of a draft whose quotations are verified, by the place of their claim."""
        return self.safely("reading its notes", lambda: self._read_pairs(draft), {})

    def _read_pairs(self, draft: Draft) -> dict[int, Pair]:
        look = self._looks[draft.number]
        if look.checked is None:
            return {}
        claims = look.checked.claims
        texts = dict(zip((p.id for p in look.grounds.passages), look.grounds.shown, strict=True))
        cited: dict[tuple[str, str], int] = {}
        for claim in claims:
            if claim.verdict != "none":
                place = (claim.section, claim.sentence)
                cited[place] = cited.get(place, 0) + 1
        return {
            at: Pair(
                claim.sentence,
                claim.quote,
                texts[claim.passage].partition("\n\n")[2],
                shared=cited[claim.section, claim.sentence] > 1,
            )
            for at, claim in enumerate(claims)
            if claim.verdict == "verified" and claim.passage
        }

    def learn(self, group: Sequence[Pair], answer: str) -> None:
        """Note what the judge said of pairs."""
        self._opinions |= read_opinions(group, answer)

    async def _remember(self) -> None:
        """Take over what the judge said in earlier runs on this topic."""
        if self._remembered:
            return
        self._remembered = True
        answer = await current_store().kept(self._memory())
        for key, (support, reason) in json.loads(answer.text).items() if answer else ():
            self._opinions.setdefault(key, Opinion(support, reason))

    async def keep(self) -> None:
        """Keep the opinions for later runs; without them the judge is asked again."""
        said = {key: [one.support, one.reason] for key, one in sorted(self._opinions.items())}
        ask = self._memory()
        answer = Answer(text=canonical_json(said), model=ask.model, endpoint=ask.endpoint)
        try:
            await current_store().keep(ask, answer)
        except (LookupError, StorageError) as error:
            logger.warning("%s: opinions were not kept: %s", self.topic.slug, error)

    def _memory(self) -> Ask:
        """The name under which the store keeps all opinions on a topic: of judge and options."""
        asked = self._support_ask([Pair("", "", "", shared=False)], 0, 0)
        memory = (Message(role="user", content=f"opinions kept on {self.topic.mark}"),)
        return asked.model_copy(update={"messages": (*asked.messages, *memory)})

    # What follows

    def claims(self, draft: Draft) -> tuple[Claim, ...]:
        """The claims of a draft, with the judge's opinions."""
        look = self._looks[draft.number]
        if look.checked is None:
            return ()
        if not self._opinions:
            return look.checked.claims
        claims = list(look.checked.claims)
        for at, pair in self._pairs(draft).items():
            if opinion := self._opinions.get(pair.key):
                update = {"support": opinion.support, "reason": opinion.reason}
                claims[at] = claims[at].model_copy(update=update)
        return tuple(claims)

    def counts(self, draft: Draft) -> EvidenceCount | None:
        """What was found in a draft, counted; None: checking failed."""
        found = self._looks[draft.number].checked
        if found is None or not self._opinions:
            return found and found.counts
        return counted(self.claims(draft), found.sentences, found.coverage)

    def capped(self, draft: Draft) -> Draft:
        """A scored draft with what was found in it, and its score capped by that."""
        return self.safely("capping the score", lambda: self._capped(draft), draft)

    def _capped(self, draft: Draft) -> Draft:
        counts, score = self.counts(draft), draft.score
        if counts is None or score is None:
            return draft
        draft = draft.model_copy(update={"evidence": counts})
        cap, why = cap_of(counts, self.plan.options.min_coverage)
        if cap is None or score <= cap:
            return draft
        logger.info("%s: score %g is capped at %d: %s", self.topic.slug, score, cap, why)
        capped = {"critic_score": score, "score": float(cap), "capped": why}
        return draft.model_copy(update=capped)

    def findings(self, draft: Draft) -> list[str]:
        """What the writer should mend in a draft, the worst first."""
        found, least = self._looks[draft.number].checked, self.plan.options.min_coverage
        if found is None:
            return []
        return self.safely(
            "naming faults", lambda: findings_of(found, self.claims(draft), least), []
        )

    def look(self, draft: Draft) -> Look:
        """What was found in a draft."""
        return self._looks[draft.number]
