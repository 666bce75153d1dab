"""`llm-reports runs`: lists and shows past runs; closes or removes those whose process was killed.

Not here: the changes to their files (`tasks.results.killed`, `tasks.reports.closing`,
`tasks.branches.closing`).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from prefect_llm_reports.flows.cli.verify import opened
from prefect_llm_reports.tasks.branches.closing import OUTPUT, close_branches
from prefect_llm_reports.tasks.contract.branch_results import BranchBatchResult
from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError
from prefect_llm_reports.tasks.contract.money import cost_text
from prefect_llm_reports.tasks.contract.records import BATCH
from prefect_llm_reports.tasks.contract.reports import BatchResult
from prefect_llm_reports.tasks.pages.runs import STATUSES, RunEntry, duration_text
from prefect_llm_reports.tasks.reports.closing import close_batch
from prefect_llm_reports.tasks.results.index import is_run_id, publish_index, run_entries
from prefect_llm_reports.tasks.results.killed import killed_run, remove_tree
from prefect_llm_reports.tasks.storage.places import Place
from prefect_llm_reports.tasks.text.figures import calls_text, counted, run_name
from prefect_llm_reports.tasks.text.foreign import printable, printable_json
from prefect_llm_reports.tasks.text.spelling import did_you_mean

ACTIONS = ("list", "show", "close", "remove")
AnyResult = BatchResult | BranchBatchResult
_RUNS = TypeAdapter(list[RunEntry])
_RESULT: TypeAdapter[AnyResult] = TypeAdapter(AnyResult)


def runs(chosen: argparse.Namespace) -> int:
    """List runs, or show, close or remove one; returns the exit status.

    Args:
        chosen: The parsed command line.

    Raises:
        BadInput: There is no such output or run, or the run is not one to close or remove.
    """
    words: list[str] = chosen.words
    try:
        if words[:1] == ["list"]:
            words = words[1:]
        elif words and words[0] in ACTIONS:
            if len(words) != 2:
                raise BadInput(f"runs {words[0]}: name one run, as `llm-reports runs` lists them")
            if words[0] == "show":
                return _show(words[1], chosen.output, as_json=chosen.json)
            return close_or_remove(words[0], words[1], chosen.output, force=chosen.force)
        if len(words) > 1:
            wanted = "give one folder, or show, close or remove and a run"
            raise BadInput(f"runs {words[0]}: {wanted}{did_you_mean(words[0], ACTIONS)}")
        return _list(words[0] if words else chosen.output, as_json=chosen.json)
    except StorageError as error:
        raise BadInput(str(error)) from None


def location_of(run: str, output: str) -> tuple[str, str]:
    """The place that a run is to be in, and what is said of its name.

    Args:
        run: The run's name, the beginning of it, or its folder.
        output: Where the runs are, if `run` is no folder.
    """
    at, slash, name = run.rstrip("/").rpartition("/")
    return (at or "/") if slash else output, name


def found_run(run: str, output: str) -> tuple[Place, str]:
    """The place of a run, and its name there.

    Args:
        run: The run's name, the beginning of it, or its folder.
        output: Where the runs are, if `run` is no folder.

    Raises:
        BadInput: There is no such place, or the beginning is that of several runs.
    """
    location, name = location_of(run, output)
    place = opened(location)
    if is_run_id(name):
        return place, name
    known = [one for one in place.names() if is_run_id(one)]
    alike = [one for one in known if name and (one.startswith(name) or one.endswith(f"-{name}"))]
    if len(alike) == 1:
        return place, alike[0]
    if alike:
        raise BadInput(f"{name!r} may be any of {len(alike)} runs; write more of the name")
    listed = f"`llm-reports runs {place.where}` lists them"
    raise BadInput(f"{name!r} is not a run of {place.where}; {listed}{did_you_mean(name, known)}")


def _list(directory: str, *, as_json: bool) -> int:
    try:
        place = opened(directory)
    except BadInput as bad:
        raise BadInput(f"{bad}{did_you_mean(directory, ACTIONS)}") from None
    entries = run_entries(place, "")
    if as_json:
        listed = _RUNS.dump_json(entries, indent=2, exclude={"__all__": {"topics", "reports"}})
        sys.stdout.write(printable_json(listed.decode()) + "\n")
        return 0
    if not entries:
        sys.stdout.write(printable(f"{place.where}: no runs yet") + "\n")
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in _lines(entries, width):
        sys.stdout.write(printable(line) + "\n")
    return 0


def _lines(entries: Sequence[RunEntry], width: int | None) -> Iterator[str]:
    """A line a run; where that is too wide for the terminal, its name is in a line below.

    Args:
        entries: The runs.
        width: Columns of the terminal; None: the lines are for a file or another command.
    """
    cells = {entry.run_id: _cells(entry) for entry in entries if entry.state != "unfinished"}
    wide = [max(map(len, column)) for column in zip(*cells.values(), strict=True)]
    for entry in entries:
        if entry.run_id not in cells:
            yield f"{entry.run_id}  not finished: at work, or killed (runs close, runs remove)"
            continue
        began, status, done, money = cells[entry.run_id]
        line = (
            f"{entry.run_id}  {began:<{wide[0]}}  {status:<{wide[1]}}  {done:>{wide[2]}}"
            f"  {money:>{wide[3]}}"
        )
        if width and len(line) + 2 + len(entry.name) > width:
            yield from (line, f"    {entry.name}")
        else:
            yield f"{line}  {entry.name}"


def _cells(entry: RunEntry) -> tuple[str, str, str, str]:
    return (
        f"{entry.started:%Y-%m-%d %H:%M}" if entry.started else "-",
        STATUSES.get(entry.status or "", entry.status or "finished"),
        f"{entry.published} of {entry.total}",
        cost_text(entry.cost_usd),
    )


def _show(run: str, output: str, *, as_json: bool) -> int:
    place, name = found_run(run, output)
    body = place.read(f"{name}/{BATCH}")
    if body is None:
        if not place.names(name):
            raise BadInput(f"{place.path(name)}: there is no such run; give the output folder, too")
        raise BadInput(
            f"{place.path(name)} has not ended: a process is at work on it, or was killed; run the"
            f" request again with `llm-reports retry {name}`, or `llm-reports runs close {name}`"
        )
    if as_json:
        sys.stdout.write(printable_json(json.dumps(json.loads(body), indent=2)) + "\n")
        return 0
    try:
        result = _RESULT.validate_json(body)
    except (ValidationError, ValueError):
        raise BadInput(
            f"{place.path(name)}/{BATCH} is damaged; `llm-reports verify` says more"
        ) from None
    sys.stdout.writelines(printable(line) + "\n" for line in _described(result, place.path(name)))
    return 0


def _described(result: AnyResult, at: str) -> Iterator[str]:
    of_reports = isinstance(result, BatchResult)
    items = [r.topic for r in result.reports] if of_reports else [i.query for i in result.inquiries]
    options: dict[str, Any] = dict(result.options) if of_reports else {}
    yield run_name(items, str(options.get("model", "")))
    yield f"{STATUSES[result.status]}, {result.started:%Y-%m-%d %H:%M} UTC, " + duration_text(
        result.duration_s
    )
    yield f"{calls_text(result.calls)}; {cost_text(result.cost_usd)}"
    if result.error:
        yield f"stopped: {result.error.message}"
    for key, value in options.items():
        yield f"  {key}: {value if isinstance(value, str) else json.dumps(value)}"
    yield from _reports(result) if of_reports else _inquiries(result)
    yield f"{at}/index.html"


def _reports(result: BatchResult) -> Iterator[str]:
    for report in result.reports:
        said = STATUSES[report.status]
        if report.status == "published":
            said += f", score {report.score:g}" if report.score is not None else ""
        elif report.error:
            said += f": {report.error.message}"
        yield f"  {' '.join(report.topic.split())}: {said}"


def _inquiries(result: BranchBatchResult) -> Iterator[str]:
    for inquiry in result.inquiries:
        said = f"{STATUSES[inquiry.status]}, {inquiry.answered} answered"
        said += f": {inquiry.error.message}" if inquiry.error else ""
        yield f"  {' '.join(inquiry.query.split())}: {said}"
        yield from (f"    {name}: {why.message}" for name, why in inquiry.errors.items())


def close_or_remove(action: str, run: str, output: str, *, force: bool = False) -> int:
    """Close or remove a run, say so, and return the exit status.

    Args:
        action: `close` or `remove`.
        run: The run's name, or its folder.
        output: Where the runs are, if `run` is a name.
        force: The caller knows that no process is at work on it.

    Raises:
        BadInput: There is no such run, it has ended, or it may be at work.
        StorageError: The place cannot be read or written.
    """
    place, name = found_run(run, output)
    names = killed_run(place, name, force=force)
    if action == "remove":
        remove_tree(place, name)
        publish_index(place, name)
        said = "removed; the answers that it paid for stay in the store"
    elif _of_branches(place, name, names):
        answers = close_branches(place, name)
        said = f"closed with {counted(len(answers.inquiries), 'answered input')}"
    else:
        result = close_batch(place, name)
        published = sum(report.status == "published" for report in result.reports)
        said = f"closed with {published} of {counted(len(result.reports), 'report')}"
    sys.stdout.write(printable(f"{place.path(name)}: {said}") + "\n")
    return 0


def _of_branches(place: Place, run_id: str, names: Sequence[str] | set[str]) -> bool:
    return any(OUTPUT in place.names(f"{run_id}/{name}") for name in names)
