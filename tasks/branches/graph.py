"""The graph of a program: branches that use each other's outputs, and the input that they take.

Here: nodes, and every problem of the connections between them. Not here: reading a program from a
request (`branches.programs`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from prefect_llm_reports.tasks.contract.branches import Branch, Use
from prefect_llm_reports.tasks.llm.answer_forms import Form
from prefect_llm_reports.tasks.llm.schema_fields import at_path, kind_of, misfits
from prefect_llm_reports.tasks.llm.strict_schemas import Json


@dataclass(frozen=True)
class Node:
    """A branch in its program.

    Attributes:
        branch: The branch as a person described it.
        form: The form of its answer.
        takes: The form that input and uses must give it together; None: any.
        variant: Number among branches that ask exactly the same; empty for the first of them.
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
        """The outputs of other branches that it reads."""
        return self.branch.uses


def graph_problems(nodes: Sequence[Node], given: Set[str]) -> list[str]:
    """Find uses of unknown branches and fields, names used twice, and circles.

    Args:
        nodes: The branches that could be read.
        given: Names of all branches. A use of one that could not be read is not a further problem.
    """
    known = {node.name: node for node in nodes}
    problems: list[str] = []
    for node in nodes:
        for name, count in Counter(use.called for use in node.uses).items():
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
                    f" {use.branch}; name one of these: {others}"
                )
            elif at_path(source.form.schema, use.path) is None:
                fields = ", ".join(source.form.schema["properties"])
                problems.append(
                    f"branch {node.name}: uses {use.source}, which is not a field of the answer of"
                    f" {use.branch}; name one of these: {fields}"
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


def input_problems(nodes: Sequence[Node], given: Json) -> list[str]:
    """Find values that branches take and that are missing, or have another form.

    Args:
        nodes: All branches.
        given: The schema of the input.
    """
    known = {node.name: node for node in nodes}
    return [
        problem
        for node in nodes
        if node.takes
        for problem in _unmet(node, node.takes.schema, known, given)
    ]


def _unmet(node: Node, wanted: Json, known: Mapping[str, Node], given: Json) -> list[str]:
    problems: list[str] = []
    for name, part in wanted["properties"].items():
        use = next((use for use in node.uses if use.called == name), None)
        if use:
            root = known[use.branch].form.schema
            found, origin = at_path(root, use.path), f"from {use.source}"
        else:
            root = given
            found, origin = at_path(root, [name]), "from the input"
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
