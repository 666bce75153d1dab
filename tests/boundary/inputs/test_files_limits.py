"""What is no file, or too large to be one, is refused before it is read."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.inputs import files
from prefect_llm_reports.tasks.inputs.files import FORMATS, read_file
from tests.harness import ROOT


def refused(name: Path | str) -> str:
    with pytest.raises(BadInput) as bad:
        read_file(str(name), "topics")
    (problem,) = bad.value.problems
    return problem


def test_a_file_of_three_gigabytes_takes_no_memory(tmp_path: Path) -> None:
    """A process that may have 1.5 GB of memory refuses a file of 3 GB by its size."""
    huge = tmp_path / "huge.txt"
    with huge.open("wb") as file:
        file.truncate(3_000_000_000)
    code = (
        "import sys; from prefect_llm_reports.tasks.inputs.files import read_file\n"
        "try: read_file(sys.argv[1], 'topics')\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(huge)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000,) * 2),
    )
    assert "the file has 3,000,000,000 bytes, a .txt file may have 50 MB" in done.stdout, done


def test_a_pipe_without_a_writer_does_not_hang(tmp_path: Path) -> None:
    """A FIFO is refused at once; opening it for reading would wait for a writer."""
    os.mkfifo(tmp_path / "pipe.txt")
    assert "a pipe or device, not a file; save it as a file" in refused(tmp_path / "pipe.txt")


def test_a_device_is_not_read(tmp_path: Path) -> None:
    """A device, also behind a link, has no end and is refused."""
    (tmp_path / "zero.txt").symlink_to("/dev/zero")
    assert "a pipe or device, not a file" in refused(tmp_path / "zero.txt")


def test_a_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    """What cannot be opened is said in the system's words."""
    (tmp_path / "folder.txt").mkdir()
    assert refused(tmp_path / "folder.txt").startswith(f"topics file {tmp_path}/folder.txt: Is a ")
    assert "No such file or directory; give the path of" in refused(tmp_path / "none.txt")
    assert "unknown ending '.doc'" in refused(tmp_path / "none.doc")


@pytest.mark.parametrize("ending", FORMATS)
def test_each_format_has_its_limit(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of exactly its format's size is read, one byte more is not."""
    monkeypatch.setattr(files, "MEGABYTE", 10)
    most = FORMATS[ending].megabytes * 10
    file = tmp_path / f"f{ending}"
    file.write_bytes(b"x" * most)
    assert read_file(str(file), "topics") == (str(file), b"x" * most)
    file.write_bytes(b"x" * (most + 1))
    assert f"the file has {most + 1:,} bytes, a {ending} file may have" in refused(file)


def test_a_name_that_begins_like_s3_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`s3-topics.txt` and a file in the folder `s3store` are local."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3store").mkdir()
    for name in ("s3-topics.txt", "s3store/topics.txt"):
        (tmp_path / name).write_text("Rust")
        assert read_file(name, "topics") == (name, b"Rust")
