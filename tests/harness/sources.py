"""The package's own source files, and their syntax trees, each parsed once a test run."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from tests.harness import ROOT

SOURCES = sorted([*ROOT.glob("flows/**/*.py"), *ROOT.glob("tasks/**/*.py")])


def shown(path: Path) -> str:
    """A file by its path in the project."""
    return path.relative_to(ROOT).as_posix()


@cache
def nodes(path: Path) -> list[ast.AST]:
    """Every node of a file's syntax tree."""
    return list(ast.walk(ast.parse(path.read_text())))
