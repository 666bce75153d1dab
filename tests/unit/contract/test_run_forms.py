"""The run forms of the deployed flows: what a person is shown.

The whole schemas are in `tests/golden/run_forms.json`; after a wanted change,
`python -m tests.unit.contract.test_run_forms` writes them again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from prefect.utilities.callables import parameter_schema
from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter, ValidationError

from prefect_llm_reports.flows.branches import branch_batch, parallel_branches
from prefect_llm_reports.flows.reports import report_batch
from prefect_llm_reports.flows.shards import report_shard
from prefect_llm_reports.tasks.contract.run_forms import EndpointName, Output, form
from prefect_llm_reports.tasks.llm.blocks import LLMEndpoint
from tests.harness import ROOT

GOLDEN = ROOT / "tests/golden" / "run_forms.json"
FLOWS: dict[str, Any] = {
    flow.name: flow for flow in (report_batch, parallel_branches, branch_batch, report_shard)
}
FORMS = {name: parameter_schema(flow).model_dump_for_openapi() for name, flow in FLOWS.items()}


def groups(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every group of fields that a form shows together, by name."""
    yield "parameters", schema["properties"]
    for name, definition in schema["definitions"].items():
        if "block_type_slug" not in definition:
            yield name, definition["properties"]


def test_the_forms_are_those_that_were_looked_at() -> None:
    """No field, help, bound, order or choice of a form changes unnoticed."""
    assert json.loads(GOLDEN.read_text()) == FORMS


@pytest.mark.parametrize("name", FORMS)
def test_every_field_has_its_place_a_label_and_help(name: str) -> None:
    """A form shows fields in one fixed order, and says of each what it is for."""
    for group, fields in groups(FORMS[name]):
        positions = [field["position"] for field in fields.values()]
        assert sorted(positions) == list(range(len(fields))), group
        assert all(field["title"] and field["description"] for field in fields.values()), group


def test_the_parameters_come_in_the_order_of_the_flow() -> None:
    """The form asks first for topics, last for options."""
    fields = FORMS["report-batch"]["properties"]
    assert [name for name, _ in sorted(fields.items(), key=lambda f: f[1]["position"])] == [
        *("topics", "topics_file", "max_iterations", "quality_threshold"),
        *("model", "output", "endpoint", "options"),
    ]


def test_choices_are_selects() -> None:
    """What is one of a few is picked from a list."""
    branches, reports = FORMS["parallel-branches"], FORMS["report-batch"]
    assert branches["properties"]["merge"]["enum"][:3] == ["all", "any", "best"]
    assert branches["definitions"]["OutputField"]["properties"]["type"]["enum"][-1] == "choice"
    options = reports["definitions"]["ReportOptions"]["properties"]
    assert options["critics_merge"]["enum"] == ["mean", "median", "minimum", "weighted"]
    assert options["formats"]["items"]["enum"] == ["pdf", "docx"]


def test_an_optional_field_is_an_input_like_any_other() -> None:
    """Options that may be left empty are not shown as a choice of types."""
    for name in FORMS:
        for group, fields in groups(FORMS[name]):
            if group != "parameters":
                lone = [f for f in fields.values() if len(f.get("anyOf", "ab")) < 2]
                assert lone == [], group
                assert not any("default" in f and f["default"] is None for f in fields.values())


@pytest.mark.parametrize(
    ("form", "path", "slug"),
    [
        ("report-batch", ["properties", "endpoint"], "llm-endpoint"),
        ("report-batch", ["properties", "output"], "s3-bucket"),
        ("report-batch", ["definitions", "Fallback", "properties", "endpoint"], "llm-endpoint"),
        ("parallel-branches", ["properties", "endpoint"], "llm-endpoint"),
        ("parallel-branches", ["definitions", "Branch", "properties", "endpoint"], "llm-endpoint"),
        ("branch-batch", ["properties", "output"], "s3-bucket"),
    ],
)
def test_saved_blocks_are_picked(form: str, path: list[str], slug: str) -> None:
    """Where a saved block can be named, the form has a picker of the blocks of its type."""
    field: Any = FORMS[form]
    for part in path:
        field = field[part]
    named = [kind["$ref"].rpartition("/")[2] for kind in field["anyOf"] if "$ref" in kind]
    assert [FORMS[form]["definitions"][n]["block_type_slug"] for n in named] == [slug]


def saved(block: LLMEndpoint, name: str) -> LLMEndpoint:
    """A block as Prefect hands over one that was picked."""
    block._block_document_name = name
    block._is_anonymous = False
    return block


def test_a_picked_block_is_its_name() -> None:
    """Of a picked block only the name reaches the flow, so its key cannot get into a parameter."""
    picked = saved(LLMEndpoint(api_key=SecretStr("sk-secret")), "default")
    given = report_batch.validate_parameters(
        {"endpoint": picked, "options": {"fallbacks": [{"model": "small", "endpoint": picked}]}}
    )
    assert given["endpoint"] == "default"
    assert given["options"].fallbacks[0].endpoint == "default"
    assert "sk-secret" not in report_batch.serialize_parameters(given).__repr__()


def test_a_text_is_a_topic_a_line() -> None:
    """The form's simplest way to give topics: one a line, blank ones left out."""
    given = report_batch.validate_parameters({"topics": "Tides\n\n  Rust, for CTOs \r\n"})
    assert given["topics"] == ["Tides", "Rust, for CTOs"]
    assert report_batch.validate_parameters({"topics": ""})["topics"] == []
    assert report_batch.validate_parameters({"topics": None})["topics"] is None


def test_another_kind_of_block_or_an_unsaved_one_is_refused() -> None:
    """The message says which kind is wanted, or that the block is to be saved."""
    with pytest.raises(ValidationError, match="without a name; save it"):
        TypeAdapter(EndpointName).validate_python(LLMEndpoint())
    with pytest.raises(ValidationError, match="of type llm-endpoint; pick one of type s3-bucket"):
        TypeAdapter(Output).validate_python(saved(LLMEndpoint(), "default"))


def test_options_are_in_groups_and_common_ones_come_first() -> None:
    """A form has no headings within an object, so labels name their group."""
    for name in ("report-batch", "parallel-branches"):
        (options,) = (o for kind, o in groups(FORMS[name]) if kind.endswith("Options"))
        labels = [o["title"] for o in sorted(options.values(), key=lambda o: o["position"])]
        assert labels[0] == "Cost: budget (USD)"
        firsts = [label.split(":")[0].split()[0] for label in labels]
        assert len(set(firsts)) < len(labels) / 2
        together = [one for one, before in pairwise([*firsts, ""]) if one != before]
        assert len(together) == len(set(together)), "a group is in one place"


@pytest.mark.parametrize(
    "grouped", [("second", "third", "first"), ("second",)], ids=["gone", "forgotten"]
)
def test_a_form_with_groups_has_each_field_in_one(grouped: tuple[str, ...]) -> None:
    """An order that names a field which is gone, or forgets one, is a mistake in the code."""

    class Model(BaseModel):
        model_config = ConfigDict(json_schema_extra=form(numbers=grouped))
        first: int = 1
        second: int = 2

    wrong = "third" if len(grouped) > 1 else "first"
    with pytest.raises(ValueError, match=f"no such fields, or in no group: {wrong}"):
        Model.model_json_schema()


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(FORMS, indent=1, sort_keys=True) + "\n")
