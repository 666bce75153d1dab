"""What tests with servers of others share: a Prefect server, and the two products run against them.

Each file has one environment of its own, so that files may run side by side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.testing.utilities import prefect_test_harness

from prefect_llm_reports.flows import BatchResult, branch_batch, report_batch
from prefect_llm_reports.tasks.contract.branch_results import BranchBatchResult

TOPICS = ["Tidal power", "Rust in systems programming", "C++"]
NESTED: dict[str, Any] = {
    "name": "nested",
    "instructions": "Weigh the risks.",
    "output": {
        "type": "object",
        "properties": {
            "verdict": {"type": "string", "enum": ["build", "buy"]},
            "score": {"type": "integer", "minimum": 1, "maximum": 10},
            "risks": {
                "type": "array",
                "minItems": 1,
                "maxItems": 3,
                "items": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string"},
                        "odds": {"type": "integer", "minimum": 0, "maximum": 100},
                        "owners": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
                    },
                    "required": ["name", "odds", "owners"],
                },
            },
        },
        "required": ["verdict", "score", "risks"],
    },
}
"""A branch whose output has objects in a list in an object, with bounds."""


class Products:
    """Runs reports and branches against a server, in this process, with a store of its own.

    Args:
        folder: Where results and answers go.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._monkeypatch = monkeypatch

    def point_to(self, base_url: str, key: str = "sk-test-key") -> None:
        """Have runs ask this endpoint."""
        self._monkeypatch.setenv("OPENAI_BASE_URL", base_url)
        self._monkeypatch.setenv("OPENAI_API_KEY", key)

    def reports(
        self, model: str = "m", topics: list[Any] | None = None, **options: Any
    ) -> BatchResult:
        """Run a batch to its end."""
        flow: Any = report_batch
        return asyncio.run(
            flow(
                topics=topics or TOPICS,
                model=model,
                output=str(self._folder / "reports"),
                options={"store": str(self._folder / "store"), "length_words": 300, **options},
            )
        )

    def branches(self, model: str = "m", **options: Any) -> BranchBatchResult:
        """Ask the nested branch, and one that reads of its output, about two inputs."""
        plain = {"name": "plain", "instructions": "Think.", "uses": ["nested.risks"]}
        flow: Any = branch_batch
        return asyncio.run(
            flow(
                queries=["Build or buy?", {"budget": 3}],
                branches=[NESTED, plain],
                model=model,
                output=str(self._folder / "answers"),
                options={"store": str(self._folder / "store"), **options},
            )
        )


@pytest.fixture(scope="module")
def prefect_here() -> Iterator[None]:
    """A Prefect server with an empty database, for runs in this process."""
    with prefect_test_harness(server_startup_timeout=300):
        yield


@pytest.fixture
def products(tmp_path: Path, prefect_here: None, monkeypatch: pytest.MonkeyPatch) -> Products:
    """The two products, with the module's Prefect server."""
    return Products(tmp_path, monkeypatch)


def all_well(result: BatchResult | BranchBatchResult) -> None:
    """Assert that every report or input is published, without a repeated request."""
    if result.status != "complete":
        pytest.fail(result.model_dump_json(indent=1))
    assert result.calls.retried == 0
