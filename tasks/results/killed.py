"""Runs whose process was killed: found, cleared of incomplete files, removed.

Here: the parts for runs of every kind. Not here: closing a run with the results in its directories
(`reports.closing`, `branches.closing`).
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from prefect_llm_reports.tasks.answers.locks import FileLocks
from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError
from prefect_llm_reports.tasks.contract.records import BATCH, MANIFEST, ErrorReport, digest
from prefect_llm_reports.tasks.results.index import is_run_id
from prefect_llm_reports.tasks.storage.places import LocalPlace, Place

AT_WORK = ".at-work"
"""The file beside the runs in which each run at work holds a lock."""
CLOSED = ErrorReport(
    kind="killed",
    message="the run's process was killed; the run was closed with the results that were there",
)
"""The message in the result of a closed run."""


@contextmanager
def at_work(place: Place, run_id: str) -> Generator[None]:
    """Hold the lock that tells other processes that a run is at work; it ends with the process.

    Args:
        place: Where the runs are; without locks nothing is held.
        run_id: The run.
    """
    locks, key = _locks(place), digest(run_id)
    try:
        held = locks is not None and locks.take(key)
    except StorageError:
        held = False
    try:
        yield
    finally:
        if locks is not None and held:
            with suppress(OSError):
                locks.unlock(key)


def killed_run(place: Place, run_id: str, *, force: bool = False) -> set[str]:
    """The names in a run that was killed.

    Args:
        place: Where the runs are.
        run_id: The run.
        force: The caller knows that no process is at work on it.

    Raises:
        BadInput: There is no such run, it has ended, or it may be at work.
    """
    if not is_run_id(run_id):
        raise BadInput(
            f"{run_id!r} is not a run; give a folder's name like 20260314T060000Z-5c1e77d0"
        )
    names = set(place.names(run_id, hidden=True))
    if not names:
        raise BadInput(f"{place.path(run_id)}: there is no such run; give the output folder, too")
    if BATCH in names:
        raise BadInput(f"{place.path(run_id)} has ended and stays as it is; verify checks it")
    if not force and _may_be_at_work(place, run_id):
        raise BadInput(
            f"{place.path(run_id)}: a process is or may be at work on it; end that first, or add"
            " --force if there is none"
        )
    return names


def _may_be_at_work(place: Place, run_id: str) -> bool:
    locks, key = _locks(place), digest(run_id)
    if locks is None:  # S3 does not show whether a process is at work
        return True
    try:
        free = locks.take(key)
    except StorageError:
        return True
    if free:
        locks.unlock(key)
    return not free


def _locks(place: Place) -> FileLocks | None:
    if not isinstance(place, LocalPlace):
        return None
    try:
        return FileLocks.at(Path(place.path(AT_WORK)))
    except StorageError:  # the output of another user
        return None


def clear(place: Place, run_id: str) -> list[str]:
    """Remove incomplete files and folders, and return the result directories.

    Args:
        place: Where the runs are.
        run_id: The run.
    """
    whole: list[str] = []
    for name in place.names(run_id, hidden=True):
        at = f"{run_id}/{name}"
        inside = place.names(at, hidden=True)
        if MANIFEST in inside and not name.startswith("."):
            whole.append(name)
        elif inside or name.startswith(".") or _is_folder(place, at):
            remove_tree(place, at)
    return whole


def remove_tree(place: Place, folder: str) -> None:
    """Remove a folder with everything in it; links are removed and not followed.

    Args:
        place: Where it is.
        folder: Its name.
    """
    if isinstance(place, LocalPlace) and (place.folder / folder).is_symlink():
        place.remove(folder)
        return
    for name in place.names(folder, hidden=True):
        remove_tree(place, f"{folder}/{name}")
    place.remove(folder)


def _is_folder(place: Place, name: str) -> bool:
    return isinstance(place, LocalPlace) and (place.folder / name).is_dir()


def began(run_id: str) -> datetime:
    """When a run began, by its name.

    Args:
        run_id: The run.
    """
    try:
        return datetime.strptime(run_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
