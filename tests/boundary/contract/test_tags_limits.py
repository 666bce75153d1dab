"""Reading the tags of a prompt costs linear time."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.contract.tags import enclosed
from tests.harness.pace import within


@pytest.mark.parametrize("unit", ["<draft>\n", "<draft>\nx\n", "</draft>\n", "\n<", "<topic>\n\n"])
def test_reading_tags_costs_linear_time(unit: str) -> None:
    """A megabyte of anything is read at once."""
    with within(1):
        enclosed(unit * (1_000_000 // len(unit)))
