"""The folder to start from: its files are valid as they are, and nobody's files are replaced."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from prefect_llm_reports.flows.cli.init import options_file
from prefect_llm_reports.flows.cli.main import main
from prefect_llm_reports.tasks.branches.programs import check_program
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.inputs.branches_file import read_branches_file
from prefect_llm_reports.tasks.inputs.topics import gather_topics


def test_the_files_are_valid_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Topics, branches and options are read without a problem, and the schemas take them."""
    folder = tmp_path / "new" / "reports"
    assert main(["init", str(folder)]) == 0
    assert f"cd {folder}" in capsys.readouterr().out
    topics, warnings = gather_topics(None, ("topics.yaml", (folder / "topics.yaml").read_bytes()))
    assert (len(topics), warnings) == (3, [])
    problems: list[str] = []
    file = read_branches_file(str(folder / "branches.yaml"), problems)
    assert problems == []
    check_program(file.branches, file.merge, "offline", file.options)
    branches = yaml.safe_load((folder / "branches.yaml").read_text())
    jsonschema.validate(branches, json.loads((folder / "branches.schema.json").read_text()))
    assert len((folder / "README.md").read_text().splitlines()) <= 10


def test_the_options_are_all_there_at_their_defaults(tmp_path: Path) -> None:
    """Without their number signs they are the defaults, and the schema takes them."""
    assert main(["init", str(tmp_path)]) == 0
    lines = options_file().splitlines()
    names = ReportOptions.model_fields
    said = [line for line in lines if line[2:].partition(":")[0] in names]
    assert len(said) == len(names)
    options = yaml.safe_load("\n".join(line[2:] for line in said))
    assert ReportOptions.model_validate(options) == ReportOptions()
    schema = json.loads((tmp_path / "options.schema.json").read_text())
    jsonschema.validate({"length_words": 300, "critics": []}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"lenght_words": 300}, schema)


def test_files_that_exist_stay_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also a link that leads nowhere; the others are written."""
    (tmp_path / "topics.yaml").write_text("- mine\n")
    (tmp_path / "options.yaml").symlink_to(tmp_path / "elsewhere" / "options.yaml")
    assert main(["init", str(tmp_path)]) == 0
    assert (tmp_path / "topics.yaml").read_text() == "- mine\n"
    said = capsys.readouterr().out
    assert f"kept    {tmp_path}/topics.yaml" in said
    assert f"kept    {tmp_path}/options.yaml" in said
    assert f"written {tmp_path}/README.md" in said


@pytest.mark.parametrize("where", ["s3://bucket/x", "gs://bucket", "file/inside"])
def test_a_place_that_cannot_be_the_folder_is_refused(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With status 2, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    assert main(["init", where]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
