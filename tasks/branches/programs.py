"""A program of branches, read and checked as a whole: names, forms, graph, needs of the merge.

Here: everything that can be known before any call. Not here: endpoints and prices
(`branches.checking`), asking (`branches.asking`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from prefect_llm_reports.tasks.branches.forms import form_of, schema_of
from prefect_llm_reports.tasks.branches.graph import Node, graph_problems, input_problems
from prefect_llm_reports.tasks.contract.branches import (
    AnswerWithThinking,
    Branch,
    BranchOptions,
    Query,
)
from prefect_llm_reports.tasks.contract.choices import MERGES, Merge
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.records import OFFLINE, canonical_json, digest
from prefect_llm_reports.tasks.inputs.problems import problems_of
from prefect_llm_reports.tasks.llm.answer_forms import Form

MOST_BRANCHES = 100
DEFAULT_BRANCHES: tuple[Branch, ...] = (Branch(name="first"), Branch(name="second"))
"""Two independent answers to the same question."""

T = TypeVar("T")


@dataclass(frozen=True)
class Program:
    """Checked branches over one input, and how their outputs are merged.

    Attributes:
        nodes: The branches in the order that a person gave them.
        merge: The name of the merge.
        model: Model of the branches that name none.
        options: The options.
        synthesis: The form of a synthesized answer.
        vote_field: The field whose value is voted on; None: the merge is not a vote.
    """

    nodes: tuple[Node, ...]
    merge: Merge
    model: str
    options: BranchOptions
    synthesis: Form
    vote_field: str | None = None

    @cached_property
    def results(self) -> tuple[Node, ...]:
        """The branches that are merged: those that no other branch uses."""
        used = {use.branch for node in self.nodes for use in node.uses}
        return tuple(node for node in self.nodes if node.name not in used)

    def model_of(self, chosen: str | None) -> str:
        """The model to ask: the step's, else the run's; the model offline holds for all steps."""
        return self.model if self.model == OFFLINE else chosen or self.model

    @property
    def quorum(self) -> int:
        """Number of answers that a vote needs."""
        return self.options.quorum or len(self.results) // 2 + 1

    def check_input(self, query: Any) -> None:
        """Check that an input has all values that branches take from it.

        Raises:
            BadInput: It does not; every branch is named.
        """
        problems = input_problems(self.nodes, schema_of(query))
        if problems:
            raise BadInput(*problems)


def check_program(
    branches: Sequence[Branch | Mapping[str, Any]] | None,
    merge: str,
    model: str,
    options: BranchOptions,
) -> Program:
    """Read branches, and check them, their graph and the merge.

    Args:
        branches: At least one branch; None: two branches of `AnswerWithThinking`.
        merge: One of `MERGES`.
        model: Model of the branches that name none.
        options: The options.

    Raises:
        BadInput: With every problem found.
    """
    problems: list[str] = []
    given = DEFAULT_BRANCHES if branches is None else branches
    if len(given) > MOST_BRANCHES:
        raise BadInput(f"branches: {len(given)} given, at most {MOST_BRANCHES}; remove some")
    read = [_branch(number, branch, problems) for number, branch in enumerate(given, start=1)]
    found = [branch for branch in read if branch]
    if not given:
        problems.append("branches: none given; give at least one, or leave it out for the default")
    if merge not in MERGES:
        problems.append(f"merge is {merge!r}; give one of {', '.join(MERGES)}")
    for name, count in Counter(branch.name.casefold() for branch in found).items():
        if count > 1:
            problems.append(f"branch {name}: {count} branches have this name; rename them")
    nodes = _nodes(found, problems)
    problems += graph_problems(nodes, {_name_of(branch) for branch in given})
    synthesis = _attempt(
        problems, "merge_output", lambda: form_of(options.merge_output, AnswerWithThinking)
    )
    if problems or synthesis is None:
        raise BadInput(*problems)
    program = Program(
        nodes=tuple(nodes),
        merge=cast("Merge", merge),
        model=model,
        options=options,
        synthesis=synthesis,
    )
    if merge == "synthesize" and options.merge_output is None:
        forms = {canonical_json(node.form.schema) for node in program.results}
        if len(forms) == 1:
            program = replace(program, synthesis=program.results[0].form)
    if merge == "vote":
        program = replace(program, vote_field=_vote_field(program))
    return program


def _attempt(problems: list[str], where: str, make: Callable[[], T]) -> T | None:
    try:
        return make()
    except BadInput as bad:
        problems += [f"{where}: {problem}" for problem in bad.problems]
        return None


def _name_of(given: Any) -> str:
    """The name of a branch as a person gave it, valid or not; empty: none."""
    if isinstance(given, Branch):
        return given.name
    named = cast("Mapping[str, Any]", given).get("name") if isinstance(given, Mapping) else None
    return named if isinstance(named, str) else ""


def _branch(number: int, given: Any, problems: list[str]) -> Branch | None:
    if isinstance(given, Branch):
        return given
    named = _name_of(given)
    where = f"branch {named}" if named else f"branches[{number}]"
    if not isinstance(given, Mapping):
        problems.append(f"{where}: wanted an object with at least a name; correct it")
        return None
    try:
        return Branch(**cast("dict[str, Any]", given))
    except (ValidationError, TypeError) as error:
        if isinstance(error, TypeError):
            problems.append(f"{where}: its keys must be texts; correct them")
            return None
        problems += problems_of(error, f"{where}: ")
        return None


def _nodes(branches: list[Branch], problems: list[str]) -> list[Node]:
    nodes: list[Node] = []
    asked: Counter[str] = Counter()
    for branch in branches:
        model = branch.python_model("output")
        form = _attempt(
            problems,
            f"branch {branch.name}: output",
            lambda b=branch, m=model: form_of(b.output, AnswerWithThinking, m),
        )
        takes: Form | None = None
        if branch.takes is not None:
            model = branch.python_model("takes")
            takes = _attempt(
                problems,
                f"branch {branch.name}: takes",
                lambda b=branch, m=model: form_of(b.takes, Query, m),
            )
        if form is None:
            continue
        same = branch.model_dump(mode="json", exclude={"name", "output", "takes"})
        question = digest(canonical_json([same, form.schema]))
        asked[question] += 1
        number = asked[question]
        nodes.append(Node(branch, form, takes, "" if number == 1 else str(number)))
    return nodes


def _vote_field(program: Program) -> str:
    field = program.options.vote_field
    shared = [
        name
        for name in program.results[0].form.schema["properties"]
        if all(name in node.form.schema["properties"] for node in program.results)
    ]
    if field is None:
        field = shared[0] if len(shared) == 1 else "answer"
    if field not in shared:
        raise BadInput(
            f"vote_field: {field!r} is not a field of every branch; they share"
            f" {', '.join(shared) or 'none'}: name one of those"
        )
    if program.quorum > len(program.results):
        raise BadInput(
            f"quorum is {program.quorum}, but {len(program.results)} branches vote; lower it"
        )
    return field
