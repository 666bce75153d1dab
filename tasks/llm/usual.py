"""What an answer usually takes: learnt from the answers of a run, by model and step.

The budget reserves by it. Not here: money (`llm.budget`), prices (`llm.pricing`).
"""

from __future__ import annotations

USUAL_OUTPUT_TOKENS = 2000
"""Tokens that an answer has at most as a rule, while nothing is learnt of its step."""

MARGIN = 2
"""How much longer than the longest answer so far an answer of the same step may be."""


class Usual:
    """The longest answers of a run, by model and step."""

    def __init__(self) -> None:
        self._longest: dict[tuple[str, str], int] = {}

    def learn(self, model: str, step: str, output_tokens: int) -> None:
        """Note how long an answer was."""
        key = (model, step)
        self._longest[key] = max(output_tokens, self._longest.get(key, 0))

    def output_tokens(self, model: str, step: str, limit: int) -> int:
        """Tokens that an answer of this step hardly exceeds.

        Args:
            model: The model that is asked.
            step: The step of the question.
            limit: Tokens that the answer may have.
        """
        longest = self._longest.get((model, step))
        return min(limit, MARGIN * longest if longest else USUAL_OUTPUT_TOKENS)
