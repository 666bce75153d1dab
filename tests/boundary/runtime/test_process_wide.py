"""A change to the process is made once for all who need it, and undone by the last of them."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest

from prefect_llm_reports.tasks.runtime.logs import decisions_only
from prefect_llm_reports.tasks.runtime.memory import THRESHOLDS, rarer_collections
from prefect_llm_reports.tasks.runtime.process_wide import process_wide

TASK_RUNS = logging.getLogger("prefect.task_runs")


class Switch:
    """A process-wide thing that notes what is done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.changed = process_wide(self._change)

    def _change(self, name: str = "") -> Generator[None]:
        self.done.append(f"on {name}".strip())
        try:
            yield
        finally:
            self.done.append(f"off {name}".strip())


def collector() -> tuple[Any, ...]:
    return (*gc.get_threshold(), gc.get_freeze_count() > 0)


def quiet() -> list[Any]:
    return list(TASK_RUNS.filters)


CHANGES: list[tuple[Callable[[], AbstractContextManager[None]], Callable[[], Any]]] = [
    (rarer_collections, collector),
    (decisions_only, quiet),
]


@pytest.mark.parametrize(("change", "state"), CHANGES, ids=["memory", "logs"])
@pytest.mark.parametrize("ends_first", [0, 1])
@pytest.mark.parametrize("fails", [False, True])
def test_two_runs_that_overlap_keep_the_change_until_the_last_ends(
    change: Callable[[], AbstractContextManager[None]],
    state: Callable[[], Any],
    ends_first: int,
    fails: bool,
) -> None:
    """In either order of ending, also when the first to end fails; then all is as before."""
    before = state()
    runs = [ExitStack(), ExitStack()]
    runs[0].enter_context(change())
    within = state()
    assert within != before
    runs[1].enter_context(change())
    if fails:
        with pytest.raises(ValueError, match="of this run"), runs.pop(ends_first):
            raise ValueError("of this run")
    else:
        runs.pop(ends_first).close()
    assert state() == within
    runs[0].close()
    assert state() == before


def test_a_program_that_sets_thresholds_or_freezes_keeps_its_own() -> None:
    """What others do to the collector is theirs."""
    before = gc.get_threshold()
    try:
        with rarer_collections():
            assert gc.get_threshold() == THRESHOLDS
            gc.set_threshold(5000, 7, 7)
        assert gc.get_threshold() == (5000, 7, 7)
        gc.freeze()
        with rarer_collections():
            pass
        assert gc.get_freeze_count()
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def test_a_filter_of_others_stays() -> None:
    """Only our own is removed."""
    theirs = logging.Filter("theirs")
    TASK_RUNS.addFilter(theirs)
    before = list(TASK_RUNS.filters)
    try:
        with decisions_only():
            assert len(TASK_RUNS.filters) == len(before) + 1
        assert TASK_RUNS.filters == before
    finally:
        TASK_RUNS.removeFilter(theirs)


def test_each_argument_has_a_change_of_its_own() -> None:
    """Two worlds that are changed at the same time do not share a count."""
    switch = Switch()
    with switch.changed("a"):
        with switch.changed("b"), switch.changed("a"):
            pass
        assert switch.done == ["on a", "on b", "off b"]
    assert switch.done[3:] == ["off a"]


def test_a_change_can_be_made_again_after_it_was_undone() -> None:
    """The count begins anew."""
    switch = Switch()
    for _ in range(2):
        with switch.changed():
            pass
    assert switch.done == ["on", "off"] * 2


def test_a_change_that_cannot_be_made_is_not_counted() -> None:
    """The next to need it tries again."""
    tries: list[int] = []

    @process_wide
    def change() -> Generator[None]:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("not now")
        yield

    with pytest.raises(OSError, match="not now"), change():
        pass
    with change():
        assert len(tries) == 2


def test_threads_share_one_change() -> None:
    """Runs in threads of one process overlap as those of one loop do."""
    switch = Switch()
    together = threading.Barrier(8)

    def run() -> None:
        for _ in range(50):
            with switch.changed():
                together.wait(60)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert switch.done[::2] == ["on"] * (len(switch.done) // 2)
    assert switch.done[1::2] == ["off"] * (len(switch.done) // 2)
