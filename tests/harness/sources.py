"""The package's own source files, and what their syntax trees hold."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.harness import ROOT

SOURCES = sorted([*ROOT.glob("flows/**/*.py"), *ROOT.glob("tasks/**/*.py")])


def shown(path: Path) -> str:
    """A file by its path in the project."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    """A file's syntax tree; parsed once."""
    return ast.parse(path.read_text())


@cache
def nodes(path: Path) -> list[ast.AST]:
    """Every node of a file's syntax tree."""
    return list(ast.walk(tree(path)))


def statements(path: Path) -> Iterator[ast.AST]:
    """Every statement of a file, without the expressions inside; a fifth of the nodes."""

    def inner(parent: ast.AST) -> Iterator[ast.AST]:
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            for statement in getattr(parent, field, ()):
                yield statement
                yield from inner(statement)

    return inner(tree(path))
