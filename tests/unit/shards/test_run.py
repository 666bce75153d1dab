"""A try at a shard: what its worker must have as the batch has it."""

from __future__ import annotations

from prefect_llm_reports.tasks.shards.run import _other_sources


def test_sources_that_differ_on_a_worker_are_named() -> None:
    """A file that is missing, further or of another version is named, with what to do."""
    found = {"same.md": "1", "other.md": "2", "further.md": "3"}
    wanted = {"same.md": "1", "other.md": "9", "missing.md": "4"}
    said = list(_other_sources(found, wanted))
    assert [line.partition(";")[0] for line in said] == [
        "source further.md: on this worker it is there, and not with the batch",
        "source missing.md: on this worker it is not there",
        "source other.md: on this worker it is another version than the batch's",
    ]
    assert all("give all workers the same files" in line for line in said)
    assert not list(_other_sources(wanted, wanted))
