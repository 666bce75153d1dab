"""The project as its users get it: built, and installed in environments of their own; no tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.harness import ROOT

OF_TESTS = ("PREFECT_", "LLM_REPORTS_", "OPENAI_", "PYTHONPATH", "VIRTUAL_ENV", "DO_NOT_TRACK")
"""Variables of the test process that a user's machine does not have, by their beginnings."""
UNTRACKED = ("--others", "--exclude-standard")
"""Options of `git ls-files` for files that are neither tracked nor ignored."""
UV = Path(sys.executable).with_name("uv")


def users_environment(**more: str) -> dict[str, str]:
    """The environment of a user's process: this one's without what the tests set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OF_TESTS)}
    return {**kept, **more}


def run(*command: str | Path, cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command to its successful end.

    Args:
        command: Program and arguments.
        cwd: Where it runs.
        environment: Variables beside those of a user's process.

    Returns:
        What it printed.
    """
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=users_environment(**(environment or {})),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]} {done.stderr[-4000:]}"
    return done.stdout


def build(kind: str, source: Path, folder: Path) -> Path:
    """Build a `wheel` or an `sdist` of a source tree, and return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    run(sys.executable, "-m", "build", f"--{kind}", "--outdir", folder, source, cwd=folder)
    [built] = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return built


def checkout(folder: Path) -> Path:
    """A repository with the files of this one as they are on disk, for builds within the tree."""
    names = [name for name in git("ls-files", "-z", *UNTRACKED, "--cached").split("\0") if name]
    for name in names:
        if (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
    git("init", "--quiet", at=folder)
    git("add", "--all", at=folder)
    return folder


def git(*arguments: str, at: Path = ROOT) -> str:
    """Run git in a repository; what it printed."""
    done = subprocess.run(["git", *arguments], cwd=at, capture_output=True, text=True, check=True)
    return done.stdout


@dataclass(frozen=True)
class Installed:
    """A virtual environment that holds the project.

    Attributes:
        folder: The virtual environment.
    """

    folder: Path

    def program(self, name: str) -> Path:
        """A program of the environment."""
        return self.folder / "bin" / name

    @property
    def packages(self) -> Path:
        """Its site-packages."""
        [found] = self.folder.glob("lib/python*/site-packages")
        return found

    def on_path(self) -> dict[str, str]:
        """The variable with which a shell finds the environment's programs first."""
        return {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}


def new_environment(folder: Path) -> Installed:
    """An empty virtual environment of this Python."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    return Installed(folder)


def install(built: Path, folder: Path) -> Installed:
    """Install a wheel or an sdist with its dependencies in a new virtual environment."""
    made = new_environment(folder)
    run(UV, "pip", "install", "--python", made.program("python"), built, cwd=folder.parent)
    return made


def install_beside_ours(folder: Path, *what: str | Path) -> Installed:
    """Install the project alone in a new environment; the rest comes from the tests' environment.

    It takes seconds, not half a minute. Beside our program it has `prefect`. The project itself is
    not found in the tests' environment, because a path file does not read the path files of the
    folder that it names.

    Args:
        folder: The virtual environment that is made.
        what: Arguments of `uv pip install`.
    """
    made = new_environment(folder)
    [ours] = {path for path in map(Path, sys.path) if (path / "prefect").is_dir()}
    (made.packages / "of-the-tests.pth").write_text(f"{ours}\n")
    python, prefect = made.program("python"), made.program("prefect")
    prefect.write_text(f"#!{python}\nimport sys\nfrom prefect.cli import app\nsys.exit(app())\n")
    prefect.chmod(0o755)
    into = ("--no-deps", "--python", python)
    run(UV, "pip", "install", *into, *what, cwd=folder.parent)
    return made
