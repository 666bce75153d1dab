"""Every symbol of Prefect below its public interface: where we use it, why, what if it is gone."""

from __future__ import annotations

import ast
import inspect
import re
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import prefect.logging.loggers
import prefect.task_engine
import pytest

from tests.harness import ROOT
from tests.harness.sources import SOURCES, nodes, shown

PUBLIC = {
    "prefect",
    "prefect.artifacts",
    "prefect.blocks.core",
    "prefect.blocks.webhook",
    "prefect.cache_policies",
    "prefect.client.orchestration",
    "prefect.client.schemas.filters",
    "prefect.client.schemas.objects",
    "prefect.client.schemas.responses",
    "prefect.context",
    "prefect.deployments.flow_runs",
    "prefect.deployments.runner",
    "prefect.events",
    "prefect.events.actions",
    "prefect.exceptions",
    "prefect.filesystems",
    "prefect.flow_runs",
    "prefect.futures",
    "prefect.input",
    "prefect.results",
    "prefect.runner",
    "prefect.runtime",
    "prefect.schedules",
    "prefect.serializers",
    "prefect.settings",
    "prefect.states",
    "prefect.task_runners",
    "prefect.transactions",
    "prefect.types.SecretDict",
    "prefect.types.entrypoint",
    "prefect.utilities.annotations",
}
"""Modules that Prefect documents; their names without an underscore are public."""
ROOMS = {"runtime", "answers", "shards"}
"""The rooms of `tasks` that may reach below; `answers` and `shards` only where they must."""
PYTHONS = {"_exit", "_replace", "_asdict", "__all__", "__dataclass_fields__", "__path__"}
KINDS = (type, Exception, ModuleType, dict, FunctionType, ExitStack, AsyncExitStack)
PYTHONS |= {name for kind in KINDS for name in dir(kind)}
OTHERS = {"tasks/templates/sandbox.py": {"_parse"}}
"""Private names of other packages."""
FREE = {"send", "start"}
"""Names that other things have as well, so that their uses cannot be told apart."""


@dataclass(frozen=True)
class Symbol:
    """A symbol below Prefect's public interface.

    Attributes:
        path: Its full name.
        room: The room of `tasks` that uses it.
        why: What for.
        gone: What the code does without it, and what to change.
        alone: Other rooms have no such name.
    """

    path: str
    room: str
    why: str
    gone: str

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


SYMBOLS = [
    Symbol(
        "prefect.utilities.engine._prefect_sigterm_handler",
        "runtime",
        "Prefect acknowledges a cancel only while this is the handler of SIGTERM; ours takes its"
        " name, so that calls under way may end and a cancelled run is not Crashed",
        "Prefect keeps SIGTERM, and the run's log says so; find how Prefect acknowledges a cancel",
    ),
    Symbol(
        "prefect.utilities.engine.can_ack_control_intent",
        "runtime",
        "proves that a cancel would be acknowledged with our handler",
        "Prefect keeps SIGTERM, and the run's log says so; find how Prefect acknowledges a cancel",
    ),
    Symbol(
        "prefect.utilities.engine.capture_sigterm",
        "runtime",
        "remembers the handler of SIGTERM of the program that contains a run, such as a web server",
        "that program gets SIGTERM when the run is over, and the run ends in an exception; find"
        " where Prefect remembers the handler",
    ),
    Symbol(
        "prefect.context.ContextModel.__var__",
        "runtime",
        "a flow that a task starts must not see the task's context; there is no way to leave one",
        "only shards on a task runner fail, at once; run each in a context without the task's",
    ),
    Symbol(
        "prefect.context.FlowRunContext.run_results",
        "runtime",
        "Prefect keeps every result of a run here; in a large batch that is most of the memory",
        "memory grows, and the log says so once; look for where Prefect keeps results now",
    ),
    Symbol(
        "prefect.results.ResultRecord",
        "runtime",
        "a final state holds its result in one of these; `State.aresult` cannot be awaited there",
        "importing the flows fails; take the result out of the state in the way of that version",
    ),
    Symbol(
        "prefect.tasks.Task.create_local_run",
        "runtime",
        "makes a task run with an id that we chose, and without an event for Pending",
        "every report fails, before any call; call the task with `return_state=True` instead",
    ),
    Symbol(
        "prefect.task_engine.run_task_async",
        "runtime",
        "runs a task run that we made, on the flow's own event loop",
        "importing the flows fails; call the task with `return_state=True` instead",
    ),
    Symbol(
        "prefect.client.utilities.get_or_create_client",
        "runtime",
        "the client that the flow run has already",
        "Prefect's own sender serves; use `get_client`",
    ),
    Symbol(
        "prefect.events.clients.PrefectEventsClient",
        "runtime",
        "groups are sent only where Prefect's own sender would send to a Prefect server",
        "Prefect's own sender serves; find how its client is chosen now",
    ),
    Symbol(
        "prefect.events.related.related_resources_from_run_context",
        "runtime",
        "what an event of this run names beside its own resource, looked up once",
        "Prefect's own sender serves; find how its sender looks it up now",
    ),
    Symbol(
        "prefect.events.worker.EventsWorker",
        "runtime",
        "Prefect's own sender of events",
        "Prefect's own sender serves; find what `emit_event` sends with now",
    ),
    Symbol(
        "prefect.events.worker.EventsWorker.send",
        "runtime",
        "replaced on the instance, so that events of task runs come to us first",
        "Prefect's own sender serves; find what `emit_event` calls now",
    ),
    Symbol(
        "prefect.events.worker.EventsWorker.client_type",
        "runtime",
        "tells a Prefect server from Prefect Cloud and from no server",
        "Prefect's own sender serves; find how its client is chosen now",
    ),
    Symbol(
        "prefect.server.api.server.SubprocessASGIServer",
        "runtime",
        "starts the embedded server while the terminal shows what it waits for",
        "Prefect starts the server itself, with nothing shown; look for its successor",
    ),
    Symbol(
        "prefect.server.api.server.SubprocessASGIServer.server_process",
        "runtime",
        "Prefect's clients use the embedded server that we started, and end it with this process",
        "Prefect starts a second server; find where it remembers the one that runs",
    ),
    Symbol(
        "prefect.results.ResultStore.result_storage",
        "answers",
        "Prefect's own caching of tasks keeps answers in our store, without a saved block",
        "setting it fails, before any call; find how a run is given a storage object",
    ),
    Symbol(
        "prefect.results.ResultStore.lock_manager",
        "answers",
        "one of several runs asks, the others wait for its answer",
        "setting it fails, before any call; find how a run is given a lock manager",
    ),
    Symbol(
        "prefect.task_runners.ThreadPoolTaskRunner._max_workers",
        "shards",
        "how many shards a task runner can run at once",
        "one shard at a time, or as many as the option `shards` says; read it from settings",
    ),
    Symbol(
        "prefect.futures.PrefectWrappedFuture.wrapped_future",
        "shards",
        "whether a shard is over, without waiting; cancels one that has not started",
        "split batches on task runners fail, and say so; use callbacks of the future only",
    ),
]


