"""A program of branches, checked as a whole: names, forms, the graph, what the merge needs.

Here: what can be known before any call. Not here: endpoints and prices (`inputs.requests`), asking.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from prefect_llm_reports.tasks.contract.branches import (
    AnswerWithThinking,
    Branch,
    BranchOptions,
    OutputField,
    OutputSpec,
    Query,
    Use,
)
from prefect_llm_reports.tasks.contract.choices import MERGES, Merge
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.records import OFFLINE, canonical_json, digest
from prefect_llm_reports.tasks.inputs.problems import problems_of
from prefect_llm_reports.tasks.llm.answer_forms import Form, model_form, schema_form
from prefect_llm_reports.tasks.llm.strict_schemas import Json, at_path, kind_of, misfits

MOST_BRANCHES = 100
T = TypeVar("T")


@dataclass(frozen=True)
class Node:
    """A branch in its program.

    Attributes:
        branch: As it was given.
        form: Of its answer.
        takes: Form of what it must be given; None: anything.
        variant: Tells it from branches that ask exactly the same; empty for the first of them.
    """

    branch: Branch
    form: Form
    takes: Form | None
    variant: str

    @property
    def name(self) -> str:
        """The branch's name."""
        return self.branch.name

    @property
    def uses(self) -> tuple[Use, ...]:
        """What it reads of other branches."""
        return self.branch.uses


@dataclass(frozen=True)
class Program:
    """Branches over one input and how their outputs are merged; it can be carried out."""

    nodes: tuple[Node, ...]
    merge: Merge
    model: str
    options: BranchOptions
    synthesis: Form
    vote_field: str | None

    @cached_property
    def results(self) -> tuple[Node, ...]:
        """The branches that are merged: those that no other one uses."""
        used = {use.branch for node in self.nodes for use in node.uses}
        return tuple(node for node in self.nodes if node.name not in used)

    def model_of(self, chosen: str | None) -> str:
        """The model to ask: the one chosen for a step, else the run's; offline is for all."""
        return self.model if self.model == OFFLINE else chosen or self.model

    @property
    def quorum(self) -> int:
        """Answers that a vote needs at least."""
        return self.options.quorum or len(self.results) // 2 + 1

    def check_input(self, query: Any) -> None:
        """Check that an input gives every branch what it takes.

        Raises:
            BadInput: It does not; every branch is named.
        """
        given = schema_of(query)
        problems = [
            problem
            for node in self.nodes
            if node.takes
            for problem in _unmet(node, node.takes, self.nodes, given)
        ]
        if problems:
            raise BadInput(*problems)


def check_program(
    branches: Sequence[Branch | Mapping[str, Any]] | None,
    merge: str,
    model: str,
    options: BranchOptions,
) -> Program:
    """Check branches, graph and merge.

    Args:
        branches: At least one; None: two branches of `AnswerWithThinking`.
        merge: One of `MERGES`.
        model: Model of the branches that name none.
        options: What the merge needs beyond its name.

    Raises:
        BadInput: With every problem found.
    """
    problems: list[str] = []
    given = DEFAULT_BRANCHES if branches is None else branches
    read = [_branch(number, branch, problems) for number, branch in enumerate(given, start=1)]
    found = [branch for branch in read if branch]
    if not given:
        problems.append("branches: none given; give at least one, or leave it out for the default")
    if len(given) > MOST_BRANCHES:
        problems.append(f"branches: {len(given)} given; a program may have {MOST_BRANCHES}")
    if merge not in MERGES:
        problems.append(f"merge is {merge!r}; give one of {', '.join(MERGES)}")
    for name, count in Counter(branch.name.casefold() for branch in found).items():
        if count > 1:
            problems.append(f"branch {name}: {count} branches have this name; rename them")
    nodes = _nodes(found, problems)
    problems += _graph_problems(nodes, {_name_of(branch) for branch in given})
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
        vote_field=None,
    )
    if merge == "synthesize" and options.merge_output is None:
        forms = {canonical_json(node.form.schema) for node in program.results}
        if len(forms) == 1:
            program = _with(program, synthesis=program.results[0].form)
    if merge == "vote":
        program = _with(program, vote_field=_vote_field(program))
    return program


def _with(program: Program, **changes: Any) -> Program:
    return Program(**{**{k: getattr(program, k) for k in Program.__dataclass_fields__}, **changes})


def form_of(
    spec: OutputSpec | None, default: type[BaseModel], model: type[BaseModel] | None = None
) -> Form:
    """The form that a specification describes; it can be expressed in a strict schema.

    Args:
        spec: Fields or a JSON Schema; None: the default.
        default: The model used without a specification.
        model: A pydantic model given in Python, which goes first.

    Raises:
        BadInput: It is not valid, or cannot be expressed.
    """
    if model or spec is None:
        form = model_form(model or default)
    elif isinstance(spec, list):
        form = schema_form(_schema_of_fields(spec))
    else:
        form = schema_form(spec)
    assert form.schema is not None
    return form


