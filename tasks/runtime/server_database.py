"""The database of the embedded Prefect server: whether it can be used, and why the server ended.

The server itself takes many seconds until it finds out. Not here: starting the server.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import unquote

from prefect.settings import get_current_settings

from prefect_llm_reports.tasks.contract.errors import ServerUnreachable
from prefect_llm_reports.tasks.text.foreign import shown

ROOM = 8 * 2**20
"""Bytes that must be free; an empty database takes about 2 MB, and its log as much again."""
LOCK_S = 5.0
"""Seconds to wait for another process that writes to the database."""
OWN_SERVER = "or use another server: `prefect server start` elsewhere, and set PREFECT_API_URL"
CANNOT = "the embedded Prefect server cannot"
CAUSES = {
    ("no space left", "disk is full", "database or disk is full"): (
        "write its database: the disk is full; free space, or set PREFECT_HOME to a folder on"
        " another disk"
    ),
    (
        "readonly database",
        "permission denied",
        "read-only file system",
        "unable to open database",
    ): ("write its database; set PREFECT_HOME to a folder that you can write to"),
    ("not a database", "malformed", "disk i/o error"): (
        "read its database, which is damaged; move it away, or set PREFECT_HOME to another folder"
    ),
    ("can't locate revision",): (
        "read its database, which a newer Prefect made; upgrade Prefect, or set PREFECT_HOME to"
        " another folder"
    ),
    ("database is locked",): (
        "write its database, which another process holds locked; end the other Prefect server, or"
        " set PREFECT_HOME to another folder"
    ),
    (
        "connect call failed",
        "connection refused",
        "could not translate host",
        "gaierror",
        "\ntimeouterror",
    ): ("reach its database; correct PREFECT_SERVER_DATABASE_CONNECTION_URL, or unset it"),
}
"""The cause of a server's end, by the last words that it prints."""


def check_database() -> None:
    """Check a database in a file, as the server will use it.

    Raises:
        ServerUnreachable: It cannot be used.
    """
    file = _file()
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            _check_folder(file.parent)
        else:
            _check_file(file)
    except (OSError, sqlite3.Error) as error:
        raise ServerUnreachable(_problem(file, str(error))) from None


def cause_in(lines: Iterable[str]) -> str:
    """Say why the server ended, from what it printed."""
    said = [line.strip() for line in lines if line.strip()]
    text = "\n".join(said).lower()
    for signs, problem in CAUSES.items():
        if any(sign in text for sign in signs):
            return f"{CANNOT} {problem}; {OWN_SERVER}"
    errors = [line for line in said if "Error" in line.partition(":")[0]]
    last = f" ({shown(errors[-1].partition(':')[0], 80)})" if errors else ""
    return (
        f"the embedded Prefect server ended while it started{last}; run `prefect server start` to"
        " see why, and set PREFECT_API_URL to use that server"
    )


def _file() -> Path | None:
    """The file of the database; None: it is not in a file."""
    settings = get_current_settings()
    url = settings.server.database.connection_url
    if url is None:
        return Path(settings.home) / "prefect.db"
    text = url.get_secret_value() if hasattr(url, "get_secret_value") else str(url)
    scheme, _, path = text.partition(":///")
    path = unquote(path.partition("?")[0])
    if not scheme.startswith("sqlite") or not path or path.startswith((":", "file:")):
        return None
    return Path(path)


def _check_folder(folder: Path) -> None:
    probe = folder / f".llm-reports-{os.getpid()}"
    try:
        probe.write_bytes(b"?")
    finally:
        with suppress(OSError):
            probe.unlink()
    _check_room(folder)


def _check_file(file: Path) -> None:
    with closing(sqlite3.connect(file, timeout=LOCK_S)) as database:
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        database.execute("BEGIN IMMEDIATE")
        database.rollback()
    _check_room(file.parent)


def _check_room(folder: Path) -> None:
    found = os.statvfs(folder)
    if found.f_blocks and found.f_bavail * found.f_frsize < ROOM:
        raise OSError("No space left on device")


def _problem(file: Path, said: str) -> str:
    for signs, problem in CAUSES.items():
        if any(sign in said.lower() for sign in signs):
            return f"{CANNOT} {problem} ({file})"
    return f"{CANNOT} use {file} ({shown(said)}); set PREFECT_HOME to another folder"
