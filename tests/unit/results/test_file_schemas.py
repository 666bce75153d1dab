"""The published schemas are those of the models, and stable where readers rely on them."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from prefect_llm_reports.tasks.contract.reports import Critique, Draft, History, Refined, Topic
from prefect_llm_reports.tasks.pages.report import history_json
from prefect_llm_reports.tasks.pages.topics_csv import CSV_COLUMNS
from prefect_llm_reports.tasks.results.file_schemas import SCHEMAS, schema_files

REFINED = Refined(
    topic=Topic(title="Tidal power — 潮汐", guidance="for CTOs"),
    drafts=(
        Draft(
            number=1,
            parent=None,
            text="# A\n\nHalf: \ud83d",
            score=6,
            critique=Critique(score=6, strengths=["a"], improvements=[], summary="ok"),
        ),
        Draft(number=2, parent=1, text="# B", score=8.5),
    ),
    best=2,
    iterations=2,
    stop_reason="accepted",
    created=5,
    steps=(),
)
HISTORY = """{
  "schema_version": 1,
  "topic": {
    "title": "Tidal power — 潮汐",
    "guidance": "for CTOs"
  },
  "drafts": [
    {
      "number": 1,
      "parent": null,
      "text": "# A\\n\\nHalf: \ufffd",
      "score": 6.0,
      "critique": {
        "score": 6,
        "strengths": [
          "a"
        ],
        "improvements": [],
        "summary": "ok"
      }
    },
    {
      "number": 2,
      "parent": 1,
      "text": "# B",
      "score": 8.5,
      "critique": null
    }
  ],
  "best": 2,
  "stop_reason": "accepted"
}
"""


def test_the_files_are_those_that_the_models_make() -> None:
    """`python -m tasks.file_schemas` would change nothing, and nothing else lies beside them."""
    assert {path.name: path.read_text() for path in SCHEMAS.iterdir()} == schema_files()


@pytest.mark.parametrize("name", ["batch", "history", "manifest"])
def test_each_schema_is_one(name: str) -> None:
    """Each is a Draft 2020-12 schema with a name of its own that refuses an empty object."""
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:prefect-llm-reports:{name}:1"
    with pytest.raises(ValidationError):
        Draft202012Validator(schema).validate({})


def test_the_columns_of_topics_csv_are_described() -> None:
    """Every column is there, in order, with a type and what it means."""
    table = json.loads((SCHEMAS / "topics.table.json").read_text())
    fields = table["schema"]["fields"]
    assert tuple(field["name"] for field in fields) == CSV_COLUMNS
    assert all(field["type"] and field["description"] for field in fields)


def test_history_is_written_as_ever() -> None:
    """The bytes of history.json are fixed, and its model reads them."""
    assert history_json(REFINED) == HISTORY
    history = History.model_validate_json(HISTORY)
    assert (history.best, len(history.drafts)) == (2, 2)
    schema = json.loads((SCHEMAS / "history.schema.json").read_text())
    Draft202012Validator(schema).validate(json.loads(HISTORY))
