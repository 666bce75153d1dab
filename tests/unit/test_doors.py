"""The house's promises: which room may import which, what is installed, what importing costs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.harness import ROOT
from tests.harness.sources import SOURCES, shown, statements, tree

NAME = "prefect_llm_reports"
FLOORS = [
    ["contract"],
    ["text", "templates", "storage", "offline"],
    ["llm", "answers"],
    ["inputs", "citations", "pages", "runtime", "sources"],
    ["calls", "results"],
    ["reports", "branches"],
    ["shards"],
]
"""The rooms of `tasks`, from the ground up; a room imports rooms of lower floors only."""
TASK_FLOOR = 4
"""Prefect tasks are declared from this floor up."""
ONLY_IMPORTERS = {
    "aiohttp": {"tasks/llm/connections.py"},
    "openai": {"tasks/llm/client.py"},
    "jinja2": {"tasks/templates/sandbox.py"},
    "prefect_aws": {"tasks/storage/s3.py"},
    "genai_prices": {"tasks/llm/pricing.py"},
    "latex2mathml": {"tasks/text/mathml.py"},
    "nh3": {"tasks/text/html.py"},
    "typst": {"tasks/pages/pdf.py"},
    "docx": {"tasks/pages/word.py", "tasks/sources/word_file.py"},
    "pypdf": {"tasks/sources/pdf_file.py"},
    "openpyxl": {"tasks/inputs/workbooks.py", "tasks/sources/workbook_file.py"},
}
ROOMS = [room for floor in FLOORS for room in floor]


@cache
def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it."""
    found: set[str] = set()
    for node in statements(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def floor_of(room: str) -> int:
    """The floor a room of `tasks` is on."""
    return next(n for n, rooms in enumerate(FLOORS) if room in rooms)


def test_imports_go_to_lower_floors_only() -> None:
    """A room imports itself and rooms of lower floors, and no room imports a flow."""
    upward: dict[str, set[str]] = {}
    for path in SOURCES:
        top, room, *_ = path.relative_to(ROOT).parts
        used = [name.split(".") for name in imports_of(path) if name.startswith(f"{NAME}.")]
        if top == "tasks":
            upward[shown(path)] = {".".join(name) for name in used if name[1] == "flows"}
        if top == "tasks" and room in ROOMS:
            others = {name[2] for name in used if len(name) > 2 and name[2] in ROOMS} - {room}
            upward[shown(path)] |= {o for o in others if floor_of(o) >= floor_of(room)}
    assert {path: found for path, found in upward.items() if found} == {}


def test_the_plan_names_every_room() -> None:
    """Each folder of `tasks` with code has its floor, and no floor a room that is gone."""
    assert sorted(ROOMS) == sorted(path.parent.name for path in ROOT.glob("tasks/*/__init__.py"))
    assert [path.name for path in ROOT.glob("tasks/*.py")] == ["__init__.py"]


def test_no_two_modules_import_each_other() -> None:
    """There is no circle, also within a room."""
    modules = {
        ".".join((NAME, *path.relative_to(ROOT).with_suffix("").parts)): path for path in SOURCES
    }
    uses = {name: imports_of(path) & modules.keys() for name, path in modules.items()}
    while free := {name for name, used in uses.items() if not used & uses.keys()}:
        uses = {name: used for name, used in uses.items() if name not in free}
    assert uses == {}


def test_the_top_level_holds_the_projects_parts_only() -> None:
    """Of what Git keeps; a source archive has nothing that Git could list."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    kept = {name.partition("/")[0] for name in listed.stdout.splitlines()}
    parts = {"flows", "tasks", "tests", "deployments", "pyproject.toml", "README.md", "LICENSE"}
    assert {name for name in kept if not name.startswith(".")} in (parts, set())


def test_modules_are_short() -> None:
    """No module has more than 400 lines, and half of them at most 170."""
    lengths = {shown(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: n for name, n in lengths.items() if n > 400} == {}
    assert median(lengths.values()) <= 170


def test_the_embedded_engine_is_small() -> None:
    """It is a demonstration, and has at most 700 lines."""
    engine = [path for path in SOURCES if path.parent.name == "offline"]
    assert sum(len(path.read_text().splitlines()) for path in engine) <= 700


@pytest.mark.parametrize("package", ONLY_IMPORTERS)
def test_each_boundary_has_one_importer(package: str) -> None:
    """openai, jinja2, prefect_aws, typst and the like are imported where they belong only."""
    importers = {
        shown(path)
        for path in SOURCES
        if any(name.split(".")[0] == package for name in imports_of(path))
    }
    assert importers <= ONLY_IMPORTERS[package]


def test_tasks_are_declared_on_the_upper_floors() -> None:
    """No room below the calls declares a Prefect task."""
    for path in SOURCES:
        top, room, *_ = path.relative_to(ROOT).parts
        if top == "tasks" and room in ROOMS and floor_of(room) < TASK_FLOOR:
            assert "prefect.task" not in imports_of(path), shown(path)


@pytest.mark.parametrize("room", ROOMS)
def test_each_room_says_what_lives_there_and_opens_lazily(room: str) -> None:
    """A room's docstring says what is here and what is not; its names are found when asked for."""
    package: Any = import_module(f"{NAME}.tasks.{room}")
    about = " ".join(package.__doc__.split())
    assert "Here: " in about
    assert "Not here: " in about
    assert package.__all__ == sorted(package.__all__)
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


def test_where_a_module_sends_its_reader_there_is_something() -> None:
    """What a docstring names in `(…)` as the place of what is not here exists."""
    parts = [path.relative_to(ROOT).with_suffix("").parts for path in SOURCES]
    there = {"_".join(one[at:]) for one in parts for at in range(len(one))}
    there |= {"_".join(one[at:-1]) for one in parts for at in range(len(one) - 1)}
    gone: dict[str, list[str]] = {}
    for path in SOURCES:
        about = " ".join((ast.get_docstring(tree(path)) or "").split())
        named = re.findall(r"[(,] ?`([a-z_.]+)`(?=[,)])", about.partition("Not here:")[2])
        if lost := [name for name in named if name.replace(".", "_") not in there]:
            gone[shown(path)] = lost
    assert gone == {}


@pytest.mark.parametrize("kind", ["unit", "boundary", "flow", "services"])
def test_tests_mirror_the_rooms(kind: str) -> None:
    """A folder of tests is called like a room, and a file in it begins with a module's name."""
    places = {room: ROOT / "tasks" / room for room in ROOMS}
    places |= {"cli": ROOT / "flows/cli", "flows": ROOT / "flows"}
    known = {room: {p.stem for p in folder.glob("*.py")} for room, folder in places.items()}
    known["harness"] = {path.stem for path in ROOT.glob("tests/harness/*.py")}
    known["deployments"] = {p.name.split(".")[0].lower() for p in ROOT.glob("deployments/*")}
    strays = [
        shown(path)
        for path in ROOT.glob(f"tests/{kind}/*/test_*.py")
        if not any(
            path.stem.removeprefix("test_").startswith(name.replace("-", "_"))
            for name in known.get(path.parent.name, ())
        )
    ]
    assert strays == []


def test_every_name_that_is_allowed_to_be_unused_is_there() -> None:
    """The allowlist of vulture names nothing that is gone, and says of each name who uses it."""
    allowed = (ROOT / "tests/vulture_allowlist.py").read_text().partition('"""\n\n')[2]
    code = "\n".join(path.read_text() for path in [*SOURCES, *ROOT.glob("deployments/*.py")])
    there = set(re.findall(r"\w+", code))
    for group in allowed.strip().split("\n\n"):
        reason, *names = group.splitlines()
        assert reason.startswith("# ")
        assert names
        assert {name.removeprefix("_.") for name in names} - there == set()


def test_all_packages_are_installed() -> None:
    """pyproject.toml lists every package, since none is found by itself under another name."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = {".".join((NAME, *p.parent.relative_to(ROOT).parts)) for p in SOURCES}
    there |= {
        f"{NAME}.tasks.templates.{p.name}"
        for p in ROOT.glob("tasks/templates/[a-z]*")
        if p.is_dir()
    }
    there |= {f"{NAME}.flows.deployments", f"{NAME}.flows.deployments.topics"}
    there |= {f"{NAME}.flows.deployments.sources"}
    there |= {f"{NAME}.flows.cli.starter"}
    assert listed == sorted(there)


def test_the_command_line_imports_nothing_heavy() -> None:
    """`llm-reports --help` needs neither Prefect nor openai nor pydantic."""
    code = (
        "import sys, prefect_llm_reports.flows.cli.main as cli; cli.parser();"
        "print([m for m in ('prefect', 'openai', 'pydantic', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
