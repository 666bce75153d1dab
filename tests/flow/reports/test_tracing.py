"""A batch is one trace at the collector that `trace` names."""

from __future__ import annotations

from tests.boundary.runtime.test_trace_export import Collector, attributes, serving
from tests.flow.conftest import Bench
from tests.harness import faults
from tests.harness.endpoint import Endpoint


def test_a_batch_is_one_trace(bench: Bench, endpoint: Endpoint) -> None:
    """Run, topics, questions and requests hang together, and say what came of them."""
    endpoint.fail(faults.refusal(), topic="Rust", step="draft", times=None)
    with serving(Collector()) as collector:
        result = bench.run(endpoint, ["Tidal power", "Rust"], options={"trace": collector.url})
    by_id = {span.span_id: span for span in collector.spans}
    assert len({span.trace_id for span in collector.spans}) == 1
    [root] = [span for span in collector.spans if not span.parent_span_id]
    assert attributes(root)["llm_reports.status"] == "partial"
    assert attributes(root)["llm_reports.published"] == 1
    topics = {
        attributes(span)["llm_reports.item"]: attributes(span)
        for span in collector.spans
        if span.parent_span_id == root.span_id
    }
    report = result.reports[0]
    assert topics[report.slug]["llm_reports.score"] == report.score
    assert topics[report.slug]["llm_reports.page"] == report.directory
    assert topics[result.reports[1].slug]["error.type"] == "answer_refused"
    requests = [span for span in collector.spans if span.name.startswith("chat ")]
    assert len(requests) == len(endpoint.requests)
    for span in requests:
        step = by_id[span.parent_span_id]
        topic = by_id[step.parent_span_id]
        assert attributes(span)["llm_reports.step"] == attributes(step)["llm_reports.step"]
        assert attributes(span)["llm_reports.item"] == attributes(topic)["llm_reports.item"]
    assert {attributes(span)["session.id"] for span in collector.spans} == {result.run_id}
