"""The deployments as people meet them: deployed, started, scheduled, cancelled, retried, served.

One Prefect server, one work pool with a worker, and one endpoint serve all tests here.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateName,
    LogFilter,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import AwaitingRetry, Cancelling
from pydantic import SecretStr

from prefect_llm_reports.tasks.llm.blocks import LLMEndpoint
from prefect_llm_reports.tasks.runtime.environment import PREFECT_DEFAULTS
from tests.harness import ROOT, faults
from tests.harness.checker import answered, asked
from tests.harness.endpoint import Endpoint
from tests.harness.pace import PATIENCE_S
from tests.harness.processes import (
    end,
    free_port,
    kill_group,
    prefect_server,
    wait_until,
)
from tests.services.pages.site import CHROMIUM, QUIET, expect

if TYPE_CHECKING:  # only two tests need a browser
    from playwright.sync_api import Page

pytestmark = pytest.mark.services

DEPLOY = ["--no-prompt", "deploy", "--all", "--prefect-file", "deployments/prefect.yaml"]
WEEKLY = "report-batch/weekly"
NAMES = {
    *("report-batch/on-demand", "report-batch/nightly", WEEKLY),
    *("parallel-branches/on-demand", "parallel-branches/example", "report-shard/on-demand"),
}
OF_RUNS = {"LLM_REPORTS_HOME", *PREFECT_DEFAULTS}
"""What a worker's environment need not have, since the deployments or the command line set it."""
TOPICS = ["Tidal power", "Heat pumps", "Edge computing"]
KEY = "sk-picked-from-a-block"


