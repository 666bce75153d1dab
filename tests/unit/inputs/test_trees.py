"""YAML and JSON values: what they are, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.inputs.trees import json_tree, value_of, yaml_tree


def value(name: str, text: str) -> Any:
    parse = json_tree if name.endswith(".json") else yaml_tree
    return value_of(name, parse(name, text))


VALUES = [
    ("a: 1\nb: 0x1F\nc: 12:30\nd: 1_000", {"a": 1, "b": 31, "c": 750, "d": 1000}),
    ("[1.5, 2.0e+3, 1e3, .5]", [1.5, 2000.0, "1e3", 0.5]),
    ("[yes, no, on, true, 'true', \"no\"]", [True, False, True, True, "true", "no"]),
    ("[null, ~, '', '~']", [None, None, "", "~"]),
    ("- \n- a", [None, "a"]),
    ("[2024-01-01, 2024-01-01T10:00:00Z]", ["2024-01-01", "2024-01-01T10:00:00Z"]),
    ("[=, '<<', !!str 5, |-\n 6]", ["=", "<<", "5", "6"]),
    ("no: yes\n1: one", {"no": True, "1": "one"}),
    ("- &a {x: 1, y: 2}\n- {<<: *a, y: 3}", [{"x": 1, "y": 2}, {"x": 1, "y": 3}]),
    ("- &a {x: 1}\n- &b {x: 2, z: 3}\n- <<: [*a, *b]",
     [{"x": 1}, {"x": 2, "z": 3}, {"x": 1, "z": 3}]),
    ("- &f [{name: n}]\n- {output: *f}", [[{"name": "n"}], {"output": [{"name": "n"}]}]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), VALUES)
def test_yaml_words_are_the_values_that_yaml_takes_them_for(text: str, wanted: Any) -> None:
    """Words without quotes are numbers, booleans, null; dates and keys stay as written."""
    text = text.replace("|-\n 6", "'6'")
    assert value("t.yaml", text) == wanted


@pytest.mark.parametrize("text", [text for text, _ in VALUES[:4]])
def test_values_are_those_of_the_safe_loader(text: str) -> None:
    """Plain values agree with PyYAML's own safe loader."""
    assert value("t.yaml", text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    "text", ['{"a": [1, 2.5, -0, 1e3, true, null, "1"]}', "[]", '"x"', "12345678901234567890"]
)
def test_json_values_are_those_of_json(text: str) -> None:
    """JSON reads as by the standard library."""
    found = value("t.json", text)
    assert found == json.loads(text)
    assert json.dumps(found) == json.dumps(json.loads(text))


REFUSED = [
    ("t.yaml", "a: 1\nb: 2\na: 3", "the key 'a' is written twice; keep one of the two"),
    ("t.json", '{"a": 1, "a": 2}', "the key 'a' is written twice; keep one of the two"),
    ("t.yaml", "[.nan]", ".nan is not a JSON number; put it in quotes"),
    ("t.yaml", "[-.inf]", "-.inf is not a JSON number"),
    ("t.json", "[NaN]", "NaN is not a JSON number"),
    ("t.json", "[1e999]", "1e999 is not a JSON number"),
    ("t.json", "[-Infinity]", "-Infinity is not a JSON number"),
    ("t.json", "[" + "9" * 5000 + "]", "has too many digits; shorten it"),
    ("t.yaml", "[" + "9" * 5000 + "]", "is not readable; put it in quotes"),
    ("t.yaml", "? [a, b]\n: c", "a key is a list or an object; write it as a text"),
    ("t.yaml", "<<: 5", "<< merges objects only"),
    ("t.yaml", "- !!binary aGk=", "the tag 'tag:yaml.org,2002:binary' is not accepted"),
    ("t.yaml", "- !!python/name:os.system x", "is not accepted, only texts, lists and objects"),
    ("t.json", "[" * 80 + "]" * 80, "nested too deeply, 64 levels are read; write it flatter"),
    ("t.yaml", "[" * 80 + "]" * 80, "t.yaml line 1: nested too deeply"),
    ("t.yaml", "- &a " + "x" * 4_000_000 + "\n" + "- *a\n" * 999, "t.yaml line 3: more than"),
    ("t.yaml", "- &a [1]\n- &a [*a]", "the alias *a does not stand for an earlier text or object"),
]


@pytest.mark.parametrize(("name", "text", "wanted"), REFUSED, ids=[w for *_, w in REFUSED])
def test_what_is_no_value_is_one_problem(name: str, text: str, wanted: str) -> None:
    """Repeated keys, numbers that JSON lacks, tags, depth and multiplied texts are refused."""
    with pytest.raises(BadInput) as bad:
        value(name, text)
    (problem,) = bad.value.problems
    assert problem.startswith(name)
    assert wanted in problem
    assert len(problem) < 250


def test_a_small_alias_may_be_used_often() -> None:
    """A thousand uses of a short text are read."""
    assert value("t.yaml", "- &a x\n" + "- *a\n" * 1000) == ["x"] * 1001
