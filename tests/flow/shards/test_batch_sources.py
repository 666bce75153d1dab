"""A split batch with sources: what one process makes, and workers whose files differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import FlowRun
from prefect.task_runners import ThreadPoolTaskRunner

from tests.flow.conftest import Bench
from tests.flow.reports.test_grounding import evidence, sources
from tests.flow.shards.test_batch import batch_of, by_hands, environment, on, quick, texts
from tests.harness.endpoint import Endpoint
from tests.harness.hands import Hands
from tests.harness.personas import Persona

__all__ = ["environment", "quick", "sources"]

TOPICS = ["turbine and barrage", "cable and harbour", "sluice and reactor", "station and lagoon"]


def given_for(bench: Bench, endpoint: Endpoint, sources: list[str]) -> dict[str, Any]:
    """The parameters of a batch that quotes files, and is split in two."""
    return batch_of(bench, endpoint, TOPICS, sources=sources, support=False, shards=2)


def test_a_split_batch_quotes_what_one_process_quotes(bench: Bench, sources: list[str]) -> None:
    """The same texts and the same evidence, whichever process has read the files."""
    with Endpoint(script=Persona("liar"), scores=[9]) as endpoint:
        given = given_for(bench, endpoint, sources)
        split = on(ThreadPoolTaskRunner(max_workers=2), given)
        bench.store = bench.store.with_name("other")
        given = given_for(bench, endpoint, sources)
        given["options"]["shards"] = 1
        whole = on(ThreadPoolTaskRunner(max_workers=2), given)
    assert (split.status, whole.status) == ("complete", "complete")
    assert texts(split) == texts(whole)
    for at in range(len(TOPICS)):
        assert evidence(split, at) == evidence(whole, at)
        assert evidence(split, at).claims


def test_a_worker_with_another_version_of_a_file_refuses(bench: Bench, sources: list[str]) -> None:
    """Its topics fail and name the file, those of the other worker are published, none is lost."""
    hands = Hands(slots=1)
    changed = Path(sources[0])
    text = changed.read_text()

    def elsewhere(run: FlowRun) -> bool:
        other = f"{text}\n\nA sentence that only this worker has.\n"
        changed.write_text(other if run.parameters["shard"] == 2 else text)
        return False

    hands.refuses = elsewhere
    with Endpoint(script=Persona("faithful"), scores=[9]) as endpoint:
        result = by_hands(given_for(bench, endpoint, sources), hands)
        asked = len(endpoint.requests)
        changed.write_text(text)
        again = by_hands(given_for(bench, endpoint, sources), Hands())

        statuses = {r.status: r for r in result.reports}
        assert statuses.keys() == {"published", "failed"}
        error = statuses["failed"].error
        assert error is not None
        assert changed.name in error.message
        assert "another version than the batch's; give all workers the same files" in error.message
        assert again.status == "complete"
        assert asked == again.calls.cached == 6
        assert len(endpoint.requests) == 12
