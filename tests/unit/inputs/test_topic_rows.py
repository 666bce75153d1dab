"""Rows of topics files: in guidance, as reports of their own, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.inputs.topics import gather_topics


def topics_of(text: str, name: str = "t.csv") -> list[Topic]:
    return gather_topics(None, (name, text.encode()))[0]


GUIDANCE = [
    ("{{ row.region }}", "North"),
    (
        "for {{ row['Net sales'] }} and {{ row.net_sales }}, {{ row.Net_sales }}",
        "for 12 and 12, 12",
    ),
    ("{% if row.region == 'North' %}up{% else %}down{% endif %}", "up"),
    ("{{ row.items }}, {{ row.region | upper }}", "seven, NORTH"),
    ("{% for name in row %}{{ name }} {% endfor %}", "region Net sales items"),
    ("no braces: row.region", "no braces: row.region"),
    ("{{ other }} stays, it names no cell", "{{ other }} stays, it names no cell"),
]


@pytest.mark.parametrize(("written", "wanted"), GUIDANCE)
def test_guidance_names_cells_of_its_row(written: str, wanted: str) -> None:
    """A cell is put where guidance names its column, also one called like a method."""
    (topic,) = topics_of(f'title,guidance,region,Net sales,items\nR,"{written}",North,12,seven\n')
    assert topic.guidance == wanted
    assert topic.row == {"region": "North", "Net sales": "12", "items": "seven"}
    assert gather_topics([topic], None)[0] == [topic], "a topic that was checked stays as it is"


REFUSED = [
    (
        "{{ row.regoin }}",
        "t.csv row 2: the guidance names row.regoin, the columns there are: region",
    ),
    ("{{ row.regoin }}", "; did you mean region?"),
    ("{{ row.region", "the guidance: unexpected end of template"),
    ("{{ row.__class__ }}", "is unsafe"),
    ("{{ row.region * 10000000 }}", "works with small numbers only"),
    ("{% for a in row %}{% for b in range(9) %}{% endfor %}{% endfor %}", "'range' is undefined"),
    ("{% include 'writer.j2' %}{{ row.region }}", "the guidance: "),
]


@pytest.mark.parametrize(("written", "wanted"), REFUSED)
def test_a_mistake_in_guidance_names_row_and_columns(written: str, wanted: str) -> None:
    """An unknown column, an open brace and whatever leaves the sandbox are found at once."""
    with pytest.raises(BadInput) as bad:
        topics_of(f'title,guidance,region\nR,"{written}",North\n')
    assert wanted in bad.value.problems[0]


def test_a_cell_cannot_be_a_template() -> None:
    """A cell that would be rendered when the topic is read again is refused."""
    with pytest.raises(BadInput, match="a cell that the guidance names holds a template"):
        topics_of("title,guidance,a,b\nR,{{ row.a }},{{ row.b }},secret\n")
    with pytest.raises(BadInput, match="the columns there are: none"):
        gather_topics([{"title": "R", "guidance": "{{ row.region }}"}], None)


def test_rows_that_differ_are_reports_of_their_own() -> None:
    """Equal title and guidance with other cells are two reports, named by what tells them apart."""
    table = (
        "title,region,sales\nQuarter,North,{}\nQuarter,South,{}\nOther,West,1\nQuarter,South,{}\n"
    )
    before, warnings = gather_topics(None, ("t.csv", table.format(1, 2, 2).encode()))
    assert [(t.title, t.twin) for t in before] == [
        ("Quarter", "region: North"),
        ("Quarter", "region: South"),
        ("Other", ""),
    ]
    assert warnings == ["'Quarter' is given 2 times and written once: t.csv row 3, t.csv row 5"]
    after = topics_of(table.format(7, 8, 8))
    assert [t.slug for t in after] == [t.slug for t in before], "new figures keep the folder"
    assert len({t.slug.lower() for t in after}) == 3
    assert after[2].slug == Topic(title="Other").slug, "a row by itself is no part of the folder"
    assert gather_topics(after[1:2], None)[0] == after[1:2], "a part of the batch keeps its names"
    alike = topics_of("title,a,b\nQ,1,1\nQ,1,2\nQ,2,1\n")
    assert [t.twin for t in alike] == ["a: 1; b: 1", "a: 1; b: 2", "a: 2; b: 1"]


def test_trees_and_arguments_have_sources_and_rows() -> None:
    """A list, a text with semicolons, and an object of texts and numbers are accepted anywhere."""
    asked: list[Any] = [
        {"title": "A", "sources": ["a.md", " b.md "], "row": {"sales": 12.5, "who": None}},
        {"title": "B", "sources": "a.md;\nb.md"},
    ]
    (a, b) = topics_of(json.dumps([{**asked[0], "row": {"sales": 12.5}}, asked[1]]), "t.json")
    assert (a.sources, a.row, b.sources) == (("a.md", "b.md"), {"sales": "12.5"}, ("a.md", "b.md"))
    assert Topic(**asked[0]).row == {"sales": "12.5", "who": ""}
    yaml = "- title: A\n  sources: [a.md, b.md]\n  row: {sales: 12.50}\n"
    assert topics_of(yaml, "t.yaml")[0].row == {"sales": "12.50"}
    for wrong, wanted in {
        '[{"title": "A", "sources": 7}]': "the sources is 7, wanted a text with ; between",
        '[{"title": "A", "row": ["x"]}]': "the row is a list, wanted an object of texts",
        '[{"title": "A", "row": {"x": true}}]': "the row's 'x' is true, wanted a text",
        '[{"title": "A"}, {"title": "A", "sources": "b.md"}]': "is the report of t.json item 1",
    }.items():
        with pytest.raises(BadInput) as bad:
            topics_of(wrong, "t.json")
        assert wanted in bad.value.problems[0]
