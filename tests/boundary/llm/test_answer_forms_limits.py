"""Any output model survives the way from schema to file unchanged."""

from __future__ import annotations

import datetime
import json
from typing import Any, Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import Field, create_model

from prefect_llm_reports.tasks.answers.records import sealed, unsealed
from prefect_llm_reports.tasks.contract.branch_results import BranchesResult, BranchOutput
from prefect_llm_reports.tasks.contract.calls import Answer
from prefect_llm_reports.tasks.llm.answer_forms import model_form
from prefect_llm_reports.tasks.results.manifests import pretty_json
from tests.unit.llm.test_answer_forms import Colour

LEAVES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (str, st.text(st.characters(exclude_categories=["Cs"]), max_size=8)),
    (int, st.integers(-(2**60), 2**60)),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (bool, st.booleans()),
    (Colour, st.sampled_from(Colour)),
    (Literal["a", "b"], st.sampled_from(["a", "b"])),
    (datetime.date, st.dates()),
]


@st.composite
def shapes(draw: st.DrawFn, depth: int = 2) -> tuple[Any, st.SearchStrategy[Any]]:
    """A type and the values it has: leaves, lists, optionals, unions and nested models."""
    kind = draw(
        st.sampled_from(["leaf", "list", "optional", "model", "union"][: 5 if depth else 1])
    )
    if kind == "leaf":
        return draw(st.sampled_from(LEAVES))
    if kind == "union":
        return int | str, st.one_of(LEAVES[1][1], LEAVES[0][1])
    if kind == "model":
        return draw(models(depth - 1))
    inner, values = draw(shapes(depth - 1))
    if kind == "list":
        return list[inner], st.lists(values, max_size=3)
    return inner | None, st.none() | values


@st.composite
def models(draw: st.DrawFn, depth: int = 2) -> tuple[Any, st.SearchStrategy[Any]]:
    """A pydantic model with random fields, and its instances."""
    fields = draw(st.lists(shapes(depth), min_size=1, max_size=3))
    number = draw(st.integers(0, 10**9))
    described = {
        f"f{n}": (kind, Field(description=f"F {n}.")) for n, (kind, _) in enumerate(fields)
    }
    model: Any = create_model(f"Model{number}", **described)
    return model, st.builds(model, **{f"f{n}": values for n, (_, values) in enumerate(fields)})


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_model_survives_schema_answer_cache_and_file(data: st.DataObject) -> None:
    """A random model's instance is the same after schema, answer, store and output file."""
    model, instances = data.draw(models())
    given_ = data.draw(instances)
    form = model_form(model)
    told = given_.model_dump_json()
    Draft202012Validator(form.schema).validate(json.loads(told))

    kept = form.accept(f"```json\n{told}\n```")
    answer = Answer(text=kept, model="m", endpoint="e")
    record = json.loads(json.dumps(sealed(answer)))
    value = form.value(unsealed(record)[0].text)
    assert value == given_
    assert type(value) is model

    output = BranchOutput(name="b", status="answered", output=value)
    result = BranchesResult(status="complete", query="q", merge="all", outputs=[output])
    file = json.loads(pretty_json(result))
    assert model.model_validate_json(json.dumps(file["outputs"][0]["output"])) == given_
