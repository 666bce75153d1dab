"""The questions of a report: their form, and what makes two of them the same question."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prefect_llm_reports.tasks.contract.calls import Ask, Message
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.contract.records import Price
from prefect_llm_reports.tasks.contract.reports import CriticOpinion, Critique, Topic
from prefect_llm_reports.tasks.reports.panels import merged_critique
from prefect_llm_reports.tasks.reports.questions import (
    CRITIQUE,
    Plan,
    critique_ask,
    draft_ask,
    judge_ask,
    revise_ask,
    summary_ask,
)
from prefect_llm_reports.tasks.reports.support import Pair, support_ask

TOPIC = Topic(title="Edge computing", guidance="Mention cost")
PAIR = Pair("It is so.", "it is so", "s1-1\n\nThey say that it is so.", shared=False)
JUDGED = Critique(score=5, strengths=["s"], improvements=["i"], summary="m")


PANEL = (
    CriticOpinion(name="a", critique=JUDGED),
    CriticOpinion(name="b", critique=JUDGED.model_copy(update={"score": 8})),
)


def asks(plan: Plan) -> dict[str, Ask]:
    critic = plan.options.critics[0] if plan.options.critics else None
    judged = merged_critique(PANEL, plan.options.critics_merge)
    return {
        "draft": draft_ask(plan, TOPIC),
        "critique": critique_ask(plan, TOPIC, 1, "# D", critic),
        "revise": revise_ask(plan, TOPIC, 1, "# D", judged, [JUDGED]),
        "summary": summary_ask(plan, TOPIC, "# D"),
        "judge": judge_ask(plan, TOPIC, ["# D", "# E"], 1),
        "support": support_ask(plan, TOPIC, 1, [PAIR], 1),
    }


def plan(**options: Any) -> Plan:
    return Plan(
        endpoint="https://a/v1",
        model="m",
        max_iterations=3,
        quality_threshold=8,
        options=ReportOptions(**options),
    )


ASK = Ask(
    step="draft",
    label="l",
    item="i",
    endpoint="https://a/v1",
    model="m",
    messages=(Message(role="user", content="c"),),
    max_output_tokens=100,
)
CHANGED_IN_KEY: dict[str, Any] = {
    "endpoint": "https://b/v1",
    "model": "n",
    "messages": (Message(role="system", content="c"),),
    "output_name": "critique",
    "output_schema": {"type": "object"},
    "max_output_tokens": 101,
    "temperature": 0.0,
    "reasoning_effort": "low",
    "extra_body": {"top_p": 0.5},
    "variant": "2",
}
CHANGED_OUT_OF_KEY: dict[str, Any] = {
    "step": "s",
    "label": "x",
    "item": "j",
    "needed": False,
    "accept": CRITIQUE.accept,
    "bounded_schema": CRITIQUE.bounded,
    "shares_prefix": True,
    "round": 2,
    "wishes": "English, 800 words",
}


def test_every_field_of_a_question_declares_whether_it_is_part_of_the_key() -> None:
    """Every field of a question is listed here, as part of the key or not."""
    assert CHANGED_IN_KEY.keys() == Ask.IN_KEY
    assert CHANGED_IN_KEY.keys() | CHANGED_OUT_OF_KEY.keys() == Ask.model_fields.keys()


@pytest.mark.parametrize(("field", "value"), [*CHANGED_IN_KEY.items(), *CHANGED_OUT_OF_KEY.items()])
def test_a_changed_field_changes_the_key_if_it_is_part_of_it(field: str, value: Any) -> None:
    """A changed field gives another key exactly if it is declared part of the key."""
    built = Ask(**{**{name: getattr(ASK, name) for name in Ask.model_fields}, field: value})
    assert ASK.key, "a copy must not keep the original's key"
    assert (built.key != ASK.key) == (field in Ask.IN_KEY)
    assert ASK.model_copy(update={field: value}).key == built.key


def test_a_key_is_the_same_in_every_process() -> None:
    """A key is 64 hex digits and depends on nothing but the question."""
    again = Ask.model_validate_json(ASK.model_dump_json())
    assert again.key == ASK.key
    assert again.key == "8c0e4518017fa29428977ba9a4318288c11eda89d9a5aeff2f501d61b5a7115d"


ALL = {"draft", "critique", "revise", "summary", "judge"}
EVERY = {*ALL, "support"}
BODY = {"draft", "critique", "revise"}
CHANGED_OPTIONS: dict[str, tuple[Any, set[str]]] = {
    "writer_model": ("w", {"draft", "revise"}),
    "critic_model": ("c", {"critique", "support"}),
    "summary_model": ("s", {"summary"}),
    "language": ("French", ALL),
    "audience": ("children", ALL),
    "length_words": (500, {*BODY, "judge"}),
    "house_style": ("No adverbs.", BODY),
    "max_output_tokens": (999, EVERY),
    "temperature": (0.0, EVERY),
    "reasoning_effort": ("low", EVERY),
    "extra_body": ({"top_p": 0.5}, EVERY),
    "templates": ("FOLDER", {"critique"}),
    "judge_model": ("j", {"judge"}),
    "critics": ([{"name": "clarity", "focus": "Is it clear?"}], {"critique"}),
    "critics_merge": ("minimum", {"revise"}),
    "candidates": (3, set()),
    "concurrency": (3, set()),
    "budget_usd": (1, set()),
    "deadline_s": (7, set()),
    "plateau": (2, set()),
    "requests_per_minute": (5, set()),
    "tokens_per_minute": (5, set()),
    "prices": ({"m": Price(input=1, output=1)}, set()),
    "store": ("elsewhere", set()),
    "store_days": (1, set()),
    "store_mb": (1, set()),
    "refresh": (True, set()),
    "quote": (True, set()),
    "formats": (("pdf", "docx"), set()),
    "sources": (("notes.md",), set()),
    "min_coverage": (0.5, set()),
    "support": (False, set()),
    "support_model": ("j", {"support"}),
    "evidence_words": (500, set()),
    "topic_column": ("Subject", set()),
    "guidance_column": ("Notes", set()),
    "approval": (True, set()),
    "approval_days": (2, set()),
    "pages_url": ("https://reports.example.com", set()),
    "trace": ("http://127.0.0.1:5000", set()),
    "experiment": ("Weekly", set()),
    "fallbacks": ([{"model": "n"}], set()),
    "patience_s": (5, set()),
    "price": ("flex", set()),
    "when_late": ("standard", set()),
    "shards": (3, set()),
    "shard_deployment": ("report-shard/elsewhere", set()),
}


def test_every_option_declares_whether_it_reaches_the_model() -> None:
    """Every option is listed here, with the steps it changes; IN_PROMPT says the same."""
    assert CHANGED_OPTIONS.keys() == ReportOptions.model_fields.keys()
    assert {n for n, (_, steps) in CHANGED_OPTIONS.items() if steps} == ReportOptions.IN_PROMPT


@pytest.mark.parametrize("field", CHANGED_OPTIONS)
def test_a_changed_option_changes_the_keys_it_declares(field: str, tmp_path: Path) -> None:
    """A changed option causes exactly the answers to be asked for again that it can change."""
    value, steps = CHANGED_OPTIONS[field]
    if field == "templates":
        (tmp_path / "prompts").mkdir()
        (tmp_path / "prompts" / "critic.j2").write_text(
            "{% block system %}Judge.{% endblock %}{% block user %}{{ draft }}{% endblock %}"
        )
        value = str(tmp_path)
    before, after = asks(plan()), asks(plan(**{field: value}))
    assert {step for step in EVERY if before[step].key != after[step].key} == steps


def test_the_questions_are_different_and_named() -> None:
    """Each question names its report, step and round; those the report needs are marked."""
    found = asks(plan())
    assert len({ask.key for ask in found.values()}) == 6
    assert {step: ask.needed for step, ask in found.items()} == {
        "draft": True,
        "critique": True,
        "revise": False,
        "summary": True,
        "judge": False,
        "support": False,
    }
    assert not critique_ask(plan(), TOPIC, 2, "# D").needed
    assert found["critique"].label == f"critique 1 \u00b7 {TOPIC.title}"
    assert found["summary"].label == f"summary \u00b7 {TOPIC.title}"
    assert found["critique"].output_schema == CRITIQUE.schema
    assert found["draft"].output_schema is None


def test_candidates_are_different_questions_and_the_first_is_that_of_a_single_draft() -> None:
    """More candidates add questions and never change the first; only that one is needed."""
    several = [draft_ask(plan(candidates=3), TOPIC, number) for number in (1, 2, 3)]
    assert len({ask.key for ask in several}) == 3
    assert several[0].key == draft_ask(plan(), TOPIC).key
    assert [ask.needed for ask in several] == [True, False, False]
    assert several[1].label == f"draft, candidate 2 \u00b7 {TOPIC.title}"


def test_critics_of_a_panel_are_asked_different_questions() -> None:
    """Each critic reads its own part, asks its own model, and stands in the task run's name."""
    options = {"critics": [{"name": n, "focus": f"{n}?"} for n in ("depth", "tone")]}
    options["critics"][1]["model"] = "other"
    asked = plan(**options)
    depth, tone = (critique_ask(asked, TOPIC, 2, "# D", c) for c in asked.options.critics)
    assert (depth.model, tone.model) == ("m", "other")
    assert (
        depth.messages[0] == tone.messages[0] == critique_ask(plan(), TOPIC, 2, "# D").messages[0]
    )
    before, _, after = depth.messages[1].content.partition("</draft>")
    assert tone.messages[1].content.startswith(f"{before}</draft>")
    assert "depth: depth?" in after
    assert (depth.shares_prefix, critique_ask(plan(), TOPIC, 2, "# D").shares_prefix) == (
        True,
        False,
    )
    assert tone.label == f"critique 2, tone \u00b7 {TOPIC.title}"
    assert len({depth.key, tone.key, critique_ask(plan(), TOPIC, 2, "# D").key}) == 3


def test_a_critic_can_be_asked_as_version_0_1_did() -> None:
    """Its part then stands before the draft, so that answers of that version are found."""
    asked = plan(critics=[{"name": "depth", "focus": "Deep?"}])
    before = critique_ask(asked, TOPIC, 1, "# D", asked.options.critics[0], part_first=True)
    assert "depth: Deep?" in before.messages[0].content
    assert "depth" not in before.messages[1].content
    plain = critique_ask(plan(), TOPIC, 1, "# D")
    assert plain.key == critique_ask(plan(), TOPIC, 1, "# D", part_first=True).key
