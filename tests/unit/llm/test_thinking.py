"""Reasoning is taken off the beginning of an answer; a report about it is left whole."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.llm.thinking import without_reasoning

WHOLE = [
    "# Tags\n\nModels write `<think>` before and `</think>` after.",
    "# Tags\n\n```\n<think>a</think>\n```\n\nEnd.",
    "Some models begin with <think> and end with </think>.",
    "No marks at all, a < b > c.",
    "<thinkers> meet.",
]
CUT = [
    "<think>a</think>b",
    " \n<THINK>a</THINK>\nb",
    "<thinking>a {x}</thinking>b",
    "<reasoning>a</reasoning>b",
    "<think>a</think><think>c</think>b",
    "<think class='x'>a</think>b",
    "<think>a <think>c</think> d</think>b",
    "<think>the mark <think> opens it</think>b",
    "Here is my thought process: a\nHere is my response: b",
    "<think>a</think>b</s>",
    "b<|im_end|>",
    "a\n</think>b",
    "a </thinking> b",
    "<|begin_of_thought|>a<|end_of_thought|><|begin_of_solution|>b<|end_of_solution|>",
    "<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>b<|END_RESPONSE|>",
    "[THINK]a[/THINK]b",
    "◁think▷a◁/think▷b",
    "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b",
]


@pytest.mark.parametrize("text", WHOLE)
def test_a_text_about_reasoning_is_left_whole(text: str) -> None:
    """Marks inside a text are its own words."""
    assert without_reasoning(text) == text


@pytest.mark.parametrize("text", CUT)
def test_reasoning_before_the_answer_is_cut_off(text: str) -> None:
    """In every spelling, once or several times."""
    assert without_reasoning(text).strip() == "b"


@pytest.mark.parametrize("text", ["<think>a", "[THINK]a", "<|channel|>analysis<|message|>a"])
def test_reasoning_that_never_ends_leaves_nothing(text: str) -> None:
    """What follows was never written."""
    assert without_reasoning(text) == ""
