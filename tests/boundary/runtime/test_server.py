"""The embedded server: where Prefect lacks a function, and where its database cannot be used."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import Any

import pytest
from prefect.server.api import server as prefects
from prefect.settings import (
    PREFECT_HOME,
    PREFECT_SERVER_DATABASE_CONNECTION_URL,
    temporary_settings,
)

from prefect_llm_reports.tasks.contract.errors import ServerUnreachable
from prefect_llm_reports.tasks.runtime import server, server_database
from prefect_llm_reports.tasks.runtime.server import start_embedded_server
from prefect_llm_reports.tasks.runtime.server_database import cause_in


def test_a_command_goes_on_and_prefect_starts_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect does so by itself when it first needs it; the log says that."""
    monkeypatch.delattr(prefects, "SubprocessASGIServer")
    logger, log = logging.getLogger(server.__name__), BufferingHandler(10)
    logger.addHandler(log)
    try:
        start_embedded_server()
    finally:
        logger.removeHandler(log)
    [line] = log.buffer
    assert "Prefect starts its embedded server later" in line.getMessage()


def at_home(home: Path) -> AbstractContextManager[Any]:
    """Prefect's settings with this home, whatever other tests of the session have set."""
    url = {PREFECT_SERVER_DATABASE_CONNECTION_URL}
    return temporary_settings({PREFECT_HOME: home}, restore_defaults=url)


def no_folder(home: Path) -> None:
    home.write_text("a file")


def damaged(home: Path) -> None:
    home.mkdir()
    (home / "prefect.db").write_bytes(b"no database, " * 100)


def a_folder(home: Path) -> None:
    (home / "prefect.db").mkdir(parents=True)


def full(home: Path) -> None:
    home.mkdir()


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (no_folder, "set PREFECT_HOME to another folder"),
        (damaged, "read its database, which is damaged"),
        (a_folder, "set PREFECT_HOME to a folder that you can write to"),
        (full, "the disk is full"),
    ],
)
def test_a_database_that_cannot_be_used_is_found_out_before_the_server_starts(
    made: Callable[[Path], None], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a sentence with the file and what to do; the server itself would take many seconds."""
    home = tmp_path / "home"
    made(home)
    if made is full:
        monkeypatch.setattr(server_database, "ROOM", 2**80)
    with at_home(home), pytest.raises(ServerUnreachable) as found:
        start_embedded_server()
    [problem] = found.value.problems
    assert said in problem
    assert str(home) in problem


def test_a_database_that_another_process_holds_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that does not end would hold the server up for minutes."""
    monkeypatch.setattr(server_database, "LOCK_S", 0)
    other = sqlite3.connect(tmp_path / "prefect.db", isolation_level=None)
    try:
        other.execute("BEGIN EXCLUSIVE")
        with (
            at_home(tmp_path),
            pytest.raises(ServerUnreachable, match="another process holds locked"),
        ):
            start_embedded_server()
    finally:
        other.close()


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ("OSError: [Errno 28] No space left on device: '/x'", "the disk is full"),
        ("sqlalchemy.exc.OperationalError: attempt to write a readonly database", "write to"),
        ("OSError: [Errno 111] Connect call failed ('10.0.0.1', 5432)", "CONNECTION_URL"),
        ("TimeoutError", "CONNECTION_URL"),
        ("alembic.util.exc.CommandError: Can't locate revision identified by 'ab'", "newer"),
        ("ValueError: postgresql://user:geheim@host is odd", "prefect server start"),
    ],
)
def test_why_a_server_ended_is_read_from_its_last_words(last: str, said: str) -> None:
    """Without what may be a secret."""
    problem = cause_in(["Traceback (most recent call last):\n", f"{last}\n", "Exiting.\n"])
    assert said in problem
    assert "geheim" not in problem
