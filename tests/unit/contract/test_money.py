"""Money in words."""

from __future__ import annotations

from decimal import Decimal

import pytest

from prefect_llm_reports.tasks.contract.money import cost_text


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (None, "cost unknown"),
        (Decimal(0), "0.0000 USD"),
        (Decimal("0.01234"), "0.0123 USD"),
        (Decimal("12.5"), "12.5000 USD"),
    ],
)
def test_a_cost_is_written_to_a_hundredth_of_a_cent(usd: Decimal | None, text: str) -> None:
    """An unknown cost is said to be unknown and never shown as nothing."""
    assert cost_text(usd) == text
