"""Hostile text in reports: nothing of it acts, in report.md as in every page."""

from __future__ import annotations

import re

import pytest

from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.pages.report import report_html
from prefect_llm_reports.tasks.pages.runs import run_page
from prefect_llm_reports.tasks.text.cleaning import clean_markdown
from tests.unit.pages.test_report import (
    ATTACKS,
    OWN_TAGS,
    TAGS,
    VIEWERS,
    Seen,
    assert_safe,
    batch,
    failed,
    published,
    reader,
    refined,
)


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_survives_in_the_markdown(attack: str) -> None:
    """Even a viewer that renders raw HTML and any link shows report.md without acting on it."""
    for text in (attack, f"Before {attack} after", f"> {attack}"):
        cleaned = clean_markdown(text)
        assert clean_markdown(cleaned) == cleaned
        for viewer in VIEWERS:
            assert_safe(Seen(viewer.render(cleaned)))


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_survives_in_a_page(attack: str) -> None:
    """A page holds nothing but its own tags and safe ones, wherever hostile text turns up."""
    report = refined(attack, topic=Topic(title=attack))
    run = batch(published(attack), failed(attack, attack), warnings=[attack])
    for page in (report_html(report, attack, offline=False), run_page(run), reader(report, attack)):
        seen = Seen(page)
        assert_safe(seen, allowed=TAGS | OWN_TAGS)
        assert page.count("<script") == len(re.findall(r"<script>\"use strict\";", page)) <= 1
        names = {name for _, found in seen.tags for name in found}
        assert not names & {"src", "srcset", "action", "formaction", "poster", "xlink:href"}