@dataclass
class House:
    """A server with the deployments, a worker of its pool, and an endpoint with a log."""

    folder: Path
    api_url: str
    endpoint: Endpoint
    client: SyncPrefectClient
    deployed: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    @property
    def ui(self) -> str:
        """The address of the UI."""
        return self.api_url.removesuffix("/api")

    @property
    def log(self) -> Path:
        """The endpoint's log."""
        return self.folder / "endpoint.log"

    @property
    def home(self) -> Path:
        """Where the worker is started, far from where was deployed."""
        return self.folder / "home"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of worker and commands."""
        return {
            **{name: value for name, value in os.environ.items() if name not in OF_RUNS},
            "PREFECT_API_URL": self.api_url,
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO",
            "LLM_REPORTS_STORE": str(self.folder / "store"),
            "OPENAI_BASE_URL": self.endpoint.base_url,
            "OPENAI_API_KEY": "sk-test-key",
            "PWD": str(self.home),
        }

    def prefect(self, *arguments: str, cwd: Path) -> str:
        """Run a `prefect` command to its successful end, as deployments/README.md has it."""
        return self.python("-m", "prefect", *arguments, cwd=cwd)

    def python(self, *arguments: str, cwd: Path) -> str:
        """Run Python to its successful end; what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def started(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        """A long-running command in the worker's home, its output in a file of its name."""
        with (self.folder / f"{command[1]}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=self.home,
                env=self.environment,
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            end(process, signal.SIGINT)
            kill_group(process)

    def read(self) -> dict[str, dict[str, Any]]:
        """What the server knows of each deployment, by full name."""
        flows = {flow.id: flow.name for flow in self.client.read_flows()}
        return {
            f"{flows[found.flow_id]}/{found.name}": found.model_dump(mode="json")
            for found in self.client.read_deployments()
        }

    def start(self, name: str, **parameters: Any) -> UUID:
        """Start a run of a deployment; its id."""
        found = self.client.read_deployment_by_name(name)
        return self.client.create_flow_run_from_deployment(found.id, parameters=parameters).id

    def state(self, run_id: UUID) -> str:
        """The name of a run's state."""
        state = self.client.read_flow_run(run_id).state
        return state.name if state else ""

    def history(self, run_id: UUID) -> list[str]:
        """The names of all states that a run has had, the first one first."""
        return [state.name or "" for state in self.client.read_flow_run_states(run_id)]

    def said(self, run_id: UUID) -> str:
        """The log of a run in the UI."""
        wanted = LogFilter.model_validate({"flow_run_id": {"any_": [run_id]}})
        return "\n".join(log.message for log in self.client.read_logs(wanted))

    def ended(self, run_id: UUID) -> FlowRun:
        """Wait for the end of a run."""

        def final() -> bool:
            state = self.client.read_flow_run(run_id).state
            return state is not None and state.is_final()

        wait_until(final, every=0.3)
        return self.client.read_flow_run(run_id)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Deployed from a copy of the project that is then removed; a worker elsewhere."""
    folder = tmp_path_factory.mktemp("house")
    with (
        # A new schedule is looked at once a minute, as the server is by default: here sooner.
        prefect_server(folder, PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS="3") as api_url,
        Endpoint(log=folder / "endpoint.log", latency=0.3) as endpoint,
        temporary_settings({PREFECT_API_URL: api_url}),
        get_client(sync_client=True) as client,
    ):
        house = House(folder, api_url, endpoint, client)
        house.home.mkdir()
        project = folder / "project"
        shutil.copytree(ROOT / "deployments", project / "deployments")
        house.prefect("work-pool", "create", "reports", "--type", "process", cwd=project)
        house.prefect(*DEPLOY, cwd=project)
        shutil.rmtree(project)
        house.deployed = house.read()
        with house.started("prefect", "worker", "start", "--pool", "reports"):
            yield house


def test_one_command_deploys_all_and_no_directory_of_the_machine(house: House) -> None:
    """All are on the pool, with schedules off, and nothing in them names a directory."""
    assert house.deployed.keys() == NAMES
    for found in house.deployed.values():
        assert found["work_pool_name"] == "reports"
        assert found["pull_steps"] == [{"prefect_llm_reports.flows.worker_home.enter": {}}]
        assert found["enforce_parameter_schema"]
        assert not any(schedule["active"] for schedule in found["schedules"])
        assert str(house.folder) not in json.dumps(found)
        assert str(ROOT) not in json.dumps(found)
    strategies = {
        name: found["concurrency_options"]["collision_strategy"]
        for name, found in house.deployed.items()
        if found["global_concurrency_limit"]
    }
    assert strategies == {"report-batch/nightly": "CANCEL_NEW", "report-batch/weekly": "ENQUEUE"}


def test_a_run_from_the_command_line_leaves_its_reports_where_it_is_told(house: House) -> None:
    """As in its README; an output without a path from the root is where the worker was started."""
    output = house.home / "told"
    others = [
        house.start("parallel-branches/on-demand", query="Why tides?", model="offline"),
        house.start("report-batch/on-demand", topics=["Tidal power"], model="offline"),
    ]
    house.prefect(
        *("deployment", "run", "report-batch/on-demand", "-p", 'topics=["Tidal power"]'),
        *("-p", "model=offline", "-p", f"output={output}", "--watch"),
        cwd=house.folder,
    )
    assert len(list(output.glob("*/*/manifest.json"))) == 1
    assert [house.ended(run_id).state_name for run_id in others] == ["Completed", "Completed"]
    assert len(list(house.home.glob("reports/*/*/manifest.json"))) == 1


def test_a_run_is_filled_in_and_started_in_the_browser(house: House) -> None:
    """The form refuses a value out of bounds, offers saved endpoints, and starts a run."""
    block = LLMEndpoint(
        base_url=house.endpoint.base_url, api_key=SecretStr(KEY), model="picked-model", prices={}
    )
    block.save("house", _sync=True)
    deployment = house.deployed["report-batch/on-demand"]["id"]
    with form_of(house, deployment) as page:

        def parameter(name: str) -> Any:
            label = page.get_by_text(f"{name} (Optional)", exact=True)
            return page.locator(".schema-form-property").filter(has=label).last

        parameter("topics").locator("textarea").fill("Vertical farming")
        parameter("output").locator("textarea").fill(str(house.home / "from-the-form"))
        parameter("endpoint").get_by_text("LLM endpoint", exact=True).click()
        parameter("endpoint").locator(".p-select-button__control").press("ArrowDown")
        page.locator(".p-select-option", has_text="house").click()
        parameter("max_iterations").locator("input").fill("11")
        page.get_by_role("button", name="Submit").click()
        refusal = page.get_by_text("11 is greater than the maximum of 10")
        expect(refusal.first).to_be_visible()
        assert runs_of(house, deployment, "Vertical farming") == []
        parameter("max_iterations").locator("input").fill("2")
        expect(refusal).to_have_count(0)  # before, the form still holds what was refused

        submit(page)
        [run] = runs_of(house, deployment, "Vertical farming")
        assert house.ended(run.id).state_name == "Completed"
        page.goto(f"{house.ui}/runs/flow-run/{run.id}")
        expect(page.get_by_text("Vertical farming").first).to_be_visible()
    [manifest] = (house.home / "from-the-form").glob("*/*/manifest.json")
    assert json.loads(manifest.read_text())["steps"][0]["model"] == "picked-model"
    said = house.client.read_flow_run(run.id).model_dump_json()
    said += house.said(run.id)
    assert KEY not in said
    assert run.parameters["endpoint"].keys() == {"$ref"}


def test_the_example_of_branches_is_changed_and_started_in_the_browser(house: House) -> None:
    """Its form has two branches with typed fields; a changed description reaches the run."""
    deployment = house.deployed["parallel-branches/example"]["id"]
    with form_of(house, deployment) as page:
        texts = page.locator(".schema-form-property textarea")
        filled = page.locator(".p-select-button")
        expect(filled.filter(has_text="choice").first).to_be_visible()
        values = [texts.nth(at).input_value() for at in range(texts.count())]
        assert {"opportunities", "arguments", "confidence", "risks", "severity"} <= {*values}
        texts.nth(values.index("Two to five arguments, strongest first.")).fill("One argument.")
        texts.nth(values.index("confidence")).fill("certainty")
        run_id = submit(page)
        run = house.ended(UUID(run_id))
        assert (run.state_name, run.state and run.state.message) == (
            "Completed",
            "2 of 2 branches answered",
        )
        only = ArtifactFilterFlowRunId(any_=[run.id])
        made = house.client.read_artifacts(artifact_filter=ArtifactFilter(flow_run_id=only))
        [shown] = [artifact for artifact in made if artifact.key == "branches-result"]
        page.goto(f"{house.ui}/artifacts/artifact/{shown.id}")
        expect(page.get_by_text("certainty:").first).to_be_visible()
    first = run.parameters["branches"][0]
    assert first["output"][0]["description"] == "One argument."
    assert [field["type"] for field in first["output"]] == ["text", "number"]


@contextmanager
def form_of(house: House, deployment: str) -> Iterator[Page]:
    """The form of a deployment's runs, in a browser."""
    from playwright.sync_api import sync_playwright

    path = next(found for found in map(shutil.which, CHROMIUM) if found)
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=path, args=QUIET) as browser,
    ):
        page = browser.new_page(viewport={"width": 1100, "height": 1900})
        page.set_default_timeout(1000 * PATIENCE_S)
        page.goto(f"{house.ui}/deployments/deployment/{deployment}/run")
        yield page


