"""The tables of flows/README.md say what the code does."""

from __future__ import annotations

import inspect
import re
from typing import Any, get_args

import pytest

from prefect_llm_reports.flows import BranchOptions, ReportOptions, branch_batch, report_batch
from prefect_llm_reports.flows.cli.options import FLAGS
from prefect_llm_reports.tasks.contract.choices import PATIENCE_S, Merge
from tests.harness import option_tables
from tests.harness.documents import page
from tests.harness.option_tables import filled, places, tables

README = page("flows/README.md")


def test_the_tables_are_those_of_the_code() -> None:
    """Each option, parameter and argument stands in its table; else make the tables again."""
    assert filled(README.text) == README.text, "run python -m tests.harness.option_tables"


def test_every_table_has_its_place_under_a_heading() -> None:
    """No model, flow or command is left out, and every link to one finds its heading."""
    assert sorted(places(README.text)) == sorted(tables())
    for name in tables():
        assert name.removeprefix("llm-reports ").lower() in README.anchors


def test_a_changed_option_changes_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table follows the model: kinds, bounds, defaults and descriptions."""
    row = "| `length_words` | whole number, 100 to 10000 | `1200` | Length of a report"
    assert row in tables()["ReportOptions"]
    field = ReportOptions.model_fields["length_words"]
    monkeypatch.setattr(field, "default", 999)
    assert row.replace("1200", "999") in option_tables.tables()["ReportOptions"]
    assert filled(README.text) != README.text


def test_every_merge_is_explained() -> None:
    """The table of merges has a row for each, in the order of the code."""
    section = README.text.partition("### Merges")[2].partition("\n### ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.M)) == get_args(Merge)


UNSET = {
    "patience_s": f"{PATIENCE_S:g}",
    "trace": "none",
    "experiment": "Default",
    "house_style": "none",
}
"""What the help says of options that have no value by default."""


@pytest.mark.parametrize(
    ("command", "flow", "options"),
    [("run", report_batch, ReportOptions), ("branches", branch_batch, BranchOptions)],
)
def test_the_defaults_in_the_help_are_those_of_the_flow(
    command: str, flow: Any, options: Any
) -> None:
    """A default that `llm-reports COMMAND --help` names is the one that applies."""
    defaults = {name: field.default for name, field in options.model_fields.items()}
    defaults |= {name: p.default for name, p in inspect.signature(flow.fn).parameters.items()}
    rows = re.findall(r"`--([a-z-]+) .*default: (\S+) \|", tables()[f"llm-reports {command}"])
    assert {"concurrency", "output"} <= {name for name, _ in rows}
    assert dict(rows) == {name: _named(name.replace("-", "_"), defaults) for name, _ in rows}


def _named(flag: str, defaults: dict[str, Any]) -> str:
    """The default of the option that a flag sets, as the help names it."""
    option = FLAGS.get(flag, flag)
    default = defaults[option]
    return UNSET[option] if default in (None, "") else str(default)
