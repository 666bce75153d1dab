"""The layout's promises: who may import whom, and what importing costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = [
    # Nothing of this project below them.
    {"forms"},
    {"budget", "connections", "environment", "markdown_tree", "media_types", "memory"}
    | {"offline_phrases", "pacing", "run_log", "runner", "schemas", "tracing"},
    # Values, errors, and what is computed from them.
    {"errors", "ledger", "markdown_text", "offline_forms", "offline_rules", "options", "pricing"},
    {"branches", "interruption", "s3", "strict"},
    {"changes", "chat", "differences", "faults", "locks", "offline", "sandbox", "settings"}
    | {"storage", "topics"},
    {"earlier", "pages", "prompts"},
    {"rendering"},
    {"reading", "run_pages"},
    {"run_index"},
    {"document", "file_schemas", "page_templates", "verifying"},
    {"pdf", "word"},
    # The LLM boundary and the store of answers.
    {"completions", "structured", "transport", "values"},
    {"merging", "programs"},
    {"asking", "exchange", "inquiries", "panels"},
    {"blocks", "checking", "drawing", "llm"},
    {"shards"},
    {"shard_desk"},
    # Prefect tasks.
    {"outcomes", "policies", "progress", "showing"},
    {"answering", "approval", "formatting", "judging", "publishing", "run_artifacts", "writing"},
    {"branch_pages", "branching", "refining", "runs"},
    {"branch_runs", "dispatching", "reporting", "telling"},
    {"batch_runs", "shard_runs", "submitting"},
    {"gathering"},
    {"sharding"},
]
ONLY_IMPORTERS = {
    "aiohttp": {"tasks/connections.py"},
    "openai": {"tasks/exchange.py"},
    "jinja2": {"tasks/sandbox.py"},
    "prefect_aws": {"tasks/s3.py"},
    "genai_prices": {"tasks/pricing.py"},
    "nh3": {"tasks/markdown_tree.py"},
    "typst": {"tasks/pdf.py"},
    "docx": {"tasks/word.py"},
}


@cache
def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


SOURCES = sorted([*ROOT.glob("flows/*.py"), *ROOT.glob("tasks/*.py")])


def layer_of(module: str) -> int:
    """The layer a module of `tasks` is in."""
    return next(n for n, names in enumerate(LAYERS) if module in names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_imports_go_to_lower_layers_only(path: Path) -> None:
    """Inside `tasks` a module imports lower layers only, and never a flow."""
    used = imports_of(path)
    if path.parent.name == "tasks":
        assert not {name for name in used if name.split(".")[0] == "flows"}
        if path.stem != "__init__":
            own = layer_of(path.stem)
            mine = {name.split(".")[1] for name in used if name.startswith("tasks.")}
            assert {name for name in mine if layer_of(name) >= own} == set()


@pytest.mark.parametrize("package", ONLY_IMPORTERS)
def test_each_boundary_has_one_importer(package: str) -> None:
    """openai, jinja2, prefect_aws, typst and the like are imported where they belong only."""
    importers = {
        f"{path.parent.name}/{path.name}"
        for path in SOURCES
        if any(name.split(".")[0] == package for name in imports_of(path))
    }
    assert importers <= ONLY_IMPORTERS[package]


def test_tasks_are_declared_in_the_upper_layers() -> None:
    """No module below the policies declares a Prefect task."""
    lower = set().union(*LAYERS[: layer_of("policies")])
    for path in SOURCES:
        if path.parent.name == "tasks" and path.stem in lower:
            assert "prefect.task" not in imports_of(path), path.name


def test_the_command_line_imports_nothing_heavy() -> None:
    """`llm-reports --help` needs neither Prefect nor openai nor pydantic."""
    code = (
        "import sys, flows.cli; flows.cli.parser();"
        "print([m for m in ('prefect', 'openai', 'pydantic', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
