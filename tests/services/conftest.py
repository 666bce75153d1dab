"""What tests with real processes share; some modules have servers of another kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.processes import CommandLine, endpoint_process, prefect_server


@pytest.fixture(scope="module")
def api_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One Prefect server for all tests of this module."""
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
