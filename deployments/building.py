"""How setuptools builds the wheel and the source distribution; pyproject.toml names the commands.

Not here: what the wheel holds. pyproject.toml lists its packages and the kinds of its files.
"""

from __future__ import annotations

import shutil
import subprocess

from setuptools.command.build import build
from setuptools.command.sdist import sdist


class FreshBuild(build):
    """Builds from an empty folder.

    setuptools packs whatever it finds in `build/lib`, also modules that an earlier build left there
    and that the project no longer has.
    """

    def run(self) -> None:
        """Remove what an earlier build left, and build."""
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


class WholeSource(sdist):
    """Packs every file that git tracks, tests and deployments too."""

    def make_distribution(self) -> None:
        """Add the tracked files; without git setuptools' own choice is packed."""
        try:
            listed = subprocess.run(
                ["git", "ls-files", "-z"],  # noqa: S607 - git is where the builder has it
                capture_output=True,
                text=True,
                check=True,
            )
        except (OSError, subprocess.CalledProcessError):
            tracked = []
        else:
            tracked = [name for name in listed.stdout.split("\0") if name]
        self.filelist.files = sorted({*self.filelist.files, *tracked})
        super().make_distribution()
