"""What tests with real processes share; some modules have servers of another kind."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.processes import CommandLine, endpoint_process, prefect_server

if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # as under nohup; processes would inherit it
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


LONGEST_FIRST = (
    *("test_beside_a_project", "test_interruption", "test_prefect_yaml", "test_dockerfile"),
    *("test_streams", "test_signals", "test_s3", "test_batch", "test_save_automations"),
    "test_main_newcomer",
    *("test_store_paid_once", "test_publishing", "test_s3_conditions", "test_ecs_template"),
)
"""Modules that take a minute and more; begun last they would be waited for at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the longest modules to the front; several processes take modules in this order."""
    rank = {name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


@pytest.fixture(scope="session")
def api_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One Prefect server for all tests."""
    with prefect_server(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The endpoint's log."""
    return tmp_path / "endpoint.log"


@pytest.fixture
def command(tmp_path: Path, api_url: str, log: Path) -> Iterator[CommandLine]:
    """The command line with a fresh store, output and endpoint."""
    with endpoint_process(log, "--latency", "0.05") as base_url:
        yield CommandLine(tmp_path, api_url, base_url)
