"""The pull step of the deployments: the directory that a run on a worker works in.

The flows come from the installed package, wherever that is; what a run needs beyond them is a place
to find files named without a path from the root, and to leave reports in.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

HOME = "LLM_REPORTS_HOME"


def enter() -> dict[str, str]:
    """Go to the worker's LLM_REPORTS_HOME, or else to where the worker was started.

    Returns:
        The directory, as Prefect expects it of a pull step.

    Raises:
        RuntimeError: There is no such directory, or only one that is removed after the run.
    """
    given = os.environ.get(HOME)
    directory = Path(given or os.environ.get("PWD") or Path.cwd()).expanduser()
    if given and not (directory.is_absolute() and directory.is_dir()):
        raise RuntimeError(f"{HOME} is {given!r}; give the full path of a directory that exists")
    if not directory.is_dir() or _is_removed_after(directory):
        raise RuntimeError(
            f"where the worker was started is not known, and {directory} will not outlive the run;"
            f" set {HOME} in the worker's environment to the directory that reports go to"
        )
    os.chdir(directory)
    return {"directory": str(directory)}


def _is_removed_after(directory: Path) -> bool:
    """Whether this is the temporary directory that a process worker makes for a run."""
    made = directory.resolve()
    return made.parent == Path(tempfile.gettempdir()).resolve() and made.name.endswith("prefect")
