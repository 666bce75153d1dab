"""Reading any headers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from prefect_llm_reports.tasks.llm.hints import limits_of, retry_after_s
from tests.unit.llm.test_hints import used_up


@given(st.text(st.characters(max_codepoint=255), max_size=40))
def test_no_header_can_break_the_reading(said: str) -> None:
    """Whatever a header says, reading it gives seconds or nothing."""
    wait = retry_after_s({"retry-after": said})
    assert wait is None or wait >= 0
    assert all((limit.reset_s or 0) >= 0 for limit in limits_of(used_up(said)))
