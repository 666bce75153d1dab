"""A summary's numbers stand in its report, and in a source; those that do not are named."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.citations.checking import checked
from prefect_llm_reports.tasks.citations.summaries import remarked, remarks_on
from prefect_llm_reports.tasks.contract.evidence import Passage
from prefect_llm_reports.tasks.text.plain_text import plain_paragraphs

PASSAGE = Passage(
    id="s1-1",
    source="s1",
    place="page 2",
    text="The barrage cost 1,250.5 million euros and opened on 3 May 2024 with 24 turbines.",
    sha256="0" * 64,
)
REPORT = """# Tides

The barrage cost 1,250.5 million euros.[^1] It opened on 3 May 2024, three years late.[^2] It has
24 turbines and 77 gates.[^3]

[^1]: s1-1 "The barrage cost 1,250.5 million euros"
[^2]: s1-1 "opened on 3 May 2024 with 24 turbines"
[^3]: s1-1 "opened on 3 May 2024 with 24 turbines"
"""
CLAIMS = checked(REPORT, [PASSAGE]).claims


@pytest.mark.parametrize(
    ("summary", "remarks"),
    [
        ("It cost 1,250.5 million euros, about 1.25 billion.", ()),
        ("Eröffnet am 3.5.2024, für 1.250,5 Millionen Euro.", ()),
        ("Two reasons speak for it, and five against it.", ()),
        ("By 2030, as was asked, 24 turbines turn.", ()),
        ("It cost 1,350.5 million euros.", ("not in the report: 1,350.5 million",)),
        ("It has 25 turbines, 25 in all, since 2023.", ("not in the report: 25, 2023",)),
        ("The 77 gates are open.", ("in no source: 77",)),
        ("77 gates, 9 locks.", ("not in the report: 9", "in no source: 77")),
        ("1. It cost much.\n2. It opened late.", ()),
        ("٢٥ turbines.", ("not in the report: ٢٥",)),
    ],
)
def test_numbers_of_a_summary_are_looked_for(summary: str, remarks: tuple[str, ...]) -> None:
    """In any spelling; numbers in words are not accused."""
    found = remarks_on(summary, REPORT, CLAIMS, "Tidal power until 2030")
    assert found == remarks
    assert (remarked(summary, found) == summary) == (not remarks)


@pytest.mark.parametrize(
    "summary",
    [
        "A barrage of 9 locks.\n",
        "```\nA barrage of 9 locks.\n```",
        "**Summary:**\n\nA barrage of *9* locks.",
        "A barrage of 9 locks.\n\nLet me know if you would like a longer version.",
    ],
)
def test_the_remark_is_a_last_paragraph(summary: str) -> None:
    """It follows the words of the summary, whatever a model has put around them."""
    said = remarked(summary, ["not in the report: 9", "in no source: 77"])
    assert said == "A barrage of 9 locks.\n\n(Not in the report: 9; in no source: 77.)"
    assert "\n\n".join(plain_paragraphs(said)) == said
