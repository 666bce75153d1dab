"""Sources in S3, on a real server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.sources.opening import open_library
from prefect_llm_reports.tasks.storage.places import open_place
from tests.harness.s3_server import s3_server

pytestmark = pytest.mark.services

TOPIC = Topic(title="Tidal power")
AT = "s3://sources-bucket/kept"


def test_sources_in_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prefix and an object are read; a missing one and a bucket that refuses are problems."""
    with s3_server(tmp_path / "s3", "moto") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        server.client().create_bucket(Bucket="sources-bucket")
        place = open_place(AT)
        place.write("notes/a.md", b"# Tides\n\nFrom a bucket.")
        place.write("notes/deep/b.txt", b"Deeper.")
        place.write("notes/c.zip", b"x")
        place.write("notes.v2/d.txt", b"A folder with a dot.")
        library = open_library([f"{AT}/notes", f"{AT}/notes/a.md"], [TOPIC], words=8000)
        dotted = open_library([f"{AT}/notes.v2"], [TOPIC], words=8000)
        assert library
        assert dotted
        found = asyncio.run(library.passages(TOPIC))
        assert [(one.id, one.place, one.text) for one in found] == [
            ("s1-1", "Tides", "From a bucket."),
            ("s2-1", "", "Deeper."),
        ]
        assert library.source(TOPIC, "s1").location == f"{AT}/notes/a.md"
        assert "1 of its objects left out" in library.warnings[0]
        assert asyncio.run(dotted.passages(TOPIC))[0].text == "A folder with a dot."
        wrong = (
            f"{AT}/gone.md",
            f"{AT}/nothing",
            f"{AT}/notes/c.zip",
            "s3://no-such-one/x",
            "s3://",
        )
        with pytest.raises(BadInput) as bad:
            open_library(wrong, [TOPIC], words=8000)
    said = "\n".join(bad.value.problems)
    for wanted in (
        f"source {AT}/gone.md: no such object",
        f"source {AT}/nothing: no object to read",
        "the ending '.zip' is not one that is read",
        "source s3://no-such-one/x: listing",
        "names no bucket",
    ):
        assert wanted in said
