"""What the automations watch for, held against Prefect and against the flows."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from types import ModuleType
from typing import get_args

import pytest
from prefect.events import EventTrigger, Posture
from prefect.flow_engine import MINIMUM_HEARTBEAT_INTERVAL
from prefect.settings.models.flows import FlowsSettings

from prefect_llm_reports.tasks.runtime.states import Ending
from tests.harness import ROOT

COMMAND = ROOT / "deployments/save_automations.py"


@pytest.fixture(scope="module")
def command() -> ModuleType:
    """deployments/save_automations.py as a module."""
    spec = importlib.util.spec_from_file_location("save_automations", COMMAND)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_threshold_is_well_above_prefects_heartbeat(command: ModuleType) -> None:
    """Three heartbeats may be missed; a shorter heartbeat than Prefect's shortest is not asked."""
    assert FlowsSettings.model_fields["heartbeat_frequency"].default == command.HEARTBEAT_S
    assert command.SHORTEST_S == MINIMUM_HEARTBEAT_INTERVAL
    silent = command.watching(3 * command.HEARTBEAT_S, 1800, 2)[0].trigger
    assert isinstance(silent, EventTrigger)
    assert silent.posture == Posture.Proactive
    assert silent.within.total_seconds() == 3 * command.HEARTBEAT_S


def test_every_flow_of_the_project_is_watched(command: ModuleType) -> None:
    """Each flow in flows/ is in the trigger, by the name that its events carry."""
    named = {
        keyword.value.value
        for path in (ROOT / "flows").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("flow", "checked_flow")
        for keyword in node.keywords
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant)
    }
    assert {"report-batch", "parallel-branches", "branch-batch"} <= named
    assert set(command.flow_names()) == named


def test_no_run_that_is_over_or_suspended_is_taken_for_dead(command: ModuleType) -> None:
    """After the last heartbeat, every state that a run can end in or wait in is expected."""
    silent = command.watching(540, 1800, 2)[0].trigger
    ends = {*get_args(Ending), "Completed", "Failed", "Cancelled", "Crashed", "TimedOut"}
    for name in (*ends, "Suspended", "AwaitingRetry"):
        assert f"prefect.flow-run.{name}" in silent.expect
    assert "prefect.flow-run.Running" not in silent.expect


@pytest.mark.parametrize("restarts", [0, 1, 3])
def test_a_run_begins_again_a_bounded_number_of_times(command: ModuleType, restarts: int) -> None:
    """The trigger names the counts of runs at which a crashed run begins again, and no others."""
    counts = [
        count
        for automation in command.watching(540, 1800, restarts)
        if automation.trigger.expect == {"prefect.flow-run.Crashed"}
        for count in automation.trigger.match["prefect.run-count"]
    ]
    assert sorted(counts) == [str(n) for n in range(restarts + 1)]


def test_a_threshold_no_heartbeat_can_keep_is_refused() -> None:
    """Living runs would be taken for dead."""
    done = subprocess.run(
        [sys.executable, COMMAND, "--silent-after", "30"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "--silent-after is 30; give more than 30" in done.stderr
