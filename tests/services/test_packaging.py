"""The project as it is built and installed, and used outside the checkout."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import ROOT
from tests.harness.installed import (
    UNTRACKED,
    UV,
    Installed,
    build,
    checkout,
    git,
    install,
    install_beside_ours,
    run,
)

NAME = "prefect_llm_reports"
DATA = {".csv", ".html", ".j2", ".js", ".json", ".markdown", ".txt", ".typ", ".yaml"}
"""Kinds of files that are read at run time."""
RESOURCES = f"""
import json
from importlib.resources import files

def names(place, at=""):
    for one in place.iterdir():
        if one.is_dir():
            yield from names(one, f"{{at}}{{one.name}}/")
        elif one.name.endswith({tuple(sorted(DATA))}):
            yield at + one.name

rooms = {{"tasks/templates": "tasks.templates", "deployments": "flows.deployments"}}
print(json.dumps({{k: sorted(names(files("{NAME}." + r))) for k, r in rooms.items()}}))
"""
"""A program that prints the files that the installed packages offer."""
DEPLOYED = f"""
from importlib import import_module
from {NAME}.flows.cli.serve import *
for name in ("ecs_template", "save_automations", "save_blocks", "schedules", "serve"):
    import_module("{NAME}.flows.deployments." + name)
print(SHIPPED, [d["name"] for d in definitions()])
"""
"""A program that imports the commands of `deployments/`, and prints what is deployed."""
pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project in a repository of its own, where builds may leave what they like."""
    return checkout(tmp_path_factory.mktemp("tree") / "project")


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built within the tree."""
    return build("wheel", tree, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution."""
    return build("sdist", tree, tmp_path_factory.mktemp("sdist"))


def data_of(folder: str) -> set[str]:
    """The data files below a folder of the checkout, by their paths in it."""
    return {
        str(path.relative_to(ROOT / folder))
        for path in (ROOT / folder).rglob("*")
        if path.suffix in DATA
    }


def packed(wheel: Path) -> set[str]:
    """The names in a wheel."""
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    """Code, templates, type markers and what is deployed are in the wheel; tests are not."""
    names = packed(wheel)
    roots = {name.split("/")[0] for name in names}
    assert {root for root in roots if not root.endswith(".dist-info")} == {NAME}
    inside = {name.removeprefix(f"{NAME}/") for name in names if name.startswith(NAME + "/")}
    assert {name.split("/")[0] for name in inside} == {"flows", "tasks"}
    code = {
        str(path.relative_to(ROOT))
        for top in ("flows", "tasks")
        for path in (ROOT / top).rglob("*.py")
    }
    code |= {f"flows/{path.relative_to(ROOT)}" for path in ROOT.glob("deployments/*.py")}
    assert {name for name in inside if name.endswith(".py")} == code
    data = {f"{top}/{name}" for top in ("flows", "tasks") for name in data_of(top)}
    data |= {f"flows/deployments/{name}" for name in data_of("deployments")}
    assert inside - code == data | {"flows/py.typed", "tasks/py.typed"}


def test_the_source_distribution_holds_the_project_and_builds_the_same_wheel(
    sdist: Path, wheel: Path, tmp_path: Path
) -> None:
    """It holds what git tracks, tests too; the wheel of the unpacked files has the same names."""
    run("tar", "-xzf", sdist, "-C", tmp_path, cwd=tmp_path)
    [unpacked] = tmp_path.iterdir()
    held = {str(p.relative_to(unpacked)) for p in unpacked.rglob("*") if p.is_file()}
    tracked = {name for name in git("ls-files").splitlines() if (ROOT / name).is_file()}
    assert tracked <= held
    made = {"PKG-INFO", "setup.cfg"} | {n for n in held if n.startswith(f"{NAME}.egg-info/")}
    new = set(git("ls-files", *UNTRACKED).splitlines())
    assert held - tracked - made - new == set()
    assert packed(build("wheel", unpacked, tmp_path / "dist")) == packed(wheel)


def test_a_later_build_packs_nothing_of_an_earlier_one(tree: Path, tmp_path: Path) -> None:
    """A module that was removed is gone from the next wheel, and git sees nothing of a build."""
    module = tree / "flows/soon_removed.py"
    module.touch()
    name = f"{NAME}/flows/{module.name}"
    assert name in packed(build("wheel", tree, tmp_path / "first"))
    module.unlink()
    assert name not in packed(build("wheel", tree, tmp_path / "second"))
    assert git("ls-files", *UNTRACKED, at=tree) == ""
    assert git("diff", "--name-only", at=tree) == ""


def of_an_editable_install(tree: Path, sdist: Path, folder: Path) -> Installed:
    """What `pip install -e .` gives."""
    return install_beside_ours(folder, "--editable", tree)


def of_the_source_distribution(tree: Path, sdist: Path, folder: Path) -> Installed:
    """What the sdist gives."""
    return install_beside_ours(folder, sdist)


def of_uv_tool(tree: Path, sdist: Path, folder: Path) -> Installed:
    """What `uv tool install .` gives, in an environment that uv makes."""
    places = {"UV_TOOL_DIR": str(folder), "UV_TOOL_BIN_DIR": str(folder / "programs")}
    run(UV, "tool", "install", ".", cwd=tree, environment=places)
    assert (folder / "programs/llm-reports").exists()
    return Installed(folder / "prefect-llm-reports")


@pytest.mark.parametrize(
    "installed_by", [of_an_editable_install, of_the_source_distribution, of_uv_tool]
)
def test_every_way_to_install_gives_the_command_and_its_files(
    installed_by: Callable[[Path, Path, Path], Installed],
    tree: Path,
    sdist: Path,
    api_url: str,
    tmp_path: Path,
) -> None:
    """`llm-reports` writes a report offline, and the packages offer every file they need."""
    installed = installed_by(tree, sdist, tmp_path / "environment")
    home = {"PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_API_URL": api_url}
    offered = json.loads(run(installed.program("python"), "-c", RESOURCES, cwd=tmp_path))
    assert {place: set(names) for place, names in offered.items()} == {
        place: data_of(place) for place in ("tasks/templates", "deployments")
    }
    topic = ("run", "Tidal power", "--model", "offline", "--json")
    result = json.loads(
        run(installed.program("llm-reports"), *topic, cwd=tmp_path, environment=home)
    )
    assert result["status"] == "complete"
    assert (tmp_path / "reports" / "index.html").exists()


def test_the_installed_wheel_runs_the_main_job(wheel: Path, tmp_path: Path) -> None:
    """In a new environment the console script writes reports, with the embedded server."""
    installed = install(wheel, tmp_path / "venv")
    home = {"HOME": str(tmp_path), "PREFECT_HOME": str(tmp_path / "prefect")}
    topic = ("run", "Tidal power", "--model", "offline", "--json")
    result = json.loads(
        run(installed.program("llm-reports"), *topic, cwd=tmp_path, environment=home)
    )
    assert result["status"] == "complete"
    assert (tmp_path / "reports" / "index.html").exists()
    about = json.loads((Path(result["reports"][0]["directory"]) / "manifest.json").read_text())
    assert about["packages"]["prefect-llm-reports"] in wheel.name
    served = run(installed.program("python"), "-c", DEPLOYED, cwd=tmp_path, environment=home)
    assert f"site-packages/{NAME}/flows/deployments" in served
    assert "['on-demand', 'nightly'" in served
