"""A user's Prefect project with folders `flows` and `tasks` of its own, and this plugin in it.

The built wheel is installed in an environment of its own, and the commands are those that a user
types in the project's folder. The project has files that are called like modules of this one.
`test_packaging.py` installs the wheel with its dependencies.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.harness.installed import (
    Installed,
    build,
    checkout,
    install_beside_ours,
    run,
    users_environment,
)
from tests.harness.processes import end, kill_group, wait_until

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]

THEIRS = ("reports", "branches", "shards", "worker_home", "cli", "deployments", "contract", "llm")
"""Modules of the user's project that are called like ours."""
FILES = {
    "tasks/extract.py": """
from prefect import task

@task
def extract(number):
    return number + 1
""",
    "flows/etl.py": f"""
from prefect import flow
from tasks.extract import extract
import {", ".join(THEIRS)}

@flow
def my_etl(number: int = 41):
    assert {{m.MINE for m in ({", ".join(THEIRS)})}} == {{True}}
    return extract(number)
""",
    "flows/nightly.py": """
from prefect import flow
from prefect_llm_reports.flows import report_batch
from flows.etl import my_etl

@flow
async def nightly(output: str):
    my_etl()
    result = await report_batch(topics=["Tidal power"], model="offline", output=output)
    import shards, worker_home
    assert shards.MINE and worker_home.MINE
    return result.model_dump(mode="json")
""",
    "main.py": """
from flows.etl import my_etl
print(my_etl())
""",
    "batch.py": """
import asyncio, json, sys
if sys.argv[1] == "subflow":
    from flows.nightly import nightly
    print(json.dumps(asyncio.run(nightly("out/subflow"))))
else:
    from prefect_llm_reports.flows import report_batch
    from flows.etl import my_etl
    my_etl()
    made = report_batch(topics=["Tidal power"], model="offline", output="out/program")
    print(asyncio.run(made).model_dump_json())
""",
    "prefect.yaml": """
deployments:
- {name: theirs, entrypoint: "flows/etl.py:my_etl", work_pool: {name: reports}}
- {name: theirs, entrypoint: "flows/nightly.py:nightly", work_pool: {name: reports}}
""",
    **{f"{name}.py": "MINE = True\n" for name in THEIRS if name not in ("cli", "deployments")},
    "cli/__init__.py": "MINE = True\n",
    "deployments/__init__.py": "MINE = True\n",
}
ONE_FLOW = """
from prefect import flow
from tasks import MINE

@flow
def my_etl():
    return MINE
"""
LAYOUTS = {
    "single modules": {"flows.py": ONE_FLOW, "tasks.py": "MINE = True\n"},
    "packages called like our command": {
        "flows/__init__.py": ONE_FLOW,
        "tasks/__init__.py": "MINE = True\n",
        "llm_reports/__init__.py": "raise SystemExit('theirs was imported')\n",
        "tests/__init__.py": "raise SystemExit('theirs was imported')\n",
    },
}
"""Other ways to lay out a project; `my_etl` is in `flows`."""
FLOWS_OF_BOTH = """
import sys
from prefect.flows import load_flow_from_entrypoint
from prefect_llm_reports.flows import report_batch

for entrypoint in ("flows.my_etl", "prefect_llm_reports.flows.reports.report_batch"):
    print(load_flow_from_entrypoint(entrypoint).name)
assert load_flow_from_entrypoint(sys.argv[1] + ":my_etl")() is True
print(report_batch.name)
"""
"""A program that loads their flow and ours as workers do."""
PATH_AND_MODULES = "import json, sys; print(json.dumps([sys.path, sorted(sys.modules)]))"


