"""The pages above reports show runs by name, and say how they were made."""

from __future__ import annotations

import re
from typing import Any

import pytest

from prefect_llm_reports.tasks.contract.reports import ReportResult, Topic
from prefect_llm_reports.tasks.pages import runs
from prefect_llm_reports.tasks.pages.report import report_html
from prefect_llm_reports.tasks.pages.runs import TOPICS_FOUND, RunEntry, run_page, runs_page
from tests.unit.pages.test_report import Seen, batch, published, reader, refined

RUN = "20261122T120000Z-a1b2"


def words_of(page: str) -> str:
    return " ".join(" ".join(Seen(page).words).split())


def entry(run_id: str = RUN, **known: Any) -> RunEntry:
    about = {"started": None, "status": "complete", "published": 1, "total": 1, "cost_usd": None}
    return RunEntry(run_id=run_id, state="finished", **{**about, **known})


def found_by(page: str) -> list[str]:
    """The words by which the script finds each run of the list."""
    cells = [about for tag, about in Seen(page).tags if tag == "td" and "data-value" in about]
    return [f"{c['data-value']}\n{c.get('data-words', '')}" for c in cells if c["class"] == "name"]


def test_a_run_is_headed_by_its_name() -> None:
    """The name stands in the heading and the title, the id among the facts."""
    topics = [published("Tidal power"), published("Zinc", slug="zinc")]
    page = run_page(batch(*topics, options={"model": "gpt-5-mini"}, run_id=RUN))
    name = "Tidal power + 1 more · gpt-5-mini"
    assert f'<h1 dir="auto">{name}</h1>' in page
    assert f"<title>{name}</title>" in page
    assert f"<li>Run {RUN}</li>" in page


OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"quality_threshold": 8.0}, "Threshold 8 Audience informed readers"),
    ({"quality_threshold": 7.5}, "Threshold 7.5"),
    ({"audience": "engineers"}, "Audience engineers"),
    ({"length_words": 300}, "Length, words 300"),
    ({"budget_usd": "2.50"}, "Budget, USD 2.50"),
    ({"reasoning_effort": "low"}, "Reasoning effort low"),
    ({"plateau": None}, "Plateau none"),
    ({"refresh": True}, "Refresh yes"),
    ({"formats": ["pdf", "docx"]}, "Formats pdf, docx"),
    ({"critics": [{"name": "cost", "focus": "x"}, {"name": "law", "focus": "y"}]}, "cost, law"),
    ({"extra_body": {"top_k": 3}}, 'Extra body {"top_k": 3}'),
    ({"house_style": "<img src=x>" + "y" * 1000}, "House style <img src=x>yyy"),
    ({"of_a_later_version": [1, [2]]}, "Of a later version 1, [2]"),
]


@pytest.mark.parametrize(("options", "shown"), OPTIONS)
def test_a_run_shows_its_options(options: dict[str, Any], shown: str) -> None:
    """Model, threshold and audience come first; the others follow if they are not at defaults."""
    said = words_of(run_page(batch(published(), options={"model": "gpt-5-mini", **options})))
    settings = said.partition("Settings ")[2]
    assert settings.startswith("Model gpt-5-mini ")
    assert shown in settings
    assert "y" * 700 not in settings


def test_a_run_that_recorded_no_options_shows_none() -> None:
    """A run of an earlier version shows its topics as its name, and no settings."""
    page = run_page(batch(published("Tidal power")))
    assert '<h1 dir="auto">Tidal power</h1>' in page
    assert "Settings" not in words_of(page)
    assert "informed readers" not in page


def test_the_list_shows_names_and_finds_topics() -> None:
    """A run's link is its name, with its id below; its topics are words to find it by."""
    named = entry(name="Tidal power + 1 more · m", topics=("Tidal power", "<b>Zinc</b>"))
    page = runs_page([named, entry("20261121T120000Z-c3")])
    assert f'<a href="{RUN}/index.html">Tidal power + 1 more · m</a>' in page
    assert f'<span class="also">{RUN}</span>' in page
    assert '<a href="20261121T120000Z-c3/index.html">20261121T120000Z-c3</a>' in page
    assert found_by(page) == [
        f"{named.name}\n{RUN}\nTidal power\n<b>Zinc</b>",
        "20261121T120000Z-c3\n",
    ]
    assert f"one of its first {TOPICS_FOUND} topics" in words_of(page)


