"""Sources of a run: found below their roots, read in processes of their own, every problem told."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from prefect_llm_reports.tasks.contract.errors import BadInput, NothingToQuote
from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.sources import finding, opening, readers
from prefect_llm_reports.tasks.sources.library import Library
from prefect_llm_reports.tasks.sources.opening import open_library
from tests.harness.source_files import pdf, shown, word, workbook

TOPIC = Topic(title="Tidal power")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, which is where sources may lie."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def opened(*names: str, topics: Any = (TOPIC,), words: int = 8000, roots: str = "") -> Library:
    found = open_library(names, topics, words=words, roots=roots)
    assert found is not None
    return found


def refused(*names: str, **more: Any) -> str:
    with pytest.raises(BadInput) as bad:
        opened(*names, **more)
    return "\n".join(bad.value.problems)


def passages(library: Library, topic: Topic = TOPIC, *extra: str) -> list[tuple[str, str, str]]:
    found = asyncio.run(library.passages(topic, extra))
    for one in found:
        assert one.sha256 == hashlib.sha256(one.text.encode()).hexdigest()
        assert library.source(topic, one.source).id == one.source
    return [(one.id, one.place, one.text) for one in found]


def test_all_kinds_of_files_with_their_places(root: Path) -> None:
    """Files are read in the order of their names, with places; a warning names other kinds."""
    sub = root / "notes" / "deep"
    sub.mkdir(parents=True)
    (root / "notes/a.md").write_text("# Tides\n\nMarkdown.")
    (root / "notes/b.txt").write_text("Text.")
    (root / "notes/c.html").write_text("<h1>Page</h1><p>HTML.<p hidden>no")
    (root / "notes/d.csv").write_text("region,sales\nNorth,12\n")
    (sub / "e.pdf").write_bytes(pdf([shown("Paper.")], labels="0 << /S /r >>"))
    (sub / "f.docx").write_bytes(word(lambda document: document.add_paragraph("Word.")))
    (sub / "g.xlsx").write_bytes(workbook({"S": [["Excel."]]}))
    (root / "notes/h.zip").write_bytes(b"x")
    (root / "notes/.hidden.md").write_text("no")
    (root / "notes/~$f.docx").write_text("no")
    (root / "notes/again.md").symlink_to(root / "notes/a.md")
    (sub / "back").symlink_to(root / "notes")
    os.mkfifo(root / "notes/pipe.md")
    library = opened("notes", "notes/a.md", str(root / "notes/deep"))
    assert passages(library) == [
        ("s1-1", "Tides", "Markdown."),
        ("s2-1", "", "Text."),
        ("s3-1", "Page", "HTML."),
        ("s4-1", "row 2, columns A to B", "region: North; sales: 12"),
        ("s5-1", "page i", "Paper."),
        ("s6-1", "", "Word."),
        ("s7-1", "sheet S, row 1, column A", "Excel."),
    ]
    about = library.source(TOPIC, "s5")
    assert (about.name, about.location, about.kind) == ("e.pdf", "notes/deep/e.pdf", "pdf")
    assert library.source(TOPIC, "s3").skipped[0].startswith("1 word left out")
    assert [said.partition(":")[0] for said in library.warnings] == [
        "source notes",
        f"source {root}/notes/deep",
        "source notes/c.html",
    ]
    assert "h.zip, pipe.md" in library.warnings[0]
    with pytest.raises(KeyError):
        library.source(TOPIC, "s8")
    assert opened("notes", "notes/a.md", str(root / "notes/deep")) is library, "it is read once"
    (root / "notes/b.txt").write_text("Text, and more.")
    assert opened("notes", "notes/a.md", str(root / "notes/deep")) is not library


def test_a_long_cell_is_read_and_changes_no_limit_of_ours(root: Path) -> None:
    """The `csv` module has one limit for all of a process; only the reader's own is raised."""
    (root / "long.csv").write_text(f"note\n{'tide ' * 40_000}\n")
    before = csv.field_size_limit()
    assert (
        sum(text.count("tide") for *_, text in passages(opened("long.csv", words=50_000))) == 40_000
    )
    assert csv.field_size_limit() == before


