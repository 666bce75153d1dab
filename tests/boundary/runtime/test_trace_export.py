"""Spans arrive at collectors and at MLflow; a collector that does not answer costs nothing."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.llm.tracing import step_span
from prefect_llm_reports.tasks.runtime import trace_export
from prefect_llm_reports.tasks.runtime.trace_export import check_tracing, spans_sent
from prefect_llm_reports.tasks.runtime.traces import traced_run, traced_topic
from tests.harness.processes import free_port

LOGGER = "prefect_llm_reports.tasks.runtime.trace_export"


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP; with experiments it is an MLflow server.

    Args:
        experiments: Ids by name; None: a plain collector.
        status: What posts of spans get.
        hangs: Posts of spans get no answer.
    """

    daemon_threads = True

    def __init__(
        self, experiments: dict[str, str] | None = None, status: int = 200, hangs: bool = False
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.experiments = experiments
        self.status = status
        self.released = threading.Event()
        self.hangs = hangs
        self.posts: list[tuple[str, dict[str, str]]] = []
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """Keep the spans of a post."""
        request = ExportTraceServiceRequest.FromString(body)
        self.posts.append((path, headers))
        for group in request.resource_spans:
            about = group.resource.attributes
            self.resources.append({one.key: one.value.string_value for one in about})
            self.spans += [span for scope in group.scope_spans for span in scope.spans]


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_GET(self) -> None:
        names = parse_qs(urlsplit(self.path).query).get("experiment_name", [""])
        known = (self.server.experiments or {}).get(names[0])
        if self.server.experiments is None:
            self._answer(404, {})
        elif known is None:
            self._answer(404, {"error_code": "RESOURCE_DOES_NOT_EXIST"})
        else:
            self._answer(200, {"experiment": {"experiment_id": known}})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path.endswith("/create"):
            assert self.server.experiments is not None
            name = json.loads(body)["name"]
            self.server.experiments[name] = str(100 + len(self.server.experiments))
            self._answer(200, {"experiment_id": self.server.experiments[name]})
            return
        if self.server.hangs:
            self.server.released.wait(60)
            return
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.server.status == 200:
            self.server.take(self.path, headers, body)
        self._answer(self.server.status, {})

    def _answer(self, status: int, said: Any) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output clean."""


@contextmanager
def serving(collector: Collector) -> Iterator[Collector]:
    thread = threading.Thread(target=collector.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        collector.released.set()
        collector.shutdown()
        thread.join()
        collector.server_close()


@pytest.fixture(autouse=True)
def _no_collector_of_mine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


async def _topic(slug: str, steps: list[str]) -> None:
    with traced_topic(slug, slug.title()):
        for step in steps:
            with step_span(step, f"{step} \u00b7 {slug}", slug):
                await asyncio.sleep(0)


def make_spans(address: str | None, experiment: str | None = None) -> float:
    """A run of two topics, traced; returns the seconds of its end."""

    async def run() -> float:
        async with spans_sent(address, experiment):
            with traced_run("report-batch", "run-1", ["Tides"]) as traced:
                await asyncio.gather(
                    _topic("tides", ["draft", "critique"]), _topic("rust", ["draft"])
                )
                traced.settle("tides", {"status": "published", "score": 8.0, "page": "x/y"})
                traced.settle("rust", {"status": "failed", "error": "call_rejected"})
                traced.end({"status": "partial", "cost_usd": 0.25})
            began = time.monotonic()
        return time.monotonic() - began

    return asyncio.run(run())


def attributes(span: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in span.attributes:
        found[one.key] = getattr(one.value, one.value.WhichOneof("value"))
    return found


def test_a_run_is_one_trace_of_topics_and_steps() -> None:
    """Topics are below the run, steps below their topic, each with its outcome and session."""
    with serving(Collector()) as collector:
        make_spans(collector.url)
    spans = {span.name: span for span in collector.spans}
    assert {post[0] for post in collector.posts} == {"/v1/traces"}
    assert len({span.trace_id for span in collector.spans}) == 1
    root = spans["report-batch"]
    assert root.parent_span_id == b""
    for slug in ("tides", "rust"):
        topic = spans[f"report {slug}"]
        assert topic.parent_span_id == root.span_id
        below = [span for span in collector.spans if span.parent_span_id == topic.span_id]
        [draft] = [span for span in below if span.name == "draft"]
        assert attributes(draft)["llm_reports.item"] == slug
        assert topic.start_time_unix_nano <= draft.start_time_unix_nano
        assert topic.end_time_unix_nano >= draft.end_time_unix_nano
    assert {attributes(span)["session.id"] for span in collector.spans} == {"run-1"}
    assert attributes(spans["report tides"])["llm_reports.score"] == 8.0
    assert attributes(spans["report tides"])["llm_reports.page"] == "x/y"
    assert attributes(spans["report rust"])["error.type"] == "call_rejected"
    assert attributes(root)["llm_reports.cost_usd"] == 0.25
    assert collector.resources[0]["service.name"] == "llm-reports"
    assert not any("input.value" in attributes(span) for span in collector.spans)


def test_texts_fill_the_columns_of_input_and_output_when_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a run and a topic were asked for is in their spans."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    with serving(Collector()) as collector:
        make_spans(collector.url)
    spans = {span.name: attributes(span) for span in collector.spans}
    assert spans["report-batch"]["input.value"] == '["Tides"]'
    assert spans["report tides"]["input.value"] == "Tides"


@pytest.mark.parametrize(("experiment", "known"), [("Weekly", "7"), ("New", "102"), (None, "0")])
def test_an_mlflow_server_is_known_by_its_tracking_uri(experiment: str | None, known: str) -> None:
    """Spans go into the experiment, which is made where it is missing."""
    with serving(Collector({"Default": "0", "Weekly": "7"})) as server:
        make_spans(server.url + "/", experiment)
    assert {path for path, _ in server.posts} == {"/v1/traces"}
    assert {headers["x-mlflow-experiment-id"] for _, headers in server.posts} == {known}


def test_a_login_of_mlflow_and_headers_of_opentelemetry_are_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The variables of either are read."""
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "s3")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=a%20b,x-other=c")
    with serving(Collector({"Default": "0"})) as server:
        make_spans(server.url)
    headers = server.posts[0][1]
    assert (headers["x-team"], headers["x-other"]) == ("a b", "c")
    assert headers["authorization"] == "Basic YW5uOnMz"


