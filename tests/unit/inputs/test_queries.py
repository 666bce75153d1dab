"""Files of inputs for branches: the same formats and rules as topics, with values."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.inputs import queries
from prefect_llm_reports.tasks.inputs.queries import read_queries

FILES: list[tuple[str, str, list[Any]]] = [
    ("q.txt", "# ours\nOne?\r\n  Two?  \n\n", ["One?", "Two?"]),
    ("q.csv", "city,year\nRome,1960\n,\nOslo\n", [{"city": "Rome", "year": "1960"},
                                                  {"city": "Oslo", "year": ""}]),
    ("q.csv", "question\nOne?\nTwo?,\n", ["One?", "Two?"]),
    ("q.yaml", "- One?\n- {city: Rome, year: 1960, old: yes}",
     ["One?", {"city": "Rome", "year": 1960, "old": True}]),
    ("q.yml", "queries:\n- One?", ["One?"]),
    ("q.json", '[" One?", {"n": 1.5, "list": [1, null]}]',
     [" One?", {"n": 1.5, "list": [1, None]}]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "wanted"), FILES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_formats(name: str, text: str, wanted: list[Any], encoding: str) -> None:
    """Every format gives its inputs, in every encoding that a topics file may have."""
    assert [value for _, value in read_queries(name, text.encode(encoding))] == wanted


def test_places_are_lines_items_and_rows() -> None:
    """Each input knows where it stands, for messages."""
    places = {
        "q.txt": "# x\na",
        "q.csv": "n\n\na",
        "q.yaml": "# x\n- a",
        "q.json": '["a"]',
    }
    found = {name: read_queries(name, text.encode())[0].place for name, text in places.items()}
    assert found == {
        "q.txt": "q.txt line 2",
        "q.csv": "q.csv row 3",
        "q.yaml": "q.yaml line 2",
        "q.json": "q.json item 1",
    }


BAD = [
    ("q.csv", "city,city\nRome,Oslo", "q.csv row 1: wanted distinct names of columns"),
    ("q.csv", "city,\nRome,Oslo", "q.csv row 1: wanted distinct names of columns"),
    ("q.csv", "city\nRome,Oslo", "q.csv row 2: 2 cells for the columns city; correct it"),
    ("q.csv", 'city\n"Rome', "q.csv row 2: not readable as CSV"),
    ("q.yaml", "inputs: [a]", "an object with the one key \"queries\", found 'inputs'"),
    ("q.yaml", "One?", 'q.yaml: wanted a list of queries, found "One?"; write a list'),
    ("q.json", "[]", "q.json: no queries in the file; add at least one"),
    ("q.doc", "x", "q.doc: unknown ending '.doc', wanted .txt, .yaml, .yml, .json, .csv; rename"),
]


@pytest.mark.parametrize(("name", "text", "wanted"), BAD, ids=[w for *_, w in BAD])
def test_bad_files(name: str, text: str, wanted: str) -> None:
    """A bad file or row is one short problem with its place."""
    with pytest.raises(BadInput) as bad:
        read_queries(name, text.encode())
    (problem,) = bad.value.problems
    assert wanted in problem


def test_all_bad_entries_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Problems of several entries come together; more entries than the limit are not read."""
    with pytest.raises(BadInput) as bad:
        read_queries("q.json", b'[{"a": 1, "a": 2}, "fine", [NaN]]')
    assert [problem.split(":")[0] for problem in bad.value.problems] == [
        "q.json item 1",
        "q.json item 3",
    ]
    monkeypatch.setattr(queries, "MAX_QUERIES", 4)
    assert len(read_queries("q.txt", b"a\n" * 100)) == 5
