"""`llm-reports draw`: a program of branches, or the report flow, as SVG.

Not here: how it is drawn (`tasks.branches.drawing`, `tasks.reports.drawing`).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from prefect_llm_reports.tasks.branches.drawing import draw_program
from prefect_llm_reports.tasks.branches.programs import check_program
from prefect_llm_reports.tasks.contract.choices import DEFAULT_MODEL
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.locations import absolute
from prefect_llm_reports.tasks.inputs.branches_file import read_branches_file
from prefect_llm_reports.tasks.inputs.requests import Collected
from prefect_llm_reports.tasks.reports.drawing import draw_reports
from prefect_llm_reports.tasks.text.foreign import printable


def draw(chosen: argparse.Namespace) -> int:
    """Write the picture to a file or standard output, and return the exit status.

    Args:
        chosen: The parsed command line.

    Raises:
        BadInput: The program cannot be read, or the file cannot be written.
    """
    if chosen.what == "report-batch":
        if chosen.branches_file or chosen.merge:
            raise BadInput("--branches-file and --merge are for parallel-branches; leave them out")
        picture = draw_reports()
    else:
        checked = Collected()
        file = read_branches_file(chosen.branches_file, checked.problems)
        merge, model = chosen.merge or file.merge, file.model or DEFAULT_MODEL
        program = checked(lambda: check_program(file.branches, merge, model, file.options))
        checked.refuse()
        picture = draw_program(program) if program else ""
    if chosen.output:
        try:
            Path(absolute(chosen.output)).write_text(picture, encoding="utf-8")
        except OSError as error:
            raise BadInput(f"{chosen.output}: {error.strerror}; give a writable file") from None
        sys.stderr.write(printable(f"written {chosen.output}") + "\n")
        return 0
    sys.stdout.write(picture)
    if sys.stdout.isatty():
        sys.stderr.write("This is the picture as SVG; -o FILE.svg writes it to a file.\n")
    return 0
