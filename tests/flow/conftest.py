"""The harness of all flow tests: a Prefect server, an endpoint, a store and an output folder."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.testing.utilities import prefect_test_harness

from prefect_llm_reports.flows import BatchResult, report_batch
from prefect_llm_reports.tasks.contract.reports import Manifest
from tests.harness.endpoint import Endpoint

TOPICS = ["Edge computing", "Rust in systems programming", "Tidal power", "Vertical farming", "C++"]


@pytest.fixture(scope="session", autouse=True)
def prefect_server() -> Iterator[None]:
    """A Prefect server with an empty database, for all flow tests together."""
    with prefect_test_harness(server_startup_timeout=300):
        yield


class Bench:
    """Runs batches against an endpoint, in folders of one test."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.output = folder / "reports"
        self.store = folder / "store"
        self._monkeypatch = monkeypatch

    def point_to(self, server: Endpoint, key: str = "sk-test-key") -> None:
        """Have batches ask this endpoint."""
        self._monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        self._monkeypatch.setenv("OPENAI_API_KEY", key)

    def run(
        self,
        server: Endpoint | None,
        /,
        topics: list[Any] | None = None,
        *,
        options: dict[str, Any] | None = None,
        key: str = "sk-test-key",
        **parameters: Any,
    ) -> BatchResult:
        """Run a batch to its end; without one, with the embedded engine."""
        if server:
            self.point_to(server, key)
        parameters.setdefault("model", "gpt-5-mini" if server else "offline")
        parameters.setdefault("output", str(self.output))
        return asyncio.run(
            report_batch(
                topics=TOPICS if topics is None else topics,
                options={"store": str(self.store), **(options or {})},
                **parameters,
            )
        )

    def manifests(self, result: BatchResult) -> list[Manifest]:
        """The manifests of a run's published reports."""
        return [
            Manifest.model_validate_json((Path(r.directory) / "manifest.json").read_text())
            for r in result.reports
            if r.directory
        ]

    def history(self, result: BatchResult, topic: str) -> dict[str, Any]:
        """A report's history.json."""
        report = next(r for r in result.reports if r.topic == topic)
        assert report.directory
        return json.loads((Path(report.directory) / "history.json").read_text())


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Folders of this test and a way to run batches in them."""
    return Bench(tmp_path, monkeypatch)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """An OpenAI-like endpoint on loopback whose scores go 6, 7, 8."""
    with Endpoint() as running:
        yield running
