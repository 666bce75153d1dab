"""What `deployments/prefect.yaml` says, and where a run of it works."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from prefect.cli.deploy._models import PrefectYamlModel

from prefect_llm_reports.flows import worker_home as home
from prefect_llm_reports.flows.cli.deploy import job_variables_of
from prefect_llm_reports.flows.cli.serve import (
    definitions,
    deployment,
    parameters_of,
    topics_line,
)
from prefect_llm_reports.tasks.inputs.topics import gather_topics
from prefect_llm_reports.tasks.runtime.environment import PREFECT_DEFAULTS
from tests.harness import ROOT

FILE = ROOT / "deployments" / "prefect.yaml"
EXAMPLE = "deployments/topics/nightly.yaml"
SAID = {f"{d['entrypoint'].rpartition('.')[2]}/{d['name']}": d for d in definitions()}


def test_the_deployments_are_those_of_the_interface() -> None:
    """Reports on demand, nightly and weekly, branches on demand and filled in, split batches."""
    assert list(SAID) == [
        *("report_batch/on-demand", "report_batch/nightly", "report_batch/weekly"),
        *("parallel_branches/on-demand", "parallel_branches/example", "report_shard/on-demand"),
    ]


def test_prefect_reads_the_file_as_it_is_meant() -> None:
    """Every key is one that Prefect knows: it ignores others without a word."""
    read = PrefectYamlModel.model_validate(yaml.safe_load(FILE.read_text()))
    for model, said in zip(read.deployments, definitions(), strict=True):
        assert set(said) <= set(type(model).model_fields)
        assert model.work_pool is not None
        assert model.work_pool.name == "reports"
        assert model.work_pool.job_variables == {
            "env": {name: PREFECT_DEFAULTS[name] for name in PREFECT_DEFAULTS if "LOGGING" in name}
        }
    assert read.pull == [{"prefect_llm_reports.flows.worker_home.enter": {}}]


def test_no_schedule_spends_money_unasked() -> None:
    """Schedules come switched off, have a time zone, and overlap by one run at most."""
    scheduled = {name: d for name, d in SAID.items() if "schedules" in d}
    assert list(scheduled) == ["report_batch/nightly", "report_batch/weekly"]
    for said in scheduled.values():
        assert said["concurrency_limit"]["limit"] == 1
        assert [s["active"] for s in said["schedules"]] == [False]
        assert all(s["timezone"] and s["slug"] for s in said["schedules"])


@pytest.mark.parametrize("name", SAID)
def test_a_served_deployment_is_the_one_in_the_file(name: str) -> None:
    """`llm-reports serve` makes of each the same name, help, tags, parameters and schedules."""
    said = SAID[name]
    made = asyncio.run(deployment(said, {}))
    assert (made.name, made.entrypoint) == (said["name"], said["entrypoint"])
    assert (made.description, made.tags) == (said["description"], said["tags"])
    assert made.parameters == said.get("parameters", {})
    assert made.enforce_parameter_schema is said["enforce_parameter_schema"] is True
    limit: Any = said.get("concurrency_limit", {"limit": None})
    assert made.concurrency_limit == limit["limit"]
    strategy = made.concurrency_options and made.concurrency_options.collision_strategy
    assert strategy == limit.get("collision_strategy")
    for schedule, told in zip(made.schedules or (), said.get("schedules", ()), strict=True):
        when = schedule.schedule
        assert (schedule.slug, schedule.active) == (told["slug"], told["active"])
        assert when.timezone == told["timezone"]
        rule = getattr(when, "cron", None) or when.rrule.rpartition("\n")[2]
        assert rule == told.get("cron", told.get("rrule"))


def test_a_schedule_that_was_switched_on_stays_on() -> None:
    """Serving again does not switch off what a person has switched on."""
    made = asyncio.run(deployment(SAID["report_batch/nightly"], {"nightly": True}))
    assert made.schedules
    assert [schedule.active for schedule in made.schedules] == [True]


@pytest.mark.parametrize(
    ("known", "kept"),
    [
        (EXAMPLE, EXAMPLE),
        (f"/old/place/{EXAMPLE}", EXAMPLE),
        ("/srv/topics.yaml", "/srv/topics.yaml"),
        ("s3://bucket/topics.csv", "s3://bucket/topics.csv"),
    ],
)
def test_topics_of_a_deployment_stay(known: str, kept: str) -> None:
    """Deploying or serving again lets no schedule buy reports on the shipped examples."""
    said = SAID["report_batch/nightly"]
    before: Any = SimpleNamespace(parameters={"topics_file": known})
    assert parameters_of(said, before, None) == {"topics_file": kept}
    assert parameters_of(said, before, "/new.yaml") == {"topics_file": "/new.yaml"}
    assert parameters_of(said, None, None) == {"topics_file": EXAMPLE}


def test_what_people_have_set_stays() -> None:
    """A budget, a model, topics of their own; what the flow no longer takes is dropped."""
    theirs = {"topics_file": None, "topics": ["Tides"], "options": {"budget_usd": "5"}}
    before: Any = SimpleNamespace(parameters={**theirs, "rounds": 3})
    assert parameters_of(SAID["report_batch/nightly"], before, None) == theirs
    weekly = parameters_of(SAID["report_batch/weekly"], before, None)
    assert weekly == {**theirs, "max_iterations": 5}
    assert topics_line(theirs) == "topics of its own"
    assert topics_line({"topics_file": EXAMPLE}) == f"topics from {EXAMPLE} (an example)"


def test_job_variables_of_people_stay_on_their_pool() -> None:
    """A memory limit, a variable of the environment; ours are always there."""
    said = SAID["report_batch/nightly"]["work_pool"]
    ours = said["job_variables"]["env"]
    theirs: dict[str, Any] = {
        "memory": 4096,
        "env": {"OPENAI_BASE_URL": "https://gateway.example/v1"},
    }
    known: Any = SimpleNamespace(job_variables=theirs, work_pool_name="reports")
    assert job_variables_of(said, known, "reports") == {
        "memory": 4096,
        "env": {**theirs["env"], **ours},
    }
    assert job_variables_of(said, known, "others") == {"env": ours}
    assert job_variables_of(said, None, "reports") == {"env": ours}


@pytest.mark.parametrize("file", sorted((ROOT / "deployments/topics").iterdir()), ids=str)
def test_the_shipped_topics_can_be_reported_on(file: Path) -> None:
    """The topics files of the scheduled deployments are valid."""
    topics, warnings = gather_topics(None, (file.name, file.read_bytes()))
    assert topics
    assert warnings == []
    used = [deployment.get("parameters", {}).get("topics_file") for deployment in SAID.values()]
    assert str(file.relative_to(ROOT)) in used


def test_a_run_works_where_the_worker_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LLM_REPORTS_HOME decides, then the directory in which the worker was started."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports-home").mkdir()
    (tmp_path / "started-here").mkdir()
    monkeypatch.setenv("PWD", str(tmp_path / "started-here"))
    monkeypatch.setenv("LLM_REPORTS_HOME", str(tmp_path / "reports-home"))
    assert home.enter() == {"directory": str(tmp_path / "reports-home")}
    assert Path.cwd() == tmp_path / "reports-home"
    monkeypatch.delenv("LLM_REPORTS_HOME")
    assert home.enter() == {"directory": str(tmp_path / "started-here")}
    assert Path.cwd() == tmp_path / "started-here"


@pytest.mark.parametrize("given", ["reports", "/nowhere/at/all"])
def test_a_home_that_is_not_there_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in LLM_REPORTS_HOME is said with its value."""
    monkeypatch.setenv("LLM_REPORTS_HOME", given)
    with pytest.raises(RuntimeError, match=f"LLM_REPORTS_HOME is '{given}'; give the full path"):
        home.enter()


def test_reports_are_not_left_in_a_directory_that_goes_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where nobody says where to work, a process worker's temporary directory is no place."""
    monkeypatch.delenv("LLM_REPORTS_HOME", raising=False)
    monkeypatch.delenv("PWD", raising=False)
    with tempfile.TemporaryDirectory(suffix="prefect") as directory:
        monkeypatch.chdir(directory)
        with pytest.raises(RuntimeError, match="is removed after the run; set LLM_REPORTS_HOME"):
            home.enter()
        monkeypatch.chdir(ROOT)