def submit(page: Page) -> str:
    """Submit a form; the run's id. A server on SQLite that others write to may say "try again"."""
    answers: list[Any] = []

    def accepted() -> bool:
        with page.expect_response("**/create_flow_run") as response:
            page.get_by_role("button", name="Submit").click()
        assert response.value.status in {201, 503}, response.value.text()
        answers.append(response.value.json())
        return response.value.status == 201

    wait_until(accepted, every=0.3)
    return answers[-1]["id"]


def a_module_warns(house: House) -> dict[str, Any]:
    """Options with which a module of ours, not a task, has a line for the run's log."""
    page = house.folder / "templates" / "pages" / "report.html.j2"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(
        '{% extends "packaged/report.html.j2" %}{% block page %}{{ super() }}'
        '{% if title == "Log lines" %}{{ 1 / 0 }}{% endif %}{% endblock %}'
    )
    return {"templates": str(page.parents[1])}


def wait_for_the_modules_line(house: House, run_id: UUID) -> None:
    """The line is in the run's log in the UI; it arrives there with a group of others."""
    wanted = LogFilter.model_validate({"flow_run_id": {"any_": [run_id]}})
    wait_until(
        lambda: "prefect_llm_reports.tasks.pages.page" in loggers(house, wanted),
        every=0.3,
        told=lambda: loggers(house, wanted),
    )


