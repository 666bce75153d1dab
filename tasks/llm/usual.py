"""Usual lengths of answers, learnt from the answers of a run, by model and step.

The budget reserves by the longest, the pace reckons with the average. Not here: money
(`llm.budget`), prices (`llm.pricing`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from prefect_llm_reports.tasks.contract.records import Usage

USUAL_OUTPUT_TOKENS = 2000
"""Tokens that an answer has at most as a rule, while nothing is learnt of its step."""

BYTES_A_TOKEN = 4
"""Bytes of a prompt that make a token, while nothing is learnt."""

MARGIN = 2
"""An answer may be so many times as long as the longest answer of its step so far."""


@dataclass
class _Lengths:
    """What the calls of one step took.

    Attributes:
        longest: Tokens of the longest answer.
        output_tokens: Tokens of all answers.
        input_tokens: Tokens of all prompts.
        sent: Bytes of all prompts.
        count: Calls.
    """

    longest: int = 0
    output_tokens: int = 0
    input_tokens: int = 0
    sent: int = 0
    count: int = 0


class Usual:
    """Lengths of the calls of a run, by model and step."""

    def __init__(self) -> None:
        self._steps: defaultdict[tuple[str, str], _Lengths] = defaultdict(_Lengths)

    def learn(self, model: str, step: str, sent: int, usage: Usage) -> None:
        """Note how long a prompt and its answer were.

        Args:
            model: The model that was asked.
            step: The step of the question.
            sent: Bytes of the prompt.
            usage: What the call took.
        """
        for key in (step, ""):  # all steps together, too
            found = self._steps[model, key]
            found.longest = max(found.longest, usage.output_tokens)
            found.output_tokens += usage.output_tokens
            found.input_tokens += usage.input_tokens
            found.sent += sent
            found.count += 1

    def output_tokens(self, model: str, step: str, limit: int) -> int:
        """Tokens that an answer of this step hardly exceeds.

        Args:
            model: The model that is asked.
            step: The step of the question.
            limit: Tokens that the answer may have.
        """
        longest = self._steps[model, step].longest
        return min(limit, MARGIN * longest if longest else USUAL_OUTPUT_TOKENS)

    def tokens(self, model: str, step: str, sent: int, limit: int) -> int | None:
        """Tokens that a call of this step likely takes, input and output together.

        Args:
            model: The model that is asked.
            step: The step of the question.
            sent: Bytes of the prompt.
            limit: Tokens that the answer may have.

        Returns:
            None: nothing is known of this step yet.
        """
        found = self._steps[model, step]
        if not found.output_tokens or not found.sent:
            return None
        prompt = sent * found.input_tokens // found.sent
        return prompt + min(limit, found.output_tokens // found.count)

    def guessed(self, model: str, step: str, sent: int, limit: int) -> int:
        """The same, where nothing is known by what all steps took, or by the prompt's length."""
        known = self.tokens(model, step, sent, limit) or self.tokens(model, "", sent, limit)
        return known or sent // BYTES_A_TOKEN + min(limit, USUAL_OUTPUT_TOKENS)