def test_every_problem_is_told_at_once(root: Path, tmp_path: Path) -> None:
    """No bad source hides another; each message has the name, the problem and what to do."""
    outside = tmp_path / "outside"
    (outside / "in").mkdir(parents=True)
    (outside / "secret.md").write_text("secret")
    (root / "link.md").symlink_to(outside / "secret.md")
    (root / "folder").mkdir()
    (root / "folder/led").symlink_to(outside)
    (root / "folder/ok.md").write_text("fine")
    (root / "empty").mkdir()
    (root / "empty/x.zip").write_bytes(b"x")
    (root / "bad.txt").write_bytes(b"caf\xe9")
    (root / "bad.pdf").write_bytes(b"%PDF-1.4 nothing")
    (root / "scan.pdf").write_bytes(pdf(["q Q "]))
    (root / "locked.docx").write_bytes(b"\xd0\xcf\x11\xe0" + "EncryptedPackage".encode("utf-16-le"))
    (root / "a.zip").write_bytes(b"x")
    (root / "nothing").write_text("x")
    (root / "blank.md").write_text("\n\n")
    (root / "unreadable.md").write_text("x")
    os.mkfifo(root / "pipe.md")
    with (root / "big.txt").open("wb") as file:
        file.truncate(50_000_001)
    said = refused(
        *("../outside/secret.md", str(outside / "secret.md"), "link.md", "folder", "missing.md"),
        *("empty", "bad.txt", "bad.pdf", "scan.pdf", "locked.docx", "a.zip", "nothing", "blank.md"),
        *("pipe.md", "big.txt", "gs://bucket/x", "~nobody-here/x.md", "a\0b.md", "/dev/null"),
        topics=[Topic(title="T", sources=("also-missing.md",))],
    )
    for name, wanted in {
        "../outside/secret.md": "outside of the folders that sources may come from",
        str(outside / "secret.md"): "add its folder to LLM_REPORTS_SOURCES",
        "link.md": "outside of the folders",
        "folder/led": "outside of the folders",
        "missing.md": f"not there in {root}, the working directory; give the path",
        "also-missing.md": "not there",
        "empty": "nothing readable in the folder",
        "bad.txt": "byte 4 (0xe9) is not UTF-8",
        "bad.pdf": "damaged",
        "scan.pdf": "no text layer; run OCR first",
        "locked.docx": "encrypted; save it without a password",
        "a.zip": "the ending '.zip' is not one that is read, wanted one of .md",
        "nothing": "it has no ending",
        "blank.md": "no text in it",
        "pipe.md": "a pipe or device, not a file",
        "big.txt": "50,000,001 bytes, a file may have 50 MB",
        "gs://bucket/x": "an address of a kind that is not supported",
        "~nobody-here/x.md": "no such home folder",
        "a\0b.md": "a character that no path can have",
        "/dev/null": "outside of the folders",
    }.items():
        lines = [line for line in said.splitlines() if line.startswith(f"source {name}: ")]
        assert len(lines) == 1, name
        assert wanted in lines[0]
    assert len(said.splitlines()) == 20
    assert "secret" not in said.replace("secret.md", "")


def test_bounds_on_all_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many files, or too large ones together, are refused before any of them is read."""
    monkeypatch.setattr(finding, "RUN_FILES", 3)
    monkeypatch.setattr(opening, "Reader", None)
    for number in range(4):
        (root / f"{number}.md").write_text("x")
    assert "source .: 4 files, a run may have 3" in refused(".")
    assert "sources: 4 files, a run may have 3" in refused(*(f"{n}.md" for n in range(4)))
    monkeypatch.setattr(finding, "RUN_MB", 0.000003)
    monkeypatch.setattr(finding, "RUN_FILES", 9)
    assert "sources: 4 bytes, a run may have 3e-06 MB" in refused(".")


def test_roots_are_the_only_way_in(root: Path, tmp_path: Path) -> None:
    """Roots of the setting replace the working directory; names are looked for below them."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    (second / "a.md").write_text("Found.")
    (root / "b.md").write_text("Not here.")
    both = f"{first}{os.pathsep}{second}"
    assert passages(opened("a.md", roots=both)) == [("s1-1", "", "Found.")]
    assert opened("a.md", roots=both).source(TOPIC, "s1").location == "a.md"
    assert "outside of the folders" in refused("b.md", roots=both)
    said = refused("a.md", roots=f"{first}{os.pathsep}{tmp_path / 'gone'}")
    assert said.startswith(f"LLM_REPORTS_SOURCES: {tmp_path / 'gone'} is not there; name folders")
    (second / "up.md").symlink_to(Path("..") / "work" / "b.md")
    assert "outside of the folders" in refused("up.md", roots=both)
    (tmp_path / "by-link").symlink_to(second)
    assert passages(opened("a.md", roots=str(tmp_path / "by-link")))


