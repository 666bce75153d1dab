"""Tables as spreadsheets export them: what separates their cells, and what their headers mean."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.inputs.queries import read_queries
from prefect_llm_reports.tasks.inputs.topics import (
    ColumnNames,
    gather_topics,
    read_topics,
)

TWO = [("Tidal power", "for CTOs"), ("Rust", "")]
TABLES = {
    "semicolons": "title;guidance\nTidal power;for CTOs\nRust;\n",
    "tabs": "title\tguidance\nTidal power\tfor CTOs\nRust\t\n",
    "bars": "title|guidance\nTidal power|for CTOs\nRust|\n",
    "tabs under .tsv": "topic\tguidance\nTidal power\tfor CTOs\nRust\n",
    "sep=; of Excel": "sep=;\r\ntitle;guidance\r\nTidal power;for CTOs\r\nRust;\r\n",
    "sep= of one column in quotes": '"sep=|"\ntitle|guidance\nTidal power|for CTOs\nRust|\n',
    "sep= a tab": "SEP=\t\ntitle\tguidance\nTidal power\tfor CTOs\nRust\t\n",
    "no header, semicolons": "Tidal power;for CTOs\nRust;\n",
    "no header, tabs": "Tidal power\tfor CTOs\nRust\t\n",
    "empty columns at the end": "title,guidance,,,\nTidal power,for CTOs,,,\nRust,,,,\n",
    "empty rows at the end": "title,guidance\nTidal power,for CTOs\nRust,\n,\n,\n\n,\n",
    "all kinds of empty": ";;;\n\ntitle;guidance;;\nTidal power;for CTOs;;\nRust\n;;;\n",
    "Ctrl-Z": "title,guidance\r\nTidal power,for CTOs\r\nRust,\r\n\x1a",
    "Ctrl-Z in the last row": "title,guidance\nTidal power,for CTOs\nRust\x1a\n",
    "an empty first column": ",title,guidance\n,Tidal power,for CTOs\n,Rust,\n",
    "old Macintosh": "title,guidance\rTidal power,for CTOs\rRust,\r",
    "names in capitals with marks": "TITLE:,Guidance (optional)\nTidal power,for CTOs\nRust,\n",
    "commas in semicolons": 'title;guidance\nTidal power;"for CTOs"\nRust;\n',
    "further columns": "id,title,owner,guidance\n1,Tidal power,me,for CTOs\n2,Rust,,\n",
    "further columns, semicolons": "title;guidance;owner\nTidal power;for CTOs;Ada\nRust;;Bob\n",
}
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("kind", TABLES)
def test_tables_of_topics(kind: str, encoding: str) -> None:
    """Every export gives the same two topics, in every encoding, with a mark or without one."""
    name = "t.tsv" if ".tsv" in kind else "t.csv"
    found, _ = gather_topics(None, (name, TABLES[kind].encode(encoding)))
    assert [(topic.title, topic.guidance) for topic in found] == TWO


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("head", ["", "sep={d}\r\n"])
def test_tables_of_queries(delimiter: str, head: str) -> None:
    """Files of inputs are read by the same rules."""
    d = delimiter
    text = f"{head.format(d=d)}city{d}year{d}{d}\nRome{d}1960{d}{d}\nOslo{d}{d}{d}\n{d}{d}{d}\n\x1a"
    assert [value for _, value in read_queries("q.csv", text.encode())] == [
        {"city": "Rome", "year": "1960"},
        {"city": "Oslo", "year": ""},
    ]


def test_one_column_may_hold_any_sign() -> None:
    """In a table of one column the other delimiters are signs like any other."""
    text = 'title\n"Rust; a history"\nC|C++; a war\nTidal\tpower\n'
    found, _ = gather_topics(None, ("t.csv", text.encode()))
    assert [topic.title for topic in found] == ["Rust; a history", "C|C++; a war", "Tidal\tpower"]
    prose, _ = gather_topics(None, ("t.csv", b"Rust; a history\nGo; a future\n"))
    assert [topic.title for topic in prose] == ["Rust; a history", "Go; a future"]


UNKNOWN_HEADERS = {
    "name,notes": ("'name'", "'notes'"),
    "subject,note": ("'subject'", "'note'"),
    "name;notes": ("'name'", "'notes'"),
    "name\tnotes": ("'name'", "'notes'"),
    "subject|note": ("'subject'", "'note'"),
    "Thema;Hinweise": ("'Thema'", "'Hinweise'"),
    "Sujet;Remarques;Auteur": ("'Sujet'", "'Auteur'"),
    "What to write about,Notes": ("'What to write about'",),
    "Report name,Extra info": ("'Report name'",),
    "report_name,writer_hint": ("'report_name'",),
    "name,guidance": ("'name'", "'guidance'"),
    "guidance": ("'guidance'",),
    "Name": ("'Name'",),
    "id,name,owner": ("'id'", "'owner'"),
    "主题,备注": ("'主题'",),
    "a,b,c": ("'a'", "'c'"),
}


@pytest.mark.parametrize("header", UNKNOWN_HEADERS)
def test_an_unknown_header_is_never_a_topic(header: str) -> None:
    """A header without a known name is refused with its columns, and how to name them."""
    with pytest.raises(BadInput) as bad:
        gather_topics(None, ("t.csv", f"{header}\nRust,x\nGo,y\n".encode()))
    problem = bad.value.problems[0]
    assert problem.startswith("t.csv row 1: no column title (or topic), found ")
    assert all(column in problem for column in UNKNOWN_HEADERS[header])
    assert "--topic-column and --guidance-column" in problem


NAMED = [
    ("t.csv", "name,notes\nTidal power,for CTOs\nRust,\n", ("name", "notes")),
    ("t.csv", "Thema;Hinweise\nTidal power;for CTOs\nRust;\n", ("thema", "HINWEISE")),
    ("t.csv", "What to write,guidance\nTidal power,for CTOs\nRust,\n", ("What to write", None)),
    ("t.csv", "topic,notes\nTidal power,for CTOs\nRust,\n", (None, "notes")),
    ("t.csv", "title,topic,notes\nx,Tidal power,for CTOs\ny,Rust,\n", ("topic", "notes")),
    ("t.json", '[{"name": "Tidal power", "notes": "for CTOs"}, "Rust"]', ("name", "notes")),
    ("t.yaml", "- {Thema: Tidal power, guidance: for CTOs}\n- Rust", ("Thema", None)),
]


@pytest.mark.parametrize(("name", "text", "called"), NAMED)
def test_columns_can_be_named(name: str, text: str, called: tuple[str | None, str | None]) -> None:
    """Columns and keys are read by the names that a person says they have."""
    found, _ = gather_topics(None, (name, text.encode()), ColumnNames(*called))
    assert [(topic.title, topic.guidance) for topic in found] == TWO


@pytest.mark.parametrize(
    ("text", "called", "wanted"),
    [
        ("name,notes\nRust,x\n", ("subject", None), "no column 'subject', found 'name', 'notes'; "),
        ("Rust,x\n", ("name", None), "no column 'name', found 'Rust', 'x'; "),
        ("name,notes\nRust,x\n", ("name", "hints"), "no column 'hints', found 'name', 'notes'; "),
        ("title,notes\nRust,x\n", (None, None), "unknown column 'notes', wanted one title (or t"),
        ("title,guidnace\nRust,x\n", (None, None), "unknown column 'guidnace', wanted one title"),
        ("title,id,id\nRust,1,2\n", (None, None), "more than one column 'id', wanted one title"),
        ("sep=x\ntitle\nRust\n", (None, None), "the line sep= names 'x', wanted one of , ; |"),
    ],
)
def test_wrong_columns(text: str, called: tuple[str | None, str | None], wanted: str) -> None:
    """A column that is missing, doubtful or doubled is refused in the first row."""
    with pytest.raises(BadInput) as bad:
        gather_topics(None, ("t.csv", text.encode()), ColumnNames(*called))
    assert bad.value.problems[0].startswith(f"t.csv row 1: {wanted}")


def test_a_repeated_header_and_a_stray_cell_are_refused() -> None:
    """Files put one behind the other, and cells beside the table, are no topics."""
    for text, wanted in {
        "title,guidance\nRust,\ntitle,guidance\nGo,\n": "t.csv row 3: repeats the header; remove",
        ",title\n,Rust\nx,Go\n": "found the cell 'x' in a column without a name",
    }.items():
        with pytest.raises(BadInput) as bad:
            gather_topics(None, ("t.csv", text.encode()))
        assert wanted in bad.value.problems[0]


def test_further_cells_stay_with_their_row() -> None:
    """Columns beside title, guidance and sources are the row of their topic, which may quote it."""
    raw = b"title;owner;sources;due date\nRust;Ada;a.md ; b c.md;May\nGo\n"
    assert len(read_topics("t.csv", raw)) == 2
    (rust, go), warnings = gather_topics(None, ("t.csv", raw.replace(b" ; ", b" | ")))
    assert (rust.row, rust.sources) == ({"owner": "Ada", "due date": "May"}, ("a.md | b c.md",))
    assert (go.row, go.sources, warnings) == ({}, (), [])
    table = b'title,sources\nRust,"a.md; b c.md;a.md;"\n'
    assert gather_topics(None, ("t.csv", table))[0][0].sources == ("a.md", "b c.md")


TEXT_FILES = ["title\nRust\n", "title,guidance\nRust,x\n", "name;notes\nRust;x", "a\tb\nc\td\n"]


@pytest.mark.parametrize("text", TEXT_FILES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_table_saved_as_text_is_refused(text: str, encoding: str) -> None:
    """Excel's `Text (tab delimited)` and `Unicode Text` end in .txt, and are no lists of topics."""
    with pytest.raises(BadInput) as bad:
        gather_topics(None, ("t.txt", text.encode(encoding)))
    assert "t.txt line 1: " in bad.value.problems[0]
    assert "rename the file to .csv" in bad.value.problems[0]


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ("title\ncafé\n".encode("cp1252"), "(0xe9) is not UTF-8; save the file as UTF-8 (in Exce"),
        ("title\nĆma\n".encode("cp1250"), "is not UTF-8; save the file as UTF-8"),
        ("title\n主题\n".encode("gbk"), "is not UTF-8; save the file as UTF-8"),
        ("title\nテーマ\n".encode("shift-jis"), "is not UTF-8; save the file as UTF-8"),
        (b"PK\x03\x04title\n", "an Excel or zip file by its content; rename it to .xlsx"),
        (b"\xd0\xcf\x11\xe0title\n", "an Excel or zip file by its content; rename it"),
    ],
)
def test_other_encodings_are_refused(raw: bytes, wanted: str) -> None:
    """Text that is not Unicode is refused as a whole, with the byte."""
    with pytest.raises(BadInput) as bad:
        gather_topics(None, ("t.csv", raw))
    (problem,) = bad.value.problems
    assert wanted in problem
