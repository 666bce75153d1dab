"""Spans of a run and of its topics, around the spans of the calls.

A batch is one trace: a root span, and below it a span for each topic with its score, its cost and
its page. The spans of a batch that many machines share have the run's name as their session. Not
here: spans of requests (`llm.tracing`), where spans are sent (`runtime.trace_export`).
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, StatusCode

from prefect_llm_reports.tasks.llm.tracing import (
    captures,
    current_tracer,
    session_of_spans,
    span_of_item,
)

Value = str | int | float | bool


class RunTrace:
    """The spans of one run.

    Args:
        run_id: Name of the run's directory; the session of all its spans.
        root: The run's own span.
    """

    def __init__(self, run_id: str, root: Span) -> None:
        self._run_id = run_id
        self._root = root
        self._topics: dict[str, Span] = {}

    @contextmanager
    def topic(self, slug: str, given: Any) -> Generator[None]:
        """All spans made within belong to a topic.

        Args:
            slug: The topic's slug.
            given: The subject of the report; kept only where texts are traced.
        """
        span = self._topics.get(slug)
        if span is None:
            below = trace.set_span_in_context(self._root)
            span = current_tracer().start_span(f"report {slug}", context=below)
            self._topics[slug] = span
            _describe(span, {"llm_reports.item": slug}, self._run_id)
            _say(span, "input", given)
        token = span_of_item.set(span)
        try:
            with trace.use_span(span, end_on_exit=False, record_exception=False):
                yield
        finally:
            span_of_item.reset(token)

    def settle(self, slug: str, facts: Mapping[str, Value | None], said: Any = None) -> None:
        """End a topic's span.

        Args:
            slug: The topic's slug.
            facts: Its outcome, by names without the prefix; None: not known.
            said: The outcome in words; kept only where texts are traced.
        """
        if (span := self._topics.pop(slug, None)) is None:
            return
        _end(span, facts, said)

    def end(self, facts: Mapping[str, Value | None], said: Any = None) -> None:
        """End the run's span, and those of topics that were not settled."""
        for span in self._topics.values():
            span.end()
        self._topics.clear()
        _end(self._root, facts, said)


_run: ContextVar[RunTrace | None] = ContextVar("llm_reports_run_trace", default=None)


@contextmanager
def traced_run(name: str, run_id: str, given: Any) -> Generator[RunTrace]:
    """Trace a run; all spans made within belong to it.

    Args:
        name: The kind of run, such as `report-batch`.
        run_id: Name of the run's directory.
        given: The request in words; kept only where texts are traced.
    """
    root = current_tracer().start_span(name)
    _describe(root, {"llm_reports.run": run_id}, run_id)
    _say(root, "input", given)
    run = RunTrace(run_id, root)
    tokens = _run.set(run), session_of_spans.set(run_id)
    try:
        with trace.use_span(root, end_on_exit=False, record_exception=False):
            yield run
    finally:
        if root.is_recording():
            run.end({"status": "interrupted"})
        _run.reset(tokens[0])
        session_of_spans.reset(tokens[1])


@contextmanager
def traced_topic(slug: str, given: Any) -> Generator[None]:
    """Trace the work on a topic of the present run; without a run, do nothing."""
    run = _run.get()
    if run is None:
        yield
        return
    with run.topic(slug, given):
        yield


def trace_here() -> RunTrace | None:
    """The spans of the present run."""
    return _run.get()


def _describe(span: Span, facts: Mapping[str, Value], run_id: str) -> None:
    """Name a span's kind and session as MLflow, Phoenix and the GenAI conventions read them."""
    if span.is_recording():
        session = dict.fromkeys(("session.id", "gen_ai.conversation.id"), run_id)
        span.set_attributes({**facts, **session, "openinference.span.kind": "CHAIN"})


def _say(span: Span, name: str, text: Any) -> None:
    if text is not None and span.is_recording() and captures():
        plain = isinstance(text, str)
        span.set_attribute(f"{name}.value", text if plain else json.dumps(text, default=str))
        span.set_attribute(f"{name}.mime_type", "text/plain" if plain else "application/json")


def _end(span: Span, facts: Mapping[str, Value | None], said: Any) -> None:
    if span.is_recording():
        for name, value in facts.items():
            if value is not None:
                span.set_attribute(f"llm_reports.{name}", value)
        if facts.get("error"):
            span.set_attribute("error.type", str(facts["error"]))
            span.set_status(StatusCode.ERROR)
        _say(span, "output", said)
    span.end()
