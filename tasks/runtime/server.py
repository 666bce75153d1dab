"""The embedded Prefect server: a process of its own that ends with this one.

Here: starting it, in a session of its own so that signals of the terminal do not reach it, and why
it cannot start. Not here: which server a run uses (`flows.cli.server`), what the process runs
(`server_process`), whether its database can be used (`server_database`).
"""

from __future__ import annotations

import atexit
import http.client
import logging
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import IO

from prefect.settings import get_current_settings

from prefect_llm_reports.tasks.contract.errors import ServerUnreachable
from prefect_llm_reports.tasks.runtime import server_process
from prefect_llm_reports.tasks.runtime.server_database import cause_in, check_database

logger = logging.getLogger(__name__)

LOOK_S = 0.1
"""Seconds between two looks whether the server answers."""
ANSWER_S = 10.0
"""Seconds that one answer of a server that starts may take."""
LAST_LINES = 400
"""Lines of the server's output that are kept, to find out why it ended."""
LAST_WORDS_S = 2.0
"""Seconds to wait for the last lines of a server that has ended."""
TRIES = 3
"""Ports that are tried, should another program take one first."""
TAKEN = "address already in use"

_running: list[subprocess.Popen[bytes]] = []


def start_embedded_server() -> None:
    """Start the embedded server of this process, unless it runs already.

    Where Prefect has no such function any more, Prefect starts the server itself when it first
    needs it; that takes as long, with nothing shown.

    Raises:
        ServerUnreachable: The server cannot start; the message says why, and what to do.
    """
    if not _running:
        check_database()
    try:
        # Importing it takes seconds.
        from prefect.server.api.server import SubprocessASGIServer

        server = SubprocessASGIServer()
        if server.running:
            return
        stop = server.stop
    except (ImportError, AttributeError) as error:
        logger.warning("Prefect starts its embedded server later, by itself (%s)", error)
        return
    process, port = _started()
    server.port, server.server_process, server.running = port, process, True
    atexit.register(stop)


def kill_embedded_server() -> None:
    """End the embedded server at once, without waiting for it."""
    for process in _running:
        with suppress(OSError):
            process.kill()


def _started() -> tuple[subprocess.Popen[bytes], int]:
    """Start the server, and wait until it answers; gives its process and port."""
    lines: deque[str] = deque(maxlen=LAST_LINES)
    for _ in range(TRIES):
        port = free_port()
        lines.clear()
        process, reader = _process(port, lines)
        _running.append(process)
        try:
            if _answers_in_time(process, port):
                return process, port
        except BaseException:
            process.kill()
            raise
        reader.join(LAST_WORDS_S)
        if TAKEN not in "".join(lines).lower():
            break
    raise ServerUnreachable(cause_in(lines))


def free_port() -> int:
    """A port that nobody listens on, and that no other program gets before a server takes it.

    The system gives programs that do not mind ports from 32768 on, and a server starts for seconds
    before it takes its own.
    """
    chance = random.SystemRandom()
    while True:
        port = chance.randrange(10_000, 30_000)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def _process(port: int, lines: deque[str]) -> tuple[subprocess.Popen[bytes], threading.Thread]:
    """Start the server's process, and a thread that keeps what it prints in `lines`."""
    settings = get_current_settings().to_environment_variables(exclude_unset=True)
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", server_process.__name__, str(port)],
        env={
            **os.environ,
            "PREFECT_UI_ENABLED": "0",
            "PREFECT__SERVER_EPHEMERAL": "1",
            "PREFECT__SERVER_FINAL": "1",
            **settings,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    reader = threading.Thread(
        target=_keep_lines, args=(process.stdout, lines), name="server's output", daemon=True
    )
    reader.start()
    return process, reader


def _keep_lines(output: IO[bytes], lines: deque[str]) -> None:
    with suppress(ValueError, OSError):
        for line in output:
            lines.append(line.decode(errors="replace"))


def _answers_in_time(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the server is healthy; False: it has ended."""
    patience = get_current_settings().server.ephemeral.startup_timeout_seconds
    until = time.monotonic() + patience
    while process.poll() is None:
        if _healthy(port):
            return True
        if time.monotonic() > until:
            process.kill()
            raise ServerUnreachable(
                f"the embedded Prefect server did not answer within {patience:g} s; run"
                " `prefect server start` and set PREFECT_API_URL, or raise"
                " PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"
            )
        time.sleep(LOOK_S)
    return False


def _healthy(port: int) -> bool:
    """Whether the server answers, asked without any proxy."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_S)
    try:
        connection.request("GET", "/api/health")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