def loggers(house: House, wanted: LogFilter) -> set[str]:
    return {log.name for log in house.client.read_logs(wanted)}


def test_the_log_of_a_workers_run_has_the_lines_of_our_modules(house: House) -> None:
    """The deployment sets what Prefect needs for that; the worker's own environment does not."""
    run_id = house.start(
        "report-batch/on-demand",
        topics=["Log lines"],
        model="offline",
        output="logged",
        options=a_module_warns(house),
    )
    assert house.ended(run_id).state_name == "Completed"
    wait_for_the_modules_line(house, run_id)


def runs_of(house: House, deployment: str, topic: str) -> list[FlowRun]:
    """The runs of a deployment on one topic."""
    only = FlowRunFilterDeploymentId(any_=[UUID(deployment)])
    found = house.client.read_flow_runs(flow_run_filter=FlowRunFilter(deployment_id=only))
    return [run for run in found if run.parameters.get("topics") == topic]


def processes_of(run_id: UUID) -> list[Path]:
    """The processes that work on a flow run, by what their worker told them."""
    found: list[Path] = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(run_id).encode() in (process / "environ").read_bytes():
                found.append(process)
    return found


def let_a_minute_pass(house: House) -> None:
    """Forget the cancel, as Prefect does after a minute.

    Until then it tells each new process of it, and so ends a run that is retried meanwhile.
    """
    cancel = ("prefect.flow-run.Cancelling",)
    database = house.folder / "prefect-server" / "prefect.db"
    with closing(sqlite3.connect(database, timeout=PATIENCE_S, isolation_level=None)) as base:
        kept = "SELECT count(*) FROM events WHERE event = ?"
        wait_until(lambda: base.execute(kept, cancel).fetchone() == (1,), every=0.2)
        base.execute("DELETE FROM events WHERE event = ?", cancel)


def test_a_cancelled_run_ends_soon_and_is_retried_without_a_repeated_call(house: House) -> None:
    """Cancel in the UI lets calls under way end; Retry goes on; Retry of a finished run is free."""
    before = len(asked(house.log))
    output = house.home / "cancelled"
    house.endpoint.fail(
        faults.held(),
        times=None,
        when=lambda request: (
            request.body.get("model") == "cancelled" and request.number > before + 5
        ),
    )
    run_id = house.start(
        "report-batch/on-demand",
        topics=TOPICS,
        model="cancelled",
        output=str(output),
        options={"concurrency": 2},
    )
    wait_until(lambda: len(asked(house.log)) == before + 7)
    house.client.set_flow_run_state(run_id, Cancelling())
    wait_until(lambda: "no further calls" in house.said(run_id), every=0.2)
    house.endpoint.release()
    wait_until(lambda: house.state(run_id) == "Cancelled", every=0.2)
    wait_until(lambda: not processes_of(run_id), every=0.2)  # the worker calls a late end a crash
    assert "Crashed" not in house.history(run_id)  # which would begin again by an automation
    at_the_end = asked(house.log)[before:]
    assert len(at_the_end) == len(answered(house.log)) - before == 7

    let_a_minute_pass(house)
    house.client.set_flow_run_state(run_id, AwaitingRetry(), force=True)
    assert house.ended(run_id).state_name == "Completed", house.history(run_id)
    everything = asked(house.log)[before:]
    assert len(everything) == len(set(everything)) == 7 * len(TOPICS)
    ends = sorted(output.glob("*/batch.json"))
    assert [json.loads(end.read_text())["status"] for end in ends] == ["stopped", "complete"]
    assert len(list(ends[1].parent.glob("*/manifest.json"))) == len(TOPICS)

    wait_until(lambda: not processes_of(run_id), every=0.2)
    house.client.set_flow_run_state(run_id, AwaitingRetry(), force=True)
    wait_until(lambda: len(list(output.glob("*/batch.json"))) == 3, every=0.3)
    wait_until(lambda: house.state(run_id) == "Completed", every=0.3)
    assert asked(house.log)[before:] == everything


