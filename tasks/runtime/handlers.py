"""Whose a handler of a signal is: Prefect's, the command line's, the program's, the event loop's.

Not here: which handlers are installed, and when (`signals`).
"""

from __future__ import annotations

import signal
from typing import Any


def is_prefects(handler: Any) -> bool:
    """Whether a handler is Prefect's.

    Args:
        handler: As `signal.getsignal` gives it.
    """
    return _module(handler) == "prefect"


def is_own(handler: Any) -> bool:
    """Whether a handler is the command line's.

    Args:
        handler: As `signal.getsignal` gives it.
    """
    return _module(handler) == "prefect_llm_reports"


def is_the_programs(handler: Any) -> bool:
    """Whether a handler belongs to the program that contains the run.

    Args:
        handler: As `signal.getsignal` gives it.
    """
    if not callable(handler) or handler is signal.default_int_handler:
        return False
    return _module(handler) not in ("prefect", "prefect_llm_reports", "asyncio", "signal")


def is_the_loops(handler: Any) -> bool:
    """Whether the program gave its handler to the event loop, which calls it by itself.

    Args:
        handler: As `signal.getsignal` gives it.
    """
    return getattr(handler, "__name__", "") == "_sighandler_noop"


def _module(handler: Any) -> str:
    function = getattr(handler, "func", handler)  # of `functools.partial`
    return str(getattr(function, "__module__", "")).partition(".")[0]
