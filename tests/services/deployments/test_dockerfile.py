"""What the Dockerfile does, done by hand: its own commands in a new folder, and what comes out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.harness import ROOT
from tests.harness.dockerfile import stages

pytestmark = pytest.mark.services

INSTALLED = "/opt/llm-reports"


@dataclass
class Built:
    """What the first stage has made.

    Attributes:
        folder: Stands for the root of the image.
        environment: That of its processes.
    """

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a command as the image would find it."""
        return subprocess.run(
            command, env=self.environment, cwd=cwd, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The build stage's steps in order, below a new folder in place of the image's root."""
    folder = tmp_path_factory.mktemp("image")
    installed = f"{folder}{INSTALLED}"
    inherited = ("HOME", "LANG", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE")
    environment = {name: os.environ[name] for name in inherited if name in os.environ}
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment["PIP_NO_COMPILE"] = "1"  # of its modules few are imported here
    at = folder
    build, last = stages(ROOT / "deployments/Dockerfile")
    for instruction, text in build.steps:
        if instruction == "WORKDIR":
            at = folder / text.lstrip("/")
            at.mkdir(parents=True)
        elif instruction == "COPY":
            *sources, target = text.split()
            for source in sources:
                copy(ROOT / source, at / target / (Path(source).name if target == "./" else ""))
        else:
            assert instruction == "RUN"
            done = subprocess.run(
                ["sh", "-ec", text.replace(INSTALLED, installed)],
                env=environment,
                cwd=at,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{text}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    replaced = {INSTALLED: installed, "$PATH": os.environ["PATH"], "/answers": f"{folder}/answers"}
    replaced["/home/reports"] = f"{folder}/home"
    environment = {}
    for name, value in last.environment.items():
        for old, new in replaced.items():
            value = value.replace(old, new)
        environment[name] = value
    environment["HOME"] = f"{folder}/home"
    (folder / "home").mkdir()
    for text in last.copied_from_context:
        copy(ROOT / text, folder / "app" / text)
    return Built(folder, environment)


def copy(source: Path, target: Path) -> None:
    """Copy a file, or a folder without what Python made of it."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target = target / source.name if target.is_dir() else target
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def test_every_package_is_compiled_so_that_containers_start_fast(built: Built) -> None:
    """No module of Prefect, of the SDK or of this project is compiled at the first start."""
    [packages] = (built.folder / "opt/llm-reports/lib").glob("python*/site-packages")
    for package in ("prefect", "openai", "prefect_llm_reports/flows", "prefect_llm_reports/tasks"):
        sources = {p.stem for p in (packages / package).glob("*.py")}
        compiled = {p.name.split(".")[0] for p in (packages / package / "__pycache__").glob("*")}
        assert sources
        assert sources <= compiled, package


def test_the_image_writes_a_report_in_every_format(built: Built) -> None:
    """`llm-reports run`, from where the image starts it, with PDF and DOCX."""
    topics = ("Tidal power", "--model", "offline", "--format", "pdf", "--format", "docx", "--json")
    done = built.run("llm-reports", "run", *topics, cwd=built.folder / "app")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    [report] = result["reports"]
    names = {p.name for p in (built.folder / "app" / report["directory"]).iterdir()}
    assert {"report.md", "report.html", "report.pdf", "report.docx", "manifest.json"} <= names
    assert list((built.folder / "answers").glob("??/*.json"))


def test_the_image_finds_the_flows_that_deployments_name(built: Built) -> None:
    """The entrypoints lead into the installed package, and its commands run beside it."""
    named = yaml.safe_load((built.folder / "app/deployments/prefect-ecs.yaml").read_text())
    entrypoints = [deployment["entrypoint"] for deployment in named["deployments"]]
    code = (
        "import sys, prefect_redis.messaging, asyncpg, prefect_llm_reports.flows as flows;"
        "from prefect.flows import load_flow_from_entrypoint as load;"
        "print(*[load(entrypoint).name for entrypoint in sys.argv[1:]], flows.__file__)"
    )
    done = built.run("python", "-c", code, *entrypoints, cwd=built.folder / "app")
    assert done.returncode == 0, done.stderr
    *names, place = done.stdout.split()
    assert names == ["report-batch", "parallel-branches", "branch-batch"]
    assert place.startswith(f"{built.folder}{INSTALLED}/")
    command = ("python", "deployments/save_automations.py", "--help")
    assert "--silent-after" in built.run(*command, cwd=built.folder / "app").stdout