@dataclass
class Project:
    """A user's project, with the commands that are typed in its folder."""

    folder: Path
    installed: Installed
    api_url: str
    client: SyncPrefectClient

    @property
    def environment(self) -> dict[str, str]:
        """What the user's shell has set."""
        return {
            **self.installed.on_path(),
            "PREFECT_API_URL": self.api_url,
            "PREFECT_HOME": str(self.folder.with_name("prefect")),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "LLM_REPORTS_STORE": str(self.folder.with_name("store")),
            "PWD": str(self.folder),
        }

    @property
    def shipped(self) -> Path:
        """The prefect.yaml that was installed."""
        return self.installed.packages / "prefect_llm_reports/flows/deployments/prefect.yaml"

    def run(self, program: str, *arguments: str, **more: str) -> str:
        """Run a program of the environment in the project's folder; what it printed."""
        variables = {**self.environment, **more}
        command = (self.installed.program(program), *arguments)
        return run(*command, cwd=self.folder, environment=variables)

    @contextmanager
    def running(self, program: str, *arguments: str, said: str) -> Iterator[None]:
        """A long-running program of the environment, from when it has said something."""
        path = self.folder.with_name(f"{program}.log")
        with path.open("w") as log:
            process = subprocess.Popen(
                [self.installed.program(program), *arguments],
                cwd=self.folder,
                env=users_environment(**self.environment),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_until(
                lambda: said in path.read_text() or process.poll() is not None, told=path.read_text
            )
            assert process.poll() is None, path.read_text()
            yield
        finally:
            end(process, signal.SIGINT)
            kill_group(process)

    def start(self, deployment: str, **parameters: object) -> UUID:
        """Start a run of a deployment; its id."""
        found = self.client.read_deployment_by_name(deployment)
        return self.client.create_flow_run_from_deployment(found.id, parameters=parameters).id

    def ended(self, run_id: UUID) -> FlowRun:
        """Wait for a run's end."""

        def final() -> bool:
            state = self.client.read_flow_run(run_id).state
            return state is not None and state.is_final()

        wait_until(final, every=0.3)
        return self.client.read_flow_run(run_id)

    def published(self, output: str) -> int:
        """How many reports a folder of the project holds."""
        return len(list(self.folder.glob(f"{output}/*/*/manifest.json")))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The built wheel in an environment of its own, far from the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    wheel = build("wheel", checkout(folder / "checkout"), folder / "dist")
    return install_beside_ours(folder / "venv", wheel)


@pytest.fixture(scope="module", params=["with __init__.py", "without __init__.py"])
def project(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    installed: Installed,
    api_url: str,
) -> Iterator[Project]:
    """The user's project, its folders regular packages or namespace packages."""
    folder = tmp_path_factory.mktemp("project") / "theirs"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    if request.param == "with __init__.py":
        for name in ("flows", "tasks"):
            (folder / name / "__init__.py").touch()
    with temporary_settings({PREFECT_API_URL: api_url}), get_client(sync_client=True) as client:
        yield Project(folder, installed, api_url, client)


def test_their_program_runs_with_ours_merely_installed(project: Project) -> None:
    """`python main.py` imports their own flows and tasks."""
    assert project.run("python", "main.py") == "42\n"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_their_flows_and_ours_load_in_other_layouts(
    installed: Installed, api_url: str, tmp_path: Path, layout: str
) -> None:
    """`flows.py` and `tasks.py` may be single modules; other packages may be called like ours."""
    for name, text in LAYOUTS[layout].items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "program.py").write_text(FLOWS_OF_BOTH)
    environment = {**installed.on_path(), "PREFECT_API_URL": api_url, "PYTHONPATH": "."}
    flow_file = next(iter(LAYOUTS[layout]))
    python, command = installed.program("python"), installed.program("llm-reports")
    said = run(python, "program.py", flow_file, cwd=tmp_path, environment=environment)
    assert said.split() == ["my-etl", "report-batch", "report-batch"]
    assert "usage: llm-reports" in run(command, "--help", cwd=tmp_path, environment=environment)