def test_a_file_that_kills_its_reader_costs_only_itself(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time and memory are bounded; the files before and after are read by the next process."""
    for number in range(1, 4):
        (root / f"{number}.txt").write_text(f"Text {number}.")
    (root / "2.txt").write_text("x " * 4_000_000)
    reader = readers.Reader(seconds=30, memory_mb=180)
    skipped: list[str] = []
    for name in ("1.txt", "3.txt"):
        assert [c.text for c in reader.read(name, (root / name).read_bytes(), skipped)]
        with pytest.raises(readers.Unreadable, match="too much memory"):
            list(reader.read("2.txt", (root / "2.txt").read_bytes() * 6, skipped))
    reader.close()
    slow = readers.Reader(seconds=0)
    with pytest.raises(readers.Unreadable, match="takes more than 0 s to read"):
        list(slow.read("1.txt", b"x", skipped))
    slow._seconds = 30
    assert [c.text for c in slow.read("1.txt", b"x", skipped)] == ["x"]
    child = slow._child
    assert child is not None
    assert "OPENAI_API_KEY" not in Path(f"/proc/{child.pid}/environ").read_text()
    child.kill()
    child.wait()
    assert [c.text for c in slow.read("1.txt", b"y", skipped)] == ["y"]
    slow.close()


LINES = ["turbine blades and their steel", "harbour fees of the town", "salmon and other fish"]


def filler(number: int) -> str:
    return " ".join(f"word{number}x{n}" for n in range(140)) + "."


def test_a_topic_gets_the_passages_that_fit_it(root: Path) -> None:
    """Where not all fit, title, guidance and sections find theirs; ids follow what is shown."""
    parts = [
        f"# Part {n}\n\n{filler(n)} {LINES[n // 10] if n % 10 == 3 else ''}" for n in range(30)
    ]
    (root / "long.md").write_text("\n\n".join(parts))
    (root / "own.md").write_text("# Own\n\nA note on turbine blades.")
    fish = Topic(title="What of the salmon?")
    both = Topic(title="Harbour fees", guidance="Say which steel blades have.", sources=("own.md",))
    none = Topic(title="Quantum chromodynamics")
    library = opened("long.md", topics=[fish, both, none], words=500)
    assert [(id, place) for id, place, _ in passages(library, fish)] == [("s1-1", "Part 23")]
    found = [(id, place) for id, place, _ in passages(library, both)]
    assert found == [("s1-1", "Part 3"), ("s1-2", "Part 13"), ("s2-1", "Own")]
    assert library.source(both, "s2").name == "own.md"
    with pytest.raises(KeyError):
        library.source(fish, "s2")
    more = [(id, place) for id, place, _ in passages(library, fish, "Fees", "Salmon")]
    assert more == [("s1-1", "Part 23"), ("s1-15", "Part 13")]
    with pytest.raises(NothingToQuote, match="no passage of its 1 sources fits the topic"):
        passages(library, none)
    before = passages(library, both)
    (root / "long.md").write_text("\n\n".join(["# Part 0\n\nNew and short.", *parts[1:], "Z."]))
    after = opened("long.md", topics=[fish, both, none], words=500)
    assert after is not library
    assert passages(after, both) == before, "what was not shown changes nothing that was"


def test_sources_written_without_blanks(root: Path) -> None:
    """Chinese and Japanese passages are found by three signs, and by two that stand alone."""
    parts = [f"第{n}章。{'他的文字没有意义' * 40}。" for n in range(20)]
    parts[7] += "潮汐能的成本很高。"
    parts[12] += "タービンの羽根は鋼でできている。"
    parts[15] += "光伏发展。"
    (root / "zh.txt").write_text("\n\n".join(parts))
    topics = [Topic(title="潮汐能的成本"), Topic(title="タービンの羽根"), Topic(title="光伏")]
    library = opened("zh.txt", topics=topics, words=300)
    for topic, said in zip(topics, ["潮汐能", "タービン", "光伏"], strict=True):
        assert said in passages(library, topic)[0][2]


def test_the_row_of_a_topic_is_a_source_of_its_own(root: Path) -> None:
    """A topic may quote its row, and no other topic's; without files the row is all."""
    north, south, bare = (
        Topic(title="Q", row={"region": "North", "sales": "12", "note": ""}, twin="N"),
        Topic(title="Q", row={"region": "South", "sales": "13"}, twin="S"),
        Topic(title="Other"),
    )
    library = opened(topics=[north, south, bare])
    assert [library.covers(topic) for topic in (north, south, bare)] == [True, True, False]
    assert passages(library, north) == [
        ("s1-1", "row of the topics file", "region: North\nsales: 12")
    ]
    assert library.source(south, "s1").kind == "row"
    (root / "a.md").write_text("A file.")
    library = opened("a.md", topics=[north, bare])
    assert [id for id, _, _ in passages(library, north)] == ["s1-1", "s2-1"]
    assert [id for id, _, _ in passages(library, bare)] == ["s1-1"]
    assert open_library((), [bare], words=500) is None
