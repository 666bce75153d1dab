"""JSON Schemas of the result files and of files that people write; the columns of topics.csv.

They are made from the models and lie in `templates/schemas`, so programs in any language can use
them. After a change to a model, `python -m prefect_llm_reports.tasks.results.file_schemas` writes
them again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from prefect_llm_reports.tasks.contract.evidence import Evidence
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.contract.records import SCHEMA_VERSION
from prefect_llm_reports.tasks.contract.reports import BatchResult, History, Manifest
from prefect_llm_reports.tasks.contract.run_requests import KeptBranches, KeptRequest
from prefect_llm_reports.tasks.inputs.branches_file import BranchesFile
from prefect_llm_reports.tasks.pages.topics_csv import CSV_COLUMNS

SCHEMAS = Path(__file__).parents[1] / "templates/schemas"
_MODELS: dict[str, type[BaseModel]] = {
    "batch": BatchResult,
    "evidence": Evidence,
    "history": History,
    "manifest": Manifest,
    "request": KeptRequest,
    "branches-request": KeptBranches,
}
_GIVEN: dict[str, type[BaseModel]] = {
    "branches-file": BranchesFile,
    "report-options": ReportOptions,
}
"""Files that people write: editors check them by these schemas."""
_COLUMNS: dict[str, tuple[str, str]] = {
    "topic": ("string", "The topic as it was given."),
    "slug": ("string", "Name of the report's folder within the run."),
    "status": ("string", "published, failed, held_back or not_started."),
    "score": ("number", "Score of the published draft, 1 to 10; empty: none."),
    "iterations": ("integer", "Number of critique rounds."),
    "stop_reason": ("string", "Why refinement ended; empty: it did not end."),
    "cost_usd": ("string", "US dollars spent on the report in this run, or unknown."),
    "input_tokens": ("integer", "Tokens sent to models in this run."),
    "output_tokens": ("integer", "Tokens received from models in this run."),
    "directory": ("string", "Full name of the result directory; empty: not published."),
    "error": ("string", "Kind and message of the error; empty: none."),
    "coverage": ("number", "Share of sentences that have a note, 0 to 1; empty: no sources."),
    "doubtful": ("integer", "Claims that failed a check; empty: no sources."),
}


def schema_files() -> dict[str, str]:
    """The text of every file in `templates/schemas`, by name."""
    found = {f"{name}.schema.json": _schema(name, model) for name, model in _MODELS.items()}
    found |= {f"{name}.schema.json": _given(name, model) for name, model in _GIVEN.items()}
    found["topics.table.json"] = {
        "name": "topics",
        "path": "topics.csv",
        "encoding": "utf-8",
        "description": "One row for each topic, in input order, after a byte order mark and a"
        " header. A text that a spreadsheet would calculate begins with an apostrophe.",
        "dialect": {"delimiter": ",", "lineTerminator": "\r\n", "quoteChar": '"', "header": True},
        "schema": {
            "fields": [
                {"name": name, "type": _COLUMNS[name][0], "description": _COLUMNS[name][1]}
                for name in CSV_COLUMNS
            ],
            "missingValues": [""],
            "primaryKey": "slug",
        },
    }
    return {
        name: json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        for name, content in found.items()
    }


def _schema(name: str, model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(mode="serialization")
    schema["properties"]["schema_version"] = {
        "const": SCHEMA_VERSION,
        "description": "Version of this form; read a file of another version with its own schema.",
    }
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "$id": f"urn:prefect-llm-reports:{name}:{SCHEMA_VERSION}",
        **schema,
        "title": f"{name}.json",
    }


def _given(name: str, model: type[BaseModel]) -> dict[str, Any]:
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "$id": f"urn:prefect-llm-reports:{name}:{SCHEMA_VERSION}",
        **model.model_json_schema(),
    }


if __name__ == "__main__":
    SCHEMAS.mkdir(exist_ok=True)
    for name, text in schema_files().items():
        (SCHEMAS / name).write_text(text)
