"""The process of the embedded Prefect server: `python -m …server_process PORT`.

It ends when the process that started it is gone, however that ended: its standard input is a pipe
that only that process holds open. Not here: starting this process, see `runtime.server`.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

LAST_WORDS_S = 5
"""Seconds in which the server may end by itself after the process that started it is gone."""


def end_with_parent() -> None:
    """Wait until standard input is closed, then end this process."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(LAST_WORDS_S)
    os._exit(1)


def main(port: str) -> None:
    """Serve Prefect's API on a port of this machine."""
    threading.Thread(target=end_with_parent, name="ends with its parent", daemon=True).start()
    sys.argv = [
        *("uvicorn", "--factory", "prefect.server.api.server:create_app"),
        *("--host", "127.0.0.1", "--port", port, "--log-level", "error", "--lifespan", "on"),
    ]
    runpy.run_module("uvicorn", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1])
