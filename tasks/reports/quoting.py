"""The quote of a batch: what its reports would ask, cost and take, without a call.

The refinement loop itself goes through the stored answers of each topic, up to the first that is
missing. What follows is estimated. Not here: which questions follow (`prospects`), what one of
them takes (`llm.estimates`), the sum (`llm.quotes`).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence

from prefect_llm_reports.tasks.answers.store import AnswerStore
from prefect_llm_reports.tasks.calls.answering import NotKept
from prefect_llm_reports.tasks.calls.policies import LLMStep
from prefect_llm_reports.tasks.contract.calls import Answer, Ask
from prefect_llm_reports.tasks.contract.evidence import Grounds
from prefect_llm_reports.tasks.contract.quotes import Quote, QuotedTopics
from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.llm.estimates import Estimator, Experience
from prefect_llm_reports.tasks.llm.quotes import Outlook, outlook_of, quote_of
from prefect_llm_reports.tasks.reports.checking import CheckedBatch
from prefect_llm_reports.tasks.reports.grounding import grounds_for
from prefect_llm_reports.tasks.reports.prospects import Position, Questions, Walked, remaining
from prefect_llm_reports.tasks.reports.questions import Plan, own_summary_ask
from prefect_llm_reports.tasks.reports.refining import refine
from prefect_llm_reports.tasks.reports.rounds import Rounds
from prefect_llm_reports.tasks.reports.steps import generate_summary
from prefect_llm_reports.tasks.results.earlier import earlier_slugs
from prefect_llm_reports.tasks.sources.library import use_library

AT_ONCE = 32
"""Topics whose stored answers are looked up at the same time."""


async def quote_batch(batch: CheckedBatch) -> Quote:
    """Quote a batch: nothing is asked, and nothing is written.

    Args:
        batch: What would be done.
    """
    options, store = batch.plan.options, AnswerStore(location=batch.store)
    async with store.consulted(days=options.store_days, refresh=options.refresh):
        gate = asyncio.Semaphore(AT_ONCE)
        with use_library(batch.library):
            walked = await asyncio.gather(
                *(_walked(batch.plan, topic, store, gate) for topic in batch.topics)
            )
        asks = any(one.position.step for one in walked)
        experience = Experience(await store.newest() if asks else ())
    slugs = await asyncio.to_thread(earlier_slugs, batch.output)
    titles = {slug.rpartition("-")[0] for slug in slugs}
    changed = [bool(w.kept) or w.topic.slug.rpartition("-")[0] in titles for w in walked]
    whole = [not w.position.step and not w.problem for w in walked]
    cached = sum(whole)
    anew = sum(was and not all_there for was, all_there in zip(changed, whole, strict=True))
    topics = QuotedTopics(new=len(walked) - cached - anew, changed=anew, cached=cached)
    estimator = Estimator(options, {None: batch.endpoints}, experience)
    return quote_of(
        _outlooks(batch.plan, walked, estimator),
        estimator,
        topics,
        sum(w.kept for w in walked),
        warnings=[*batch.warnings, *store.warnings, *(w.problem for w in walked if w.problem)],
    )


async def _walked(plan: Plan, topic: Topic, store: AnswerStore, gate: asyncio.Semaphore) -> Walked:
    """Refine a topic's report with stored answers only, until one is missing."""
    seen: list[Ask] = []
    there: list[bool] = []

    async def look_up(step: LLMStep, ask: Ask, after: Iterable[str] = ()) -> tuple[Answer, bool]:
        del step, after
        at = len(seen)
        seen.append(ask)
        there.append(False)
        answer = await store.kept(ask)
        if answer is None:
            raise NotKept(ask.label)
        there[at] = True
        return answer, True

    grounds: Grounds | None = None
    async with gate:
        await asyncio.sleep(0)  # reads of a quick disk do not give way to other tasks
        try:
            grounds = await grounds_for(topic)
            refined = await refine(plan, topic, look_up)
            await look_up(generate_summary, own_summary_ask(plan, refined))
        except NotKept:
            pass
        except Exception as error:  # whatever it is, the run would fail this report only
            problem = f"{topic.slug}: no report can be made: {type(error).__name__}: {error}"
            return Walked(topic, Position(), sum(there), 0, problem)
    position = Position()
    if False in there:
        missing = seen[there.index(False)]
        beside = [
            kept
            for ask, kept in zip(seen, there, strict=True)
            if (ask.step, ask.round) == (missing.step, missing.round)
        ]
        stored = tuple(at for at, kept in enumerate(beside) if kept)
        position = Position(missing.step, missing.round, stored)
    return Walked(topic, position, sum(there), seen[0].chars, grounds=grounds)


def _outlooks(plan: Plan, walked: Sequence[Walked], estimator: Estimator) -> list[Outlook]:
    """What each topic still takes; topics of the same position and size share one outlook."""
    groups: dict[tuple[Position, int, int, bool], list[Walked]] = defaultdict(list)
    for one in walked:
        title, guidance = len(one.topic.title.encode()), len(one.topic.guidance.encode())
        size = (title.bit_length(), guidance.bit_length(), one.grounds is not None)
        groups[one.position, *size].append(one)
    going_on = Rounds(plan, estimator.experience).goes_on
    open_ones = [one for one in walked if one.position.step]
    questions: dict[tuple[int | bool, ...], Questions] = {}
    found: dict[int, Outlook] = {}
    for (position, *size), members in groups.items():
        if not position.step:
            outlook = Outlook()
        else:
            of_size = questions.get(tuple(size))
            if of_size is None:
                sized = [w for (_, *other), ws in groups.items() if other == size for w in ws]
                alike = [one for one in open_ones if (one.grounds is not None) == size[-1]]
                of_size = questions[tuple(size)] = Questions(plan, sized, alike, estimator)
            grounded = bool(size[-1])
            stages = remaining(plan, position, going_on, of_size.expected, grounded=grounded)
            outlook = outlook_of(estimator, stages, of_size.held)
        found |= {id(one): outlook for one in members}
    return [found[id(one)] for one in walked]