def room_of(path: Path) -> str:
    """A file's room, or `flows`."""
    parts = path.relative_to(ROOT).parts
    return parts[1] if parts[0] == "tasks" and len(parts) > 2 else parts[0]


@cache
def imported(path: Path) -> set[str]:
    """The full name of everything that a file imports from Prefect."""
    found: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("prefect."):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names = (alias.name for alias in node.names)
            found |= {name for name in names if f"{name}.".startswith("prefect.")}
    return found


@cache
def spoken(path: Path) -> set[str]:
    """The names that a file uses: imported, after a dot, or as a text, as `getattr` needs it."""
    found = {name.rpartition(".")[2] for name in imported(path)}
    for node in nodes(path):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found


@cache
def private(path: Path) -> set[str]:
    """The names with an underscore that a file uses and does not define."""
    used, defined = set[str](), set[str]()
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Attribute):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            (defined if own else used).add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            used |= set(re.findall(r"^_+prefect\w*$", node.value))
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("attr"):
            used |= {str(a.value) for a in node.args if isinstance(a, ast.Constant)}
    used = {name for name in used if name.startswith("_")} - PYTHONS - defined
    return used - OTHERS.get(path.relative_to(ROOT).as_posix(), set())


def is_public(name: str) -> bool:
    """Whether Prefect documents a full name."""
    module, _, last = name.rpartition(".")
    return name in PUBLIC or (module in PUBLIC and not last.startswith("_"))


def exists(path: str) -> bool:
    """Whether Prefect has a symbol: of a module, of a class, or that its instances get."""
    parts = path.split(".")
    found: Any = None
    for n, part in enumerate(parts):
        try:
            found = import_module(".".join(parts[: n + 1]))
        except ImportError:
            if hasattr(found, part):
                found = getattr(found, part)
            else:
                return part in getattr(found, "model_fields", {}) or _is_set(found, part)
    return True


def _is_set(found: Any, name: str) -> bool:
    """Whether the instances of a class get an attribute when they are made, or declare it."""
    if not isinstance(found, type):
        return False
    declared = any(name in vars(base).get("__annotations__", {}) for base in found.__mro__)
    return declared or f"self.{name} = " in inspect.getsource(found)


@pytest.mark.parametrize("symbol", SYMBOLS, ids=lambda symbol: symbol.path)
def test_the_symbol_exists(symbol: Symbol) -> None:
    """A version of Prefect without it needs the change that the table names."""
    assert exists(symbol.path), symbol.gone


def test_a_symbol_that_does_not_exist_is_found_out() -> None:
    """The look is not satisfied by any name."""
    assert not exists("prefect.context.FlowRunContext.run_outcomes")
    assert not exists("prefect.events.worker.EventsWorker.kind_of_client")
    assert not exists("prefect.utilities.motor._handler")


@pytest.mark.parametrize("symbol", SYMBOLS, ids=lambda symbol: symbol.path)
def test_the_symbol_is_used_in_its_room_alone(symbol: Symbol) -> None:
    """No row is out of date, and no other room comes to need what only one should."""
    assert symbol.room in ROOMS
    assert symbol.why
    assert symbol.gone
    rooms = {room_of(path) for path in SOURCES if symbol.name in spoken(path)}
    assert rooms == {symbol.room} or (symbol.name in FREE and symbol.room in rooms)


def test_nothing_else_below_the_public_interface_is_used() -> None:
    """A new one needs a row in the table: why, and what to do when it is gone."""
    unlisted: dict[str, set[str]] = {}
    for path in [*SOURCES, *ROOT.glob("deployments/*.py")]:
        listed = {s.path for s in SYMBOLS if s.room == room_of(path)}
        modules = {symbol.rpartition(".")[0] for symbol in listed}
        below = {name for name in imported(path) if not is_public(name)} - listed - modules
        below |= private(path) - {symbol.rpartition(".")[2] for symbol in listed}
        if below:
            unlisted[shown(path)] = below
    assert unlisted == {}


def test_the_line_that_is_left_out_of_the_log_is_still_said() -> None:
    """`runtime.logs` knows the logger and the first words of the line that ends a task run."""
    assert "Finished in state" in inspect.getsource(prefect.task_engine)
    assert "prefect.task_runs" in inspect.getsource(prefect.logging.loggers)
