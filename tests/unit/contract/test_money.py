"""Money in words."""

from __future__ import annotations

from decimal import Decimal

import pytest

from prefect_llm_reports.tasks.contract.money import cost_cell, cost_on_page, cost_text, exact_cost


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


@pytest.mark.parametrize(
    ("usd", "cell", "page", "exact"),
    [
        (None, "unknown", "unknown", "unknown"),
        ("0", "0.0000", "$0.00", "0"),
        ("0.04123", "0.0412", "$0.0412", "0.04123"),
        ("1234.5", "1234.5000", "$1,234.50", "1234.5"),
        ("1E-7", "0.0000", "$0.0000", "0.0000001"),
    ],
)
def test_a_cost_has_one_form_for_each_place(
    usd: str | None, cell: str, page: str, exact: str
) -> None:
    """A table and a page round, a program gets every digit, and unknown is never zero."""
    cost = None if usd is None else Decimal(usd)
    assert (cost_cell(cost), cost_on_page(cost), exact_cost(cost)) == (cell, page, exact)
