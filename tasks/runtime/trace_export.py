"""Sends a run's spans to MLflow, or to any collector that takes OTLP over HTTP.

A collector that is away costs no time and no report: one warning names it, and spans are dropped
until it takes some again. Needs the extra `otel`. Not here: the spans (`runtime.traces`,
`llm.tracing`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from base64 import b64encode
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
from opentelemetry import trace
from opentelemetry.trace import ProxyTracerProvider

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.settings import on_this_machine
from prefect_llm_reports.tasks.llm.response import as_object
from prefect_llm_reports.tasks.llm.tracing import SERVICE, tracer_of_run

CONNECT_S, SEND_S = 1.0, 10.0
"""Seconds for a connection to a collector, and for one exchange with it; a server that has just
been started takes its time. `OTEL_EXPORTER_OTLP_TIMEOUT` gives other seconds, as to the SDK."""
PATH = "/v1/traces"
"""Where OTLP over HTTP takes spans."""
AWAY_S = 30.0
"""Seconds for which a collector that did not take spans is left alone."""
MOST_SPANS = 20_000
"""Spans that wait to be sent; more are dropped."""
ADDRESSES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""The environment variables of OpenTelemetry that name a collector."""
TIMEOUTS = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
"""Those that say for how many seconds to wait for it."""
NEEDED = (
    "opentelemetry.sdk.trace.export",
    "opentelemetry.exporter.otlp.proto.common.trace_encoder",
)
MISSING = "spans cannot be sent: {}; install 'prefect-llm-reports[otel]'"

logger = logging.getLogger(__name__)


class Sender:
    """Sends groups of spans; OpenTelemetry's SDK calls it from a thread of its own.

    Args:
        address: MLflow's tracking URI, or a collector's address.
        experiment: MLflow's experiment; None: its default.
    """

    def __init__(self, address: str, experiment: str | None) -> None:
        self._address = address.rstrip("/")
        self._experiment = experiment or "Default"
        self._headers: dict[str, str] | None = None
        self._client = _client(address)
        self._encode: Any = import_module(
            "opentelemetry.exporter.otlp.proto.common.trace_encoder"
        ).encode_spans
        self._result: Any = import_module("opentelemetry.sdk.trace.export").SpanExportResult
        self._away_until = 0.0
        self._warned = False

    def export(self, spans: Sequence[Any]) -> Any:
        """Send spans, or drop them while the collector is away."""
        if time.monotonic() < self._away_until:
            return self._result.FAILURE
        try:
            if self._headers is None:
                self._headers = self._headers_there()
            body = self._encode(spans).SerializeToString()
            url = self._address.removesuffix(PATH) + PATH
            response = self._client.post(url, content=body, headers=self._headers)
            response.raise_for_status()
        except (httpx.HTTPError, OSError, ValueError) as error:
            self._away_until = time.monotonic() + AWAY_S
            status = getattr(getattr(error, "response", None), "status_code", None)
            self._warn(f"answered {status}" if status else type(error).__name__)
            return self._result.FAILURE
        return self._result.SUCCESS

    def _warn(self, seen: str) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "the collector at %s took no spans (%s); the run goes on without them: check"
                " --trace and start the collector",
                urlsplit(self._address).netloc,
                seen,
            )

    def _headers_there(self) -> dict[str, str]:
        """The headers of each post; MLflow's server wants to know the experiment.

        Raises:
            httpx.HTTPError: The collector does not answer.
        """
        headers = {"content-type": "application/x-protobuf", **_given_headers()}
        if self._address.endswith(PATH):
            return headers
        login = _mlflow_login()
        api = f"{self._address}/api/2.0/mlflow/experiments"
        asked = {"experiment_name": self._experiment}
        found = self._client.get(f"{api}/get-by-name", params=asked, headers=login)
        if found.status_code == 404 and "RESOURCE_DOES_NOT_EXIST" in found.text:
            found = self._client.post(
                f"{api}/create", json={"name": self._experiment}, headers=login
            )
        try:
            fields = as_object(found.json() if found.is_success else None)
        except ValueError:
            fields = {}
        inner = as_object(fields.get("experiment"))
        known = fields.get("experiment_id") or inner.get("experiment_id")
        if known is None:  # not an MLflow server
            return headers
        return {**headers, **login, "x-mlflow-experiment-id": str(known)}

    def force_flush(self, timeout_millis: int = 0) -> bool:
        """Nothing waits here."""
        del timeout_millis
        return True

    def shutdown(self) -> None:
        """Close the connection."""
        self._client.close()


