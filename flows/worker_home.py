"""The pull step of the deployments: it chooses the directory in which a worker's run works.

Relative paths of files and outputs begin there. Not here: the flows; they come from the installed
package.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

HOME = "LLM_REPORTS_HOME"


def enter() -> dict[str, str]:
    """Change to the worker's LLM_REPORTS_HOME, or else to the directory in which it was started.

    Returns:
        The directory, in the form that Prefect expects of a pull step.

    Raises:
        RuntimeError: The directory does not exist, or it is removed after the run.
    """
    given = os.environ.get(HOME)
    directory = Path(given or os.environ.get("PWD") or Path.cwd()).expanduser()
    if given and not (directory.is_absolute() and directory.is_dir()):
        raise RuntimeError(f"{HOME} is {given!r}; give the full path of a directory that exists")
    if not directory.is_dir() or _is_removed_after(directory):
        raise RuntimeError(
            f"the directory in which the worker was started is unknown, and {directory} is removed"
            f" after the run; set {HOME} in the worker's environment to a directory for reports"
        )
    os.chdir(directory)
    return {"directory": str(directory)}


def _is_removed_after(directory: Path) -> bool:
    """Whether a directory is the temporary one that a process worker makes for a run."""
    made = directory.resolve()
    return made.parent == Path(tempfile.gettempdir()).resolve() and made.name.endswith("prefect")
