"""Reads a Dockerfile into its stages, so that tests run what is written there."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    """What one stage of an image does.

    Attributes:
        steps: Instructions in order, each with its text.
    """

    steps: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def _texts(self, instruction: str) -> list[str]:
        return [text for name, text in self.steps if name == instruction]

    @property
    def runs(self) -> list[str]:
        """The shell commands."""
        return self._texts("RUN")

    @property
    def environment(self) -> dict[str, str]:
        """The variables that are set."""
        pairs = [pair for text in self._texts("ENV") for pair in shlex.split(text)]
        return dict(pair.split("=", 1) for pair in pairs)

    @property
    def user(self) -> str:
        """Who the processes run as."""
        return self._texts("USER")[-1]

    @property
    def volumes(self) -> list[str]:
        """Folders that outlive a container."""
        return [path for text in self._texts("VOLUME") for path in json.loads(text)]

    @property
    def copied_from_context(self) -> list[str]:
        """Files and folders of the build's context."""
        return [
            source
            for text in self._texts("COPY")
            if not text.startswith("--from")
            for source in text.split()[:-1]
        ]


def stages(path: Path) -> list[Stage]:
    """The stages of a Dockerfile, in order; arguments before the first belong to none."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE)
    text = re.sub(r"\\\n\s*", "", text)
    found: list[Stage] = []
    for line in filter(None, text.splitlines()):
        instruction, rest = line.split(" ", 1)
        if instruction == "FROM":
            found.append(Stage())
        elif found:
            found[-1].steps.append((instruction, rest.strip()))
    return found
