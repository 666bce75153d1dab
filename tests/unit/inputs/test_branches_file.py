"""A branches file: one model, read once, and all that is wrong with it together."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefect_llm_reports.tasks.contract.branches import Branch, BranchOptions
from prefect_llm_reports.tasks.inputs.branches_file import BranchesFile, read_branches_file


def read(folder: Path, text: str, name: str = "b.yaml") -> tuple[BranchesFile, list[str]]:
    (folder / name).write_text(text)
    problems: list[str] = []
    found = read_branches_file(str(folder / name), problems)
    return found, [problem.replace(f"{folder}/", "") for problem in problems]


GOOD = [
    ("b.yaml", "- {name: a, output: &o [{name: n, type: integer, many: yes}]}\n"),
    ("b.yaml", "branches:\n- name: a\n  output: [{name: n, type: integer, many: true}]\n"),
    ("b.json", '[{"name": "a", "output": [{"name": "n", "type": "integer", "many": true}]}]'),
]


@pytest.mark.parametrize(("name", "text"), GOOD)
def test_a_file_is_a_list_of_branches_or_an_object(tmp_path: Path, name: str, text: str) -> None:
    """Both forms give the same branches, and everything else at its default."""
    found, problems = read(tmp_path, text, name)
    assert problems == []
    (branch,) = found.branches or ()
    assert isinstance(branch, Branch)
    assert branch == Branch.model_validate(
        {"name": "a", "output": [{"name": "n", "type": "integer", "many": True}]}
    )
    assert (found.merge, found.model, found.options) == ("all", None, BranchOptions())


def test_fields_that_are_left_empty_have_their_defaults(tmp_path: Path) -> None:
    """`options:` and the like with nothing behind them are as if they were left out."""
    found, problems = read(tmp_path, "branches: [{name: a}]\noptions:\nmodel:\nmerge:\n")
    assert problems == []
    assert found.options == BranchOptions()
    assert found.options.model_fields_set == set()
    assert (found.merge, found.model) == ("all", None)


def test_no_file_is_the_default_program() -> None:
    """Without a file there are no branches of one's own."""
    problems: list[str] = []
    assert read_branches_file(None, problems) == BranchesFile()
    assert problems == []


BAD = [
    ("branches: [{name: a}]\nmodel: 5", ["b.yaml: model: wanted a text, found 5"]),
    ("branches: [{name: a}]\nmerge: bst", ["b.yaml: merge: wanted 'all', 'any'"]),
    ("branches: [{name: a}]\nowner: me", ["b.yaml: owner: unknown name; correct its spelling"]),
    ("branches: [{name: a}]\noptions: fast", ["b.yaml: options: wanted an object"]),
    ("branches: {name: a}", ["b.yaml: wanted a list of branches, or an object with the list"]),
    ("merge: all", ["b.yaml: wanted a list of branches, or an object with the list `branches`"]),
    ("", ["b.yaml: wanted a list of branches, or an object with the list `branches`"]),
    ("5", ["b.yaml: wanted a list of branches"]),
    ("branches: [", ["b.yaml line 2: not readable as YAML"]),
    ("branches: [{name: a}]\nmerge: all\nmerge: any", ["b.yaml: the key 'merge' is written twice"]),
    (
        "branches: 7\nmodel: [m]\nmerge: 3\nmodels: x\n"
        "options: {concurrency: lots, budget_usd: -1, fallbacks: [{endpoint: x}], speed: 1}",
        [
            "b.yaml: wanted a list of branches, or an object with the list `branches`, found 7",
            "b.yaml: merge: wanted",
            "b.yaml: model: wanted a text, found a list; correct it",
            "b.yaml: options.concurrency: wanted a whole number",
            "b.yaml: options.budget_usd: wanted at least 0, found -1",
            "b.yaml: options.fallbacks.0.model: is missing; add it",
            "b.yaml: options.speed: unknown name; correct its spelling or remove it",
            "b.yaml: models: unknown name; did you mean model?",
        ],
    ),
]


@pytest.mark.parametrize(("text", "wanted"), BAD, ids=[text for text, _ in BAD])
def test_all_problems_come_together(tmp_path: Path, text: str, wanted: list[str]) -> None:
    """Each wrong field is one problem with the file, the field, the value and the way out."""
    _, problems = read(tmp_path, text)
    assert len(problems) == len(wanted)
    for start in wanted:
        assert [problem for problem in problems if problem.startswith(start)], (start, problems)
    assert all(";" in problem for problem in problems)


def test_what_is_right_is_kept_for_the_other_checks(tmp_path: Path) -> None:
    """Wrong fields are at their defaults, so that the rest is checked as it was meant."""
    found, problems = read(
        tmp_path,
        "branches: [{name: a}, {name: b, colour: red}]\nmodel: offline\n"
        "options: {vote_field: n, merge_output: 7, budget_usd: lots}\n",
    )
    assert {problem.split(": ")[1].split(".")[1] for problem in problems} == {
        "budget_usd",
        "merge_output",
    }
    assert found.model == "offline"
    assert found.options == BranchOptions(vote_field="n")
    assert found.branches == [Branch(name="a"), {"name": "b", "colour": "red"}]


def test_a_file_of_another_format_is_not_read(tmp_path: Path) -> None:
    """Branches are trees: a table or a text cannot hold them."""
    (tmp_path / "b.csv").write_text("name\na\n")
    problems: list[str] = []
    read_branches_file(str(tmp_path / "b.csv"), problems)
    (problem,) = problems
    assert "unknown ending '.csv', wanted .yaml, .yml, .json; rename the file" in problem
