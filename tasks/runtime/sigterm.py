"""The handler of SIGTERM that a program had before Prefect put its own in its place.

Prefect remembers it in a running function only, and tells nobody. Not here: who gets a signal, see
`runtime.signals`.
"""

from __future__ import annotations

import gc
import inspect
from types import GeneratorType
from typing import Any, cast

from prefect.utilities import engine

CAPTURE = "capture_sigterm"
"""Prefect's name for the function that takes over SIGTERM while a flow runs."""
REMEMBERED = "original_term_handler"
"""The function's name for the handler that it found."""


def handler_before_prefects() -> Any:
    """The handler that the outermost flow of this process replaced; None: it is not found.

    A run inside a web server or another program hands signals on to that handler.
    """
    capture = getattr(engine, CAPTURE, None)
    code = getattr(inspect.unwrap(capture), "__code__", None) if callable(capture) else None
    if code is None:
        return None
    for found in gc.get_objects():
        if type(found) is GeneratorType:
            running = cast("GeneratorType[Any, Any, Any]", found)
            if running.gi_code is code and running.gi_frame is not None:
                before = running.gi_frame.f_locals.get(REMEMBERED)
                if before is not None and not _is_prefects(before):
                    return before
    return None


def _is_prefects(handler: object) -> bool:
    return str(getattr(handler, "__module__", "")).partition(".")[0] == "prefect"
