"""A file that describes a program of branches, as one model.

Here: the file, and its problems apart from those of its branches. Not here: whether branches and
graph can be carried out (`branches.programs`).
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator

from prefect_llm_reports.tasks.contract.branches import Branch, BranchOptions
from prefect_llm_reports.tasks.contract.choices import DEFAULT_MERGE, Merge
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.records import Record
from prefect_llm_reports.tasks.inputs.files import TREES, read_file, read_tree
from prefect_llm_reports.tasks.inputs.problems import read_model, seen
from prefect_llm_reports.tasks.inputs.trees import Pairs, value_of


class BranchesFile(Record):
    """The content of a branches file; an empty field has its default."""

    branches: list[Annotated[Branch | Any, Field(union_mode="left_to_right")]] | None = Field(
        default=None,
        description="What to ask. A branch that is not valid stays as it was written: it is"
        " refused with the graph, so that all problems are found together.",
    )
    merge: Merge = Field(default=DEFAULT_MERGE, description="How outputs are merged.")
    model: str | None = Field(default=None, description="Model of the branches that name none.")
    options: BranchOptions = Field(default=BranchOptions(), description="Everything else.")

    @field_validator("merge", "model", "options", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object, info: Any) -> object:
        default = cls.model_fields[info.field_name].get_default()
        return default if value is None or value == "" else value


def read_branches_file(name: str | None, problems: list[str]) -> BranchesFile:
    """Read a branches file: a list of branches, or an object with `branches` and other fields.

    Args:
        name: A path, or an address in S3; None: no file, so everything has its default.
        problems: Receives the file's problems; wrong fields keep their defaults.
    """
    try:
        file = read_file(name, "branches", TREES)
        if file is None:
            return BranchesFile()
        tree = read_tree(*file)
        given = value_of(file[0], tree if isinstance(tree, Pairs) else Pairs((("branches", tree),)))
    except BadInput as bad:
        problems += bad.problems
        return BranchesFile()
    if not isinstance(given.get("branches"), list):
        found = f", found {seen(given['branches'])}" if given.get("branches") else ""
        wanted = "wanted a list of branches, or an object with the list `branches`"
        problems.append(f"{name}: {wanted}{found}; write the list")
        given.pop("branches", None)
    return read_model(BranchesFile, given, problems, f"{name}: ")
