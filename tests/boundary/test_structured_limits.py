"""Any output model survives the way from schema to file unchanged."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tasks.branches import BranchesResult, BranchOutput
from tasks.completions import sealed, unsealed
from tasks.publishing import pretty_json
from tasks.schemas import Answer
from tasks.structured import model_form
from tests.unit.test_structured import models


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
