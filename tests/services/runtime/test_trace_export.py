"""A batch in MLflow: a real server, found by its tracking URI."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.harness.foreign import MLFLOW, environment, serving
from tests.harness.pace import PATIENCE_S
from tests.harness.processes import CommandLine

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]

SENDING = {
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true",
    "OTEL_EXPORTER_OTLP_TIMEOUT": str(PATIENCE_S),
}


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of MLflow that has taken spans: its first request of a kind loads what it needs."""
    folder = tmp_path_factory.mktemp("mlflow")
    programs = environment(*MLFLOW)

    def command(port: int) -> list[str | Path]:
        database = f"sqlite:///{folder}/mlflow.db"
        where = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        return [programs / "mlflow", "server", "--backend-store-uri", database, *where]

    with serving(command, folder, ready="/health") as url:
        kind = {"content-type": "application/x-protobuf", "x-mlflow-experiment-id": "0"}
        httpx.post(f"{url}/v1/traces", headers=kind, timeout=PATIENCE_S, trust_env=False)
        traces_of(url, "Default")
        yield url


def traces_of(mlflow: str, experiment: str) -> list[dict[str, Any]]:
    """The traces of an experiment, as MLflow's own page lists them."""
    api = f"{mlflow}/api/2.0/mlflow/experiments/get-by-name"
    name = {"experiment_name": experiment}
    found = httpx.get(api, params=name, timeout=PATIENCE_S, trust_env=False)
    known = found.json()["experiment"]["experiment_id"]
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": known}}
    api = f"{mlflow}/api/3.0/mlflow/traces/search"
    search = {"locations": [place], "max_results": 50}
    found = httpx.post(api, json=search, timeout=PATIENCE_S, trust_env=False)
    return found.json().get("traces", [])


def test_a_batch_is_one_trace_of_an_experiment(command: CommandLine, mlflow: str) -> None:
    """The experiment is made; the trace has the run as its session, a request and a response."""
    arguments = command.batch(["Tidal power", "Rust"], "--trace", mlflow, "--experiment", "Weekly")
    done = command.run(*arguments, **SENDING)
    assert done.status == 0, done.err
    assert "took no spans" not in done.err
    [trace] = traces_of(mlflow, "Weekly")
    assert trace["state"] == "OK"
    assert trace["trace_metadata"]["mlflow.trace.session"] == done.result["run_id"]
    assert "Tidal power" in trace["request_preview"]
    assert "2 of 2 reports published" in trace["response_preview"]