def test_a_schedule_fires_and_its_runs_do_not_overlap(house: House) -> None:
    """With the nightly deployment's limit a run that comes too early is cancelled, and says why."""
    nightly = house.client.read_deployment_by_name("report-batch/nightly")
    before = len(asked(house.log))
    every = IntervalSchedule(interval=timedelta(seconds=4))
    parameters = {
        "topics": ["Night trains", "Night buses"],
        "topics_file": None,
        "options": {"concurrency": 1},  # 14 calls of 0.3 s, one by one, take longer than 4 s
        "output": str(house.home / "nightly"),
    }
    quick = DeploymentScheduleCreate(schedule=every, active=True, parameters=parameters)
    [created] = house.client.create_deployment_schedules(nightly.id, [quick])

    begun = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[nightly.id]),
        state=FlowRunFilterState(name=FlowRunFilterStateName(not_any_=["Scheduled", "Late"])),
    )

    def states() -> list[str]:
        found = house.client.read_flow_runs(flow_run_filter=begun)
        return [run.state_name or "" for run in found]

    def told() -> str:
        return "\n".join([str(states()), (house.folder / "worker.log").read_text()[-20000:]])

    try:
        wait_until(lambda: {"Running", "Completed"} & set(states()), every=0.3, told=told)
        wait_until(lambda: "Cancelled" in states(), every=0.3, told=told)
        wait_until(lambda: "Completed" in states(), every=0.3, told=told)
        assert states().count("Running") <= 1
    finally:
        house.client.delete_deployment_schedule(nightly.id, created.id)
    wait_until(lambda: not {"Pending", "Running"} & set(states()), every=0.3)
    assert len(asked(house.log)) == before + 14
    assert list((house.home / "nightly").glob("*/*/manifest.json"))


def test_one_command_switches_schedules_on_and_off(house: House) -> None:
    """Only the schedules of the deployments that are named change."""

    def on() -> set[str]:
        return {name for name, found in house.read().items() if is_on(found)}

    def is_on(found: dict[str, Any]) -> bool:
        return any(schedule["active"] for schedule in found["schedules"])

    switch = str(ROOT / "deployments/schedules.py")
    assert house.python(switch, "on", "weekly", cwd=house.folder) == "report-batch/weekly: on\n"
    assert on() == {WEEKLY}
    house.python(switch, "off", "nightly", "weekly", cwd=house.folder)
    assert on() == set()


def test_served_deployments_are_the_same_and_start_runs(house: House) -> None:
    """`llm-reports serve` takes the deployments over as they are, runs one, and ends on SIGINT.

    The run links to its pages, which are served as long as the deployments are.
    """
    output = ("--output", str(house.home / "served"), "--pages-port", "0")
    with house.started("prefect_llm_reports.flows.cli", "serve", *output) as process:
        log = house.folder / "serve.log"
        wait_until(lambda: "Ctrl-C" in log.read_text() or process.poll() is not None, every=0.2)
        said = log.read_text()
        assert all(name in said for name in NAMES), said
        served = house.read()
        run_id = house.start(
            "report-batch/on-demand",
            topics=["Log lines"],
            model="offline",
            output="served",
            options=a_module_warns(house),
        )
        assert house.ended(run_id).state_name == "Completed"
        wait_for_the_modules_line(house, run_id)
        [found] = house.home.glob("served/*/batch.json")
        address = json.loads(found.read_text())["options"]["pages_url"]
        assert f"Pages of {house.home / 'served'}: {address}/" in said
        with urlopen(f"{address}/{found.parent.name}/index.html", timeout=60) as page:
            assert "Log lines" in page.read().decode()
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        assert time.monotonic() - began < 30
    assert len(list(house.home.glob("served/*/*/manifest.json"))) == 1
    assert served.keys() == NAMES
    for name, found in served.items():
        assert found["work_pool_name"] is None
        for key in (
            *("description", "tags", "entrypoint", "parameter_openapi_schema"),
            *("enforce_parameter_schema", "concurrency_options"),
        ):
            assert found[key] == house.deployed[name][key], (name, key)
        was, now = house.deployed[name]["schedules"], found["schedules"]
        assert [(s["slug"], s["schedule"], s["active"]) for s in now] == [
            (s["slug"], s["schedule"], s["active"]) for s in was
        ]
        parameters = {**found["parameters"]}
        if "topics_file" in parameters:
            assert Path(parameters["topics_file"]).is_file()
            parameters["topics_file"] = str(Path(parameters["topics_file"]).relative_to(ROOT))
        assert parameters == house.deployed[name]["parameters"]