def test_topics_to_find_a_run_by_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long titles, many titles and many runs leave the list small; the newest runs come first."""
    kept = runs.topics_found(f"{n} {'x' * 2000}" for n in range(5000))
    assert len(kept) == TOPICS_FOUND
    assert max(map(len, kept)) == runs.TITLE_CHARS
    assert runs.topics_found(["a  b", "a\nb", "c"]) == ("a b", "c")
    monkeypatch.setattr(runs, "WORDS_ON_PAGE", 1000)
    names = [f"202611{day:02}T120000Z-a1" for day in range(1, 29)]
    page = runs_page([entry(name, name=name[:8], topics=("y" * 80,)) for name in names])
    counted = ["y" * 80 in words for words in found_by(page)]
    assert counted == sorted(counted, reverse=True)
    assert 0 < sum(counted) < 15
    assert len(re.findall("<tr>", page)) == 29


ENDS = [
    ("accepted", False),
    (None, False),
    ("plateau", True),
    ("iterations_exhausted", True),
    ("budget_exhausted", True),
]


@pytest.mark.parametrize(("stop_reason", "below"), ENDS)
def test_a_report_below_the_threshold_looks_like_one(stop_reason: str | None, below: bool) -> None:
    """Run page, list and reader say so, and none of them shows such a report as good."""
    page = run_page(batch(published(stop_reason=stop_reason), published("Zinc")))
    badges = [about["class"] for about in Seen(page).named("span") if "badge" in about["class"]]
    assert badges[1] == ("badge below" if below else "badge published")
    said = words_of(page)
    assert ("1 below the threshold , 0 failed" in said) is below
    assert "published, below the threshold 8.5" in said or not below
    if stop_reason:
        report = refined(stop_reason=stop_reason, topic=Topic(title="Tides"))
        for one in (reader(report), report_html(report, "s", offline=False)):
            assert ("Score 8.5 of 10, below the threshold" in one) is below
            assert ('<span class="badge below">' in one) is below


def test_the_list_of_runs_counts_reports_below_the_threshold() -> None:
    """A run of which two of three published reports are below says so beside their number."""
    said = words_of(runs_page([entry(published=3, total=3, below=2), entry("r", name="r")]))
    assert "3 of 3 2 below the threshold" in said
    assert said.count("below the threshold") == 1


def test_a_failed_report_is_not_below_the_threshold() -> None:
    """Only what is published counts."""
    failed = ReportResult(topic="x", slug="x", status="failed", stop_reason="plateau")
    assert '"badge below"' not in run_page(batch(failed))


@pytest.mark.parametrize(
    ("guidance", "tag"), [("", ""), ("For <b>CTOs</b>\nonly", "div"), ("long " * 100, "details")]
)
def test_the_reader_shows_the_guidance(guidance: str, tag: str) -> None:
    """The guidance of a topic stands below its title, as text; a long one opens on demand."""
    page = reader(refined(topic=Topic(title="Tidal power", guidance=guidance)))
    holders = [name for name, about in Seen(page).tags if about.get("class") == "guidance"]
    assert holders == ([tag] if tag else [])
    assert " ".join(guidance.split()) in words_of(page)
    assert "<b>CTOs" not in page


def test_the_reader_links_to_the_last_report() -> None:
    """The run named under Changes is a link to its report on the same topic, if there is one."""
    report = refined(topic=Topic(title="Tidal power"))
    target = f"../../20261101T000000Z-1/{report.topic.slug}/index.html"
    page = reader(report, earlier="# Tides\n\nOld.\n")
    assert f'Since <a href="{target}">run 20261101T000000Z-1</a>: ' in page
    assert "../../" not in reader(report)
