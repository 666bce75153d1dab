"""Settings of Prefect that a user has for everything else change nothing that is promised."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from prefect_llm_reports.tasks.llm.repeats import MAX_ATTEMPTS
from tests.harness import faults
from tests.harness.checker import kept_requests
from tests.harness.endpoint import Endpoint
from tests.harness.processes import CALLS_A_TOPIC, CommandLine, ended

pytestmark = pytest.mark.services

TASKS = {
    "default_retries": 3,
    "default_retry_delay_seconds": 3600,
    "refresh_cache": True,
    "default_no_cache": True,
    "disable_caching": True,
    "default_persist_result": False,
}
SETTINGS = {
    "tasks": TASKS,
    "tasks.runner": {"thread_pool_max_workers": 1},
    "flows": {"default_retries": 2, "default_retry_delay_seconds": 3600},
    "results": {
        "default_serializer": "pickle",
        "persist_by_default": True,
        "default_storage_block": "local-file-system/gone",
        "local_storage_path": "/proc/nowhere",
    },
    "logging": {"level": "DEBUG", "extra_loggers": "httpx2,openai", "log_prints": True},
    "client": {"max_retries": 0},
    "api": {"enable_http2": True},
}
"""Retries, caching, results, logs and requests in another way than ours."""
GOOD, BAD = "Tidal power", "A topic that the endpoint refuses"


def environment(folder: Path) -> dict[str, str]:
    del folder
    return {
        f"PREFECT_{section.upper().replace('.', '_')}_{name.upper()}": str(value)
        for section, settings in SETTINGS.items()
        for name, value in settings.items()
    }


def a_file_in_the_project(folder: Path) -> dict[str, str]:
    lines: list[str] = []
    for section, settings in SETTINGS.items():
        lines.append(f"[tool.prefect.{section}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    (folder / "pyproject.toml").write_text("\n".join(lines))
    return {}


@pytest.mark.parametrize("given", [environment, a_file_in_the_project])
def test_a_users_settings_change_nothing_that_is_promised(
    given: Callable[[Path], dict[str, str]], command: CommandLine, log: Path, tmp_path: Path
) -> None:
    """No call is made twice or repeated more often, and what is paid is used again."""
    folder = tmp_path / "project"
    folder.mkdir()
    changed = given(folder)
    run = ("run", GOOD, BAD, "--output", str(command.output), "--json")
    with Endpoint(log=log) as endpoint:
        endpoint.fail(faults.status(500), times=None, topic=BAD)
        command.base_url = endpoint.base_url
        runs = []
        for _ in range(2):
            with command.started(*run, cwd=folder, **changed) as process:
                runs.append(ended(process))
        good, bad = (endpoint.count(topic=topic) for topic in (GOOD, BAD))
    for done in runs:
        assert done.status == 3, done.err
        assert [one["status"] for one in done.result["reports"]] == ["published", "failed"]
        assert "Traceback" not in done.err
    assert good == len(kept_requests(command.store)) == CALLS_A_TOPIC
    assert bad == len(runs) * MAX_ATTEMPTS
    directories = [Path(done.result["reports"][0]["directory"]) for done in runs]
    assert len({(directory / "report.md").read_bytes() for directory in directories}) == 1