def _schema_of_fields(fields: list[OutputField]) -> Json:
    twice = [name for name, count in Counter(f.name for f in fields).items() if count > 1]
    if twice:
        raise BadInput(f"the field {twice[0]} is given twice; rename one of them")
    return {
        "type": "object",
        "properties": {field.name: field.schema_of() for field in fields},
        "required": [field.name for field in fields],
        "additionalProperties": False,
    }


def _attempt(problems: list[str], where: str, make: Callable[[], T]) -> T | None:
    try:
        return make()
    except BadInput as bad:
        problems += [f"{where}: {problem}" for problem in bad.problems]
        return None


def _name_of(given: Any) -> str:
    """The name of a branch as it was given, valid or not; empty: none."""
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


def _graph_problems(nodes: list[Node], given: set[str]) -> list[str]:
    """Problems of what branches use; nothing is said of one that is given but not readable."""
    known = {node.name: node for node in nodes}
    problems: list[str] = []
    for node in nodes:
        called = Counter(use.called for use in node.uses)
        for name, count in called.items():
            if count > 1:
                problems.append(
                    f"branch {node.name}: uses two things as {name}; give one another name"
                )
        for use in node.uses:
            source = known.get(use.branch)
            if source is None and use.branch in given:
                continue
            if source is None:
                others = ", ".join(sorted(filter(None, given))) or "none"
                problems.append(
                    f"branch {node.name}: uses {use.source}, but there is no branch"
                    f" {use.branch}; there are {others}"
                )
            elif at_path(source.form.schema, use.path) is None:
                fields = ", ".join(source.form.schema["properties"])
                problems.append(
                    f"branch {node.name}: uses {use.source}, which is no field of what"
                    f" {use.branch} answers; it answers {fields}"
                )
    if not problems and given == known.keys() and (circle := _circle(known)):
        problems.append(
            f"branches use each other in a circle: {' → '.join(circle)}; remove one of these uses"
        )
    return problems


def _circle(known: Mapping[str, Node]) -> list[str] | None:
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str] | None:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return None
        for use in known[name].uses:
            if found := visit(use.branch, [*path, name]):
                return found
        done.add(name)
        return None

    return next((found for name in known if (found := visit(name, []))), None)


def _unmet(node: Node, takes: Form, nodes: Iterable[Node], given: Json) -> list[str]:
    """What a branch takes and is not given, or not in that form."""
    known = {other.name: other for other in nodes}
    wanted = takes.schema
    problems: list[str] = []
    for name, part in wanted["properties"].items():
        use = next((use for use in node.uses if use.called == name), None)
        if use:
            source = known[use.branch].form.schema
            found, root, origin = at_path(source, use.path), source, f"from {use.source}"
        else:
            found, root, origin = at_path(given, [name]), given, "from the input"
        if found is None:
            problems.append(
                f"branch {node.name}: takes {name} ({kind_of(wanted, part)}), which neither the"
                f" input nor its uses give; add it to one of them"
            )
            continue
        problems += [
            f"branch {node.name}: {origin}, {problem}; change one of the two"
            for problem in misfits(root, found, wanted, part, name)
        ]
    return problems


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


def schema_of(value: Any) -> Json:
    """A strict schema that a value fits; a text is an object with the field `query`."""
    if isinstance(value, BaseModel):
        return model_form(type(value)).schema
    return _schema_of_value({"query": value} if isinstance(value, str) else value)


def _schema_of_value(value: Any) -> Json:
    match value:
        case Mapping():
            items = cast("Mapping[str, Any]", value)
            properties = {name: _schema_of_value(part) for name, part in items.items()}
            return {"type": "object", "properties": properties, "required": list(properties)}
        case list() | tuple():
            parts = {canonical_json(s): s for s in map(_schema_of_value, cast("list[Any]", value))}
            options = list(parts.values())
            item = options[0] if len(options) == 1 else {"anyOf": options}
            return {"type": "array", "items": item}
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case float():
            return {"type": "number"}
        case None:
            return {"type": "null"}
        case _:
            return {"type": "string", "const": str(value)}


def query_text(query: Any) -> str:
    """An input as it stands in prompts: a text as it is, everything else as JSON."""
    if isinstance(query, BaseModel):
        if isinstance(query, Query):
            return query.query
        query = query.model_dump(mode="json")
    return query if isinstance(query, str) else json.dumps(query, ensure_ascii=False, indent=1)


DEFAULT_BRANCHES: tuple[Branch, ...] = (Branch(name="first"), Branch(name="second"))
"""Two independent answers to the same question."""
