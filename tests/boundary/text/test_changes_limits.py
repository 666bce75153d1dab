"""Changes of any two reports are found in bounded time."""

from __future__ import annotations

from prefect_llm_reports.tasks.text.changes import compared
from tests.harness.pace import within
from tests.unit.text.test_changes import earlier, report


def test_many_sections_of_one_name_are_paired_in_linear_time() -> None:
    """Texts made to be slow to pair take little longer for each section."""
    many = [
        f"## Same\n\n{n} same words in all of these sections {n * 7 % 997}" for n in range(3000)
    ]
    with within(1):
        changes = compared(earlier(report(*many)), report(*reversed(many)))
    assert not changes.added
    with within(1):
        compared(
            earlier("# T\n\n" + "## a\n\nb c\n\n" * 8000), "# T\n\n" + "## a\n\nc b\n\n" * 8000
        )