def check_tracing(address: str | None) -> None:
    """Make sure that spans can be sent, if they are wanted.

    Raises:
        BadInput: The extra `otel` is not installed.
    """
    try:
        if address:
            for module in NEEDED:
                import_module(module)
    except ImportError as error:
        raise BadInput(MISSING.format(error)) from None


@asynccontextmanager
async def spans_sent(address: str | None, experiment: str | None) -> AsyncGenerator[None]:
    """Send the spans that are made within.

    A tracer provider that the program has set gets them where no address is given.

    Args:
        address: MLflow's tracking URI, or a collector's address; None: the environment's.
        experiment: MLflow's experiment, or the project's name elsewhere.

    """
    if address is None and isinstance(trace.get_tracer_provider(), ProxyTracerProvider):
        address = _of_environment()
    if address is None:
        yield
        return
    try:
        provider = await asyncio.to_thread(_provider, address, experiment)
    except ImportError as error:
        logger.warning(MISSING.format(error))
        yield
        return
    token = tracer_of_run.set(provider.get_tracer("prefect-llm-reports"))
    try:
        yield
    finally:
        tracer_of_run.reset(token)
        await asyncio.to_thread(provider.shutdown)


def _of_environment() -> str | None:
    if os.environ.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        return None
    return next((found for name in ADDRESSES if (found := os.environ.get(name))), None)


def _provider(address: str, experiment: str | None) -> Any:
    """A tracer provider whose spans go to a collector."""
    sdk: Any = import_module("opentelemetry.sdk.trace")
    batching: Any = import_module("opentelemetry.sdk.trace.export")
    resources: Any = import_module("opentelemetry.sdk.resources")
    about: dict[str, str] = {}
    given = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not os.environ.get("OTEL_SERVICE_NAME") and "service.name=" not in given:
        about["service.name"] = SERVICE
    if experiment:
        about["openinference.project.name"] = experiment
    provider = sdk.TracerProvider(resource=resources.Resource.create(about), shutdown_on_exit=False)
    provider.add_span_processor(
        batching.BatchSpanProcessor(
            Sender(address, experiment), max_queue_size=MOST_SPANS, schedule_delay_millis=1000
        )
    )
    return provider


def _given_headers() -> dict[str, str]:
    """The headers that OpenTelemetry's environment variable names."""
    given = os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    pairs = (pair.partition("=") for pair in given.split(",") if "=" in pair)
    return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}


def _mlflow_login() -> dict[str, str]:
    """The login to MLflow's server that its own environment variables give."""
    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        return {"authorization": f"Bearer {token}"}
    user = os.environ.get("MLFLOW_TRACKING_USERNAME")
    if not user:
        return {}
    login = f"{user}:{os.environ.get('MLFLOW_TRACKING_PASSWORD', '')}"
    return {"authorization": "Basic " + b64encode(login.encode()).decode()}


def _client(url: str) -> httpx.Client:
    """A client that gives up soon; it goes through no proxy on this machine."""
    given = next((os.environ[name] for name in TIMEOUTS if os.environ.get(name)), "")
    with suppress(ValueError):
        given = float(given)
    send_s = given if isinstance(given, float) and given > 0 else SEND_S
    return httpx.Client(
        timeout=httpx.Timeout(send_s, connect=CONNECT_S),
        trust_env=not on_this_machine(urlsplit(url).hostname or ""),
    )
