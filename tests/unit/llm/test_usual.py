"""Lengths of calls: the longest answer for the budget, the average for the pace, each by step."""

from __future__ import annotations

from prefect_llm_reports.tasks.contract.records import Usage
from prefect_llm_reports.tasks.llm.usual import MARGIN, USUAL_OUTPUT_TOKENS, Usual


def test_steps_have_lengths_of_their_own() -> None:
    """What one step or model answers says nothing of another; a limit always holds."""
    usual = Usual()
    assert usual.output_tokens("m", "draft", 300) == 300
    for tokens in (1000, 2000, 1500):
        usual.learn("m", "draft", 400, Usage(input_tokens=200, output_tokens=tokens))
    assert usual.output_tokens("m", "draft", 10_000) == MARGIN * 2000
    assert usual.output_tokens("m", "critique", 10_000) == USUAL_OUTPUT_TOKENS


def test_tokens_of_a_call_are_those_of_its_step_on_average() -> None:
    """The prompt counts by what such prompts took; a new step is guessed by all others."""
    usual = Usual()
    assert usual.tokens("m", "draft", 400, 10_000) is None
    assert usual.guessed("m", "draft", 400, 10_000) == 100 + USUAL_OUTPUT_TOKENS
    assert usual.guessed("m", "draft", 400, 300) == 100 + 300
    for tokens in (1000, 2000, 1500):
        usual.learn("m", "draft", 400, Usage(input_tokens=200, output_tokens=tokens))
    assert usual.tokens("m", "draft", 800, 10_000) == 400 + 1500
    assert usual.tokens("m", "draft", 400, 1200) == 200 + 1200
    assert usual.tokens("m", "critique", 800, 10_000) is None
    assert usual.guessed("m", "critique", 800, 10_000) == 400 + 1500
    assert usual.guessed("other", "draft", 400, 10_000) == 100 + USUAL_OUTPUT_TOKENS
    usual.learn("m", "critique", 800, Usage(input_tokens=200, output_tokens=100))
    assert usual.guessed("m", "critique", 800, 10_000) == 200 + 100


def test_calls_without_usage_teach_nothing() -> None:
    """An endpoint that counts nothing leaves the first guess."""
    usual = Usual()
    usual.learn("m", "draft", 400, Usage())
    assert usual.tokens("m", "draft", 400, 10_000) is None
    assert usual.guessed("m", "draft", 400, 10_000) == 100 + USUAL_OUTPUT_TOKENS