def test_the_environment_may_name_the_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """`OTEL_EXPORTER_OTLP_ENDPOINT` means what OpenTelemetry says."""
    with serving(Collector()) as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        make_spans(None)
        assert len(collector.spans) == 6
        monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
        make_spans(None)
    assert len(collector.spans) == 6


def test_nothing_is_exported_unasked_and_the_process_is_left_as_it_was() -> None:
    """Without a collector no provider is made; with one it is the run's alone."""
    make_spans(None)
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    with serving(Collector()) as collector:
        make_spans(collector.url)
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def refusing() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.mark.parametrize("kind", ["refuses", "answers 500", "answers 404", "hangs"])
def test_a_collector_that_is_down_costs_one_warning(
    kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The end of a run waits for no retries; the spans are lost, and one line says so."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    collector = Collector(status=500 if "500" in kind else 404, hangs=kind == "hangs")
    with serving(collector), caplog.at_level(logging.DEBUG, logger="prefect_llm_reports"):
        took = make_spans(refusing() if kind == "refuses" else collector.url)
    warned = [record for record in caplog.records if record.name == LOGGER]
    assert len(warned) == 1
    assert "took no spans" in warned[0].getMessage()
    assert took < 30


def test_a_missing_extra_is_bad_input_where_spans_were_asked_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By the environment it is a warning: the variable may be meant for other programs."""

    def missing(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(trace_export, "import_module", missing)
    with pytest.raises(BadInput, match=r"prefect-llm-reports\[otel\]"):
        check_tracing("http://127.0.0.1:1")
    check_tracing(None)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    make_spans(None)
    assert "prefect-llm-reports[otel]" in caplog.text
