"""Changes to the whole process that several runs share: made once, undone by the last.

Here: the counting. Not here: the changes; each module of this room declares its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from typing import ParamSpec

P = ParamSpec("P")


def process_wide(
    change: Callable[P, Generator[None]],
) -> Callable[P, AbstractContextManager[None]]:
    """Make a change to the process once, however many need it, and undo it after the last.

    Runs that overlap may end in any order and in any thread. An exception in one of them is
    raised there; `change` never sees it.

    Args:
        change: Makes the change, yields once, and undoes the change. Calls with equal arguments
            share one change.

    Returns:
        A function that gives a context manager: within it the change is in force.
    """
    make = contextmanager(change)
    lock = threading.RLock()
    made: dict[object, AbstractContextManager[None]] = {}
    users: dict[object, int] = {}

    @contextmanager
    @wraps(change)
    def in_force(*args: P.args, **kwargs: P.kwargs) -> Generator[None]:
        key = (args, tuple(sorted(kwargs.items())))
        with lock:
            if key not in made:
                entered = make(*args, **kwargs)
                entered.__enter__()
                made[key] = entered
            users[key] = users.get(key, 0) + 1
        try:
            yield
        finally:
            with lock:
                users[key] -= 1
                if not users[key]:
                    del users[key]
                    made.pop(key).__exit__(None, None, None)

    return in_force
