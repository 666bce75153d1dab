"""Topics files at size, and any title."""

from __future__ import annotations

import json
import unicodedata

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_llm_reports.tasks.inputs.topics import gather_topics
from tests.harness.pace import within
from tests.unit.inputs.test_topics import _csv, topics_of

letters = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])
titles = st.lists(
    st.text(letters, min_size=1, max_size=40)
    .map(lambda text: unicodedata.normalize("NFC", text).strip())
    .filter(lambda text: text and text.lower() not in {"title", "topic"}),
    min_size=1,
    max_size=8,
    unique=True,
)


def test_many_topics_are_quick() -> None:
    """Five thousand CSV rows are read and checked in well under two seconds of CPU."""
    rows = "".join(f'"Edge computing, part {n}",for reader {n % 7}\n' for n in range(5_000))
    with within(1.5):
        found, _ = gather_topics(None, ("t.csv", rows.encode()))
    assert len(found) == 5_000


@settings(deadline=None)
@given(titles, st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_written_titles_read_back(written: list[str], encoding: str) -> None:
    """Any titles written by JSON, CSV and YAML writers read back equal."""
    files = {
        "t.json": json.dumps(written),
        "u.json": json.dumps({"topics": [{"title": t} for t in written]}, ensure_ascii=False),
        "t.csv": _csv(written, header=True),
        "t.yaml": yaml.safe_dump(written, default_style='"'),
        "u.yaml": yaml.safe_dump(written, default_style='"', allow_unicode=True),
    }
    for name, text in files.items():
        assert topics_of(name, text.encode(encoding)) == [(t, "") for t in written], name
    if not any(set(title) & set(";|") for title in written):  # else they may read like columns
        text = _csv(written, header=False)
        assert topics_of("u.csv", text.encode(encoding)) == [(t, "") for t in written]
