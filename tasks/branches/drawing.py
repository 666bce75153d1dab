"""The picture of a program: branches with their forms, and the merge."""

from __future__ import annotations

from prefect_llm_reports.tasks.branches.graph import Node
from prefect_llm_reports.tasks.branches.joining import joined
from prefect_llm_reports.tasks.branches.programs import Program
from prefect_llm_reports.tasks.branches.questions import BEST_BY
from prefect_llm_reports.tasks.calls.judging import verdict_form
from prefect_llm_reports.tasks.contract.branches import Query
from prefect_llm_reports.tasks.contract.records import canonical_json
from prefect_llm_reports.tasks.llm.answer_forms import model_form
from prefect_llm_reports.tasks.llm.strict_schemas import Json
from prefect_llm_reports.tasks.pages.svg import Box, Edge, svg_of

FULLY_LISTED = 6
"""Up to this many branches, each lists its fields, even if another has the same ones."""


def draw_program(program: Program) -> str:
    """Draw a program of branches as SVG."""
    boxes = [Box("Input", "input", "Every branch reads it.", model_form(Query).schema)]
    numbers: dict[str, int] = {}
    listed: dict[str, str] = {}
    for node in program.nodes:
        numbers[node.name] = len(boxes)
        first = listed.setdefault(canonical_json(node.form.schema), node.name)
        short = len(program.nodes) > FULLY_LISTED and first != node.name
        boxes.append(_branch_box(node, program, first if short else ""))
    edges: list[Edge] = []
    for node in program.nodes:
        here = numbers[node.name]
        if not node.uses:
            edges.append(Edge(0, here))
        for use in node.uses:
            said = "" if use.called == use.branch else use.called
            edges.append(Edge(numbers[use.branch], here, said))
    merge = len(boxes)
    boxes.append(_merge_box(program))
    edges += [Edge(numbers[node.name], merge) for node in program.results]
    boxes.append(Box("Output", "output", _merged_about(program), _merged_schema(program)))
    edges.append(Edge(merge, merge + 1))
    count = len(program.nodes)
    title = f"{count} {'branch' if count == 1 else 'branches'}, {program.merge}"
    return svg_of(boxes, edges, title)


def _branch_box(node: Node, program: Program, like: str) -> Box:
    model = program.model_of(node.branch.model)
    about = f"{model}. {node.branch.instructions}" if node.branch.instructions else model
    return Box(node.name, about=about, schema=None if like else node.form.schema, like=like)


def _merge_box(program: Program) -> Box:
    options = program.options
    model = program.model_of(options.merge_model)
    said = {
        "all": "A list of all outputs; every branch is needed.",
        "any": "The first output; the other branches are cancelled.",
        "best": f"{model}. A judge scores them blind, each at every position."
        f" {options.merge_instructions or BEST_BY}",
        "vote": f"The majority on {program.vote_field}; at least {program.quorum} answers.",
        "concat": "All fields in one object.",
        "synthesize": f"{model}. One call combines them. {options.merge_instructions}",
    }[program.merge]
    judged = verdict_form(1).schema if program.merge == "best" else None
    return Box(f"merge: {program.merge}", "merge", said.strip(), judged)


def _merged_about(program: Program) -> str:
    if program.merge == "all":
        return f"A list of {len(program.results)}, in branch order."
    return {"any": "Of the first branch.", "best": "Of the best branch."}.get(program.merge, "")


def _merged_schema(program: Program) -> Json | None:
    results = program.results
    match program.merge:
        case "synthesize":
            return program.synthesis.schema
        case "concat":
            names = [node.name for node in results]
            schemas = {node.name: node.form.schema for node in results}
            fields = {name: list(schemas[name]["properties"]) for name in names}
            called = joined(names, fields)
            properties = {
                called[name][field]: part
                for name in names
                for field, part in schemas[name]["properties"].items()
            }
            known = {k: v for s in schemas.values() for k, v in s.get("$defs", {}).items()}
            return {"type": "object", "properties": properties, "$defs": known}
        case "all":
            return None
        case _:
            first = results[0].form.schema
            return first if all(node.form.schema == first for node in results) else None