def test_nothing_of_ours_is_imported_or_put_on_the_path_unasked(project: Project) -> None:
    """An installed plugin that nobody imports changes neither the path nor what is loaded."""
    path, modules = json.loads(project.run("python", "-c", PATH_AND_MODULES))
    assert not [place for place in path if "prefect_llm_reports" in place]
    assert not [name for name in modules if name.startswith(("prefect_llm_reports", "flows"))]
    tops = {
        line.split(",")[0].split("/")[0]
        for record in project.installed.packages.glob("prefect_llm_reports-*.dist-info/RECORD")
        for line in record.read_text().splitlines()
    }
    assert {top for top in tops if not top.startswith("..") and ".dist-info" not in top} == {
        "prefect_llm_reports"
    }


@pytest.mark.parametrize("way", ["program", "subflow"])
def test_their_code_runs_a_batch(project: Project, way: str) -> None:
    """Their program imports ours and theirs, and runs a batch by itself and within their flow."""
    result = json.loads(project.run("python", "batch.py", way))
    assert result["status"] == "complete"
    assert project.published(f"out/{way}") == 1
    [manifest] = project.folder.glob(f"out/{way}/*/*/manifest.json")
    run_id = UUID(json.loads(manifest.read_text())["flow_run_id"])
    parent = project.client.read_flow_run(run_id).parent_task_run_id
    assert (parent is not None) == (way == "subflow")


def test_commands_start_with_their_folder_on_the_path(project: Project) -> None:
    """`PYTHONPATH=.` puts their `flows` before everything, and our commands do not mind."""
    assert "usage: llm-reports" in project.run("llm-reports", "--help", PYTHONPATH=".")
    blocks = ("--module", "prefect_llm_reports.tasks.llm.blocks")
    said = project.run("prefect", "block", "register", *blocks, PYTHONPATH=".")
    assert "LLM endpoint" in said


def test_a_worker_in_their_folder_runs_their_deployments_and_ours(project: Project) -> None:
    """All are deployed from their folder, ours over a deployment of version 0.1."""
    pool = WorkPoolCreate(name="reports", type="process")
    project.client.create_work_pool(pool, overwrite=True)
    project.client.create_deployment(
        flow_id=project.client.create_flow_from_name("report-batch"),
        name="on-demand",
        entrypoint="flows.batch.report_batch",
        pull_steps=[{"flows.home.enter": {}}],
        work_pool_name="reports",
    )
    deploy = ("--no-prompt", "deploy", "--all")
    project.run("prefect", *deploy)
    project.run("prefect", *deploy, "--prefect-file", str(project.shipped))
    worker = ("prefect", "worker", "start", "--pool", "reports")
    with project.running(*worker, said="started!"):
        begun = [
            project.start("my-etl/theirs"),
            project.start("nightly/theirs", output="out/worker-subflow"),
            project.start(
                "report-batch/on-demand",
                topics=["Tidal power"],
                model="offline",
                output="out/worker",
            ),
        ]
        assert [project.ended(run_id).state_name for run_id in begun] == ["Completed"] * 3
    assert project.published("out/worker-subflow") == 1
    assert project.published("out/worker") == 1


def test_ours_are_served_from_their_folder(project: Project) -> None:
    """`llm-reports serve` there takes the deployments over, and a run of one ends well."""
    with project.running("llm-reports", "serve", said="Press Ctrl-C to end"):
        run_id = project.start(
            "report-batch/on-demand", topics=["Tidal power"], model="offline", output="out/served"
        )
        assert project.ended(run_id).state_name == "Completed"
    assert project.published("out/served") == 1


def test_the_project_itself_is_left_as_it_was(project: Project) -> None:
    """Nothing is written beside their files but reports."""
    made = {
        str(path.relative_to(project.folder))
        for path in project.folder.rglob("*")
        if path.is_file() and not {"out", "__pycache__"} & set(path.parts)
    }
    assert made - {"flows/__init__.py", "tasks/__init__.py"} == set(FILES)
