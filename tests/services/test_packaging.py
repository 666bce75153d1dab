"""The built wheel, installed alone and used outside the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.harness import ROOT

NAME = "prefect_llm_reports"
pytestmark = pytest.mark.services


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command to its successful end and return its output."""
    kept = {n: v for n, v in os.environ.items() if n not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]} {done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT, cwd=folder)
    [built] = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    """Code, templates, type markers and what is deployed are in the wheel; tests are not."""
    names = zipfile.ZipFile(wheel).namelist()
    roots = {name.split("/")[0] for name in names}
    assert {root for root in roots if not root.endswith(".dist-info")} == {NAME}
    names = [name.removeprefix(f"{NAME}/") for name in names if name.startswith(NAME)]
    assert {name.split("/")[0] for name in names} == {"flows", "tasks"}
    assert {"flows/py.typed", "tasks/py.typed"} <= set(names)
    kinds = {".j2", ".js", ".json", ".typ"}
    templates = {p for p in (ROOT / "tasks/templates").rglob("*") if p.suffix in kinds}
    packed = {ROOT / n for n in names if n.startswith("tasks/templates/") and n[-3:] != ".py"}
    assert packed == templates
    deployed = [ROOT / "deployments/prefect.yaml", *(ROOT / "deployments/topics").iterdir()]
    shipped = {name.removeprefix("flows/") for name in names if name.endswith(".yaml")}
    assert shipped == {str(p.relative_to(ROOT)) for p in deployed}
    assert {p.suffix for p in packed} == kinds


def test_the_installed_wheel_runs_the_main_job(wheel: Path, tmp_path: Path) -> None:
    """In a new environment the console script writes reports, far from the checkout."""
    environment = tmp_path / "venv"
    run(sys.executable, "-m", "venv", environment, cwd=tmp_path)
    uv = Path(sys.executable).with_name("uv")
    python = environment / "bin/python"
    run(uv, "pip", "install", "--compile-bytecode", "--python", python, wheel, cwd=tmp_path)
    printed = run(
        environment / "bin/llm-reports",
        "run",
        "Tidal power",
        "--model",
        "offline",
        "--json",
        cwd=tmp_path,
        HOME=str(tmp_path),
        PREFECT_HOME=str(tmp_path / "prefect"),
    )
    result = json.loads(printed)
    assert result["status"] == "complete"
    assert (tmp_path / "reports" / "index.html").exists()
    assert (Path(result["reports"][0]["directory"]) / "manifest.json").exists()
    about = json.loads((Path(result["reports"][0]["directory"]) / "manifest.json").read_text())
    assert about["packages"]["prefect-llm-reports"] in wheel.name
    code = (
        "from prefect_llm_reports.flows.cli.serve import *;"
        "print(SHIPPED, [d['name'] for d in definitions()])"
    )
    served = run(python, "-c", code, cwd=tmp_path, PREFECT_HOME=str(tmp_path / "prefect"))
    assert f"site-packages/{NAME}/flows/deployments" in served
    assert "['on-demand', 'nightly'" in served
