"""`llm-reports init`: a folder to start from.

Not here: what the files may hold (`tasks.contract`, `tasks.inputs`).
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import textwrap
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from prefect_llm_reports.flows.cli import statuses
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.locations import absolute, checked_location, in_s3
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.text.foreign import printable

STARTER = files("prefect_llm_reports.flows.cli.starter")
SCHEMAS = files("prefect_llm_reports.tasks.templates.schemas")
WRITTEN = {"README.md": "guide.txt", "topics.yaml": "topics.yaml", "branches.yaml": "branches.yaml"}
"""The files as they are written, and what they are called in the package."""
CHECKED_BY = {"options.schema.json": "report-options", "branches.schema.json": "branches-file"}
"""The schemas by which editors check the files, and what they are called in the package."""
HEAD = """\
# yaml-language-server: $schema=options.schema.json
#
# Every option of reports with its default. Take off the number sign to change one.
#
#   llm-reports run --topics-file topics.yaml --options options.yaml
"""


def init(chosen: argparse.Namespace) -> int:
    """Write the files that are not there yet, and return the exit status.

    Args:
        chosen: The parsed command line.

    Raises:
        BadInput: The folder cannot be made or written to.
    """
    location = checked_location(chosen.directory)
    if in_s3(location):
        raise BadInput(f"{location}: the files are for people to edit; give a folder")
    folder = Path(absolute(location))
    made = {
        **{name: (STARTER / packed).read_text("utf-8") for name, packed in WRITTEN.items()},
        "options.yaml": options_file(),
        **{
            name: (SCHEMAS / f"{schema}.schema.json").read_text("utf-8")
            for name, schema in CHECKED_BY.items()
        },
    }
    lines: list[str] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in made.items():
            lines.append(f"{_write(folder / name, text)} {folder / name}")
    except OSError as error:
        raise BadInput(f"{folder}: {error.strerror}; give a folder that you may write to") from None
    go = "" if folder == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    lines.append(f"Next: {go}llm-reports doctor")
    sys.stdout.write(printable("\n".join(lines), keep="\n") + "\n")
    return statuses.COMPLETE


def _write(path: Path, text: str) -> str:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return "kept   "
    return "written"


def options_file() -> str:
    """An options file: what every option of reports does, and its default, commented out."""
    return HEAD + "".join(_options())


def _options() -> Iterator[str]:
    order: dict[str, Any] = ReportOptions.model_json_schema()["properties"]
    for name in sorted(order, key=lambda one: order[one].get("position", len(order))):
        field = ReportOptions.model_fields[name]
        said = textwrap.wrap(field.description or name, 96)
        default = field.get_default(call_default_factory=True)
        written = json.dumps(default, ensure_ascii=False)  # which is YAML, too
        yield "\n" + "".join(f"# {line}\n" for line in (*said, f"{name}: {written}"))