@pytest.mark.parametrize("url", ["", "nobody"])
def test_serving_without_a_server_says_how_to_start_one(url: str, tmp_path: Path) -> None:
    """Exit status 2 at once, with the command that starts a Prefect server."""
    address = f"http://127.0.0.1:{free_port()}/api" if url else ""
    done = subprocess.run(
        [sys.executable, "-m", "prefect_llm_reports.flows.cli", "serve"],
        env={**os.environ, "PREFECT_API_URL": address, "PREFECT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 2
    assert "prefect server start" in done.stderr
    assert "Traceback" not in done.stderr


def test_four_commands_lead_from_an_empty_folder_to_a_schedule(
    house: House, tmp_path: Path
) -> None:
    """Without a checkout: init, doctor, deploy, schedule on; deploying again leaves it on."""

    def llm_reports(*arguments: str) -> str:
        return house.python("-m", "prefect_llm_reports.flows.cli", *arguments, cwd=tmp_path)

    llm_reports("init", ".")
    assert "answers at" in llm_reports("doctor", "--model", "offline")
    said = llm_reports("deploy", "--topics-file", "topics.yaml", "--pool", "nights")
    assert "made the work pool nights" in said
    assert f"off, topics from {tmp_path}/topics.yaml" in said
    assert "prefect worker start --pool nights" in said
    found = house.read()
    assert found.keys() == house.deployed.keys()
    assert {one["work_pool_name"] for one in found.values()} == {"nights"}
    nightly = found["report-batch/nightly"]
    assert nightly["parameters"]["topics_file"] == f"{tmp_path}/topics.yaml"
    assert nightly["pull_steps"] == [{"prefect_llm_reports.flows.worker_home.enter": {}}]
    assert llm_reports("schedule", "on", "nightly") == "report-batch/nightly: on\n"
    known = house.client.read_deployment_by_name("report-batch/nightly")
    environment = {**(known.job_variables or {})["env"], "MINE": "1"}
    theirs = {**known.parameters, "max_iterations": 2}
    change = DeploymentUpdate(parameters=theirs, job_variables={"env": environment})
    house.client.update_deployment(known.id, change)
    assert f", on, topics from {tmp_path}/topics.yaml" in llm_reports("deploy", "--pool", "nights")
    again = house.read()["report-batch/nightly"]
    assert (again["parameters"], again["job_variables"]["env"]) == (theirs, environment)
    assert [schedule["active"] for schedule in again["schedules"]] == [True]
    assert again["parameters"]["topics_file"] == f"{tmp_path}/topics.yaml"
    llm_reports("schedule", "off", "nightly")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nigthly", "report-batch/nigthly is not deployed on this server; did you mean nightly?"),
        ("on-demand", "report-batch/on-demand has no schedule"),
        ("mine/nightly", "mine/nightly is not deployed on this server; `llm-reports deploy`"),
    ],
)
def test_a_schedule_that_is_not_there_is_refused(
    name: str, said: str, house: House, tmp_path: Path
) -> None:
    """With status 2 and what was meant; the others that were named are not switched either."""
    command = ["-m", "prefect_llm_reports.flows.cli", "schedule", "on", "weekly", name]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=tmp_path,
        env=house.environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not any(schedule["active"] for schedule in house.read()[WEEKLY]["schedules"])
