"""The pull step of the deployments: it chooses the directory in which a worker's run works.

Relative paths of files and outputs begin there. Not here: the flows; they come from the installed
package.
"""

from __future__ import annotations

import os
import tempfile
from importlib.resources import files
from pathlib import Path

HOME = "LLM_REPORTS_HOME"
EXAMPLES = "deployments/topics/"
"""Where the shipped topics are, in the project."""


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


def topics_path(topics_file: str | None) -> str | None:
    """The path of a topics file: as given, or the shipped example that it names.

    Args:
        topics_file: As given. A relative path begins in the directory of the run; where it leads
            to nothing and names an example of `deployments/topics`, the installed copy is used.
    """
    if not topics_file or not topics_file.startswith(EXAMPLES) or Path(topics_file).exists():
        return topics_file
    shipped = Path(str(files("prefect_llm_reports.flows.deployments"))) / topics_file.removeprefix(
        "deployments/"
    )
    return str(shipped) if shipped.is_file() else topics_file


def _is_removed_after(directory: Path) -> bool:
    """Whether a directory is the temporary one that a process worker makes for a run."""
    made = directory.resolve()
    return made.parent == Path(tempfile.gettempdir()).resolve() and made.name.endswith("prefect")
