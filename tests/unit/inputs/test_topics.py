"""Topics files and arguments: what is read, what is refused, and how it is said."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
import yaml

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.inputs import topics as module
from prefect_llm_reports.tasks.inputs import trees
from prefect_llm_reports.tasks.inputs.topics import gather_topics, read_topics
from tests.harness.pace import within


def topics_of(name: str, text: str | bytes) -> list[tuple[str, str]]:
    raw = text.encode() if isinstance(text, str) else text
    return [(t.title, t.guidance) for t in gather_topics(None, (name, raw))[0]]


def problems_of(arguments: Any = None, name: str = "", text: str | bytes = "") -> tuple[str, ...]:
    raw = text.encode() if isinstance(text, str) else text
    with pytest.raises(BadInput) as caught:
        gather_topics(arguments, (name, raw) if name else None)
    return caught.value.problems


TWO = [("Tidal power", "for CTOs"), ("Rust", "")]
PLAIN = [("Tidal power", ""), ("Rust", "")]
FILES = [
    ("t.txt", "# ours\n\nTidal power\r\n  \r\n  # not yet\nRust", PLAIN),
    ("t.TXT", "Tidal power\rRust\r", PLAIN),
    ("t.yaml", "- Tidal power\n- 'Rust'\n", PLAIN),
    ("t.yml", "# ours\ntopics:\n- title: Tidal power\n  guidance: for CTOs\n- Rust\n", TWO),
    ("t.yaml", "- {title: Tidal power, guidance: &who for CTOs}\n- Rust", TWO),
    (
        "t.yaml",
        "- &t Tidal power\n- {title: Rust, guidance: *t}",
        [PLAIN[0], ("Rust", PLAIN[0][0])],
    ),
    ("t.yaml", "---\n- !!str Tidal power\n- |\n  Rust\n...\n", PLAIN),
    ("t.yaml", "- {topic: Tidal power, guidance: for CTOs}\n- Rust", TWO),
    ("t.json", '["Tidal power", "Rust"]', PLAIN),
    ("t.json", '[{"guidance": "for CTOs", "topic": "Tidal power"}, "Rust"]', TWO),
    ("t.json", '{"topics": [{"guidance": "for CTOs", "title": "Tidal power"}, "Rust"]}', TWO),
    ("t.csv", "Title,Guidance\nTidal power,for CTOs\nRust,\n", TWO),
    ("t.csv", 'guidance,"topic"\r\nfor CTOs,Tidal power\r\n,Rust\r\n\r\n', TWO),
    ("t.csv", "topic,,\nTidal power,,\nRust\n", PLAIN),
    ("t.csv", "Tidal power,for CTOs\nRust\n", TWO),
    ("t.csv", 'title\n"Tidal\r\n\npower"\nRust', PLAIN),
    ("t.csv", "title;guidance\nTidal power;for CTOs\nRust;\n", TWO),
    ("s3://bucket/a.b/t.csv", '"say ""C, C++""",\n', [('say "C, C++"', "")]),
]


@pytest.mark.parametrize(("name", "text", "wanted"), FILES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_formats(name: str, text: str, wanted: list[tuple[str, str]], encoding: str) -> None:
    """Every format gives the same topics, in UTF-8 with or without mark and in UTF-16."""
    assert topics_of(name, text.encode(encoding)) == wanted


@pytest.mark.parametrize("loader", [yaml.BaseLoader, trees._YAML_LOADER])
def test_yaml_words_stay_words(loader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """YAML items that look like other types are topics as they were written, by either parser."""
    monkeypatch.setattr(trees, "_YAML_LOADER", loader)
    words = ["no", "1.0", "2024-01-01", "null", "~", "0x1F", "1_000", "true", "12:30", "<<", "="]
    text = "".join(f"- {word}\n" for word in words)
    assert topics_of("t.yaml", text) == [(word, "") for word in words]


def test_arguments_come_first() -> None:
    """Arguments and the file's topics are merged in this order, whatever their form."""
    given_topics = ["C", {"title": "C", "guidance": "for\r\nCTOs"}, Topic(title="Zig")]
    found, warnings = gather_topics(given_topics, ("t.txt", b"Ada\nC++"))
    assert [t.title for t in found] == ["C", "C", "Zig", "Ada", "C++"]
    assert found[1].guidance == "for\nCTOs"
    assert warnings == []


def test_repeats_are_kept_once() -> None:
    """An exact repeat, in any normal form, is kept once and warned of with its places."""
    arguments = ["Caf\u00e9", "Tea", {"title": "Tea", "guidance": "green"}]
    found, warnings = gather_topics(
        arguments, ("t.csv", "title\nCafe\u0301\n Tea \nTea\n".encode())
    )
    assert [(t.title, t.guidance) for t in found] == [("Café", ""), ("Tea", ""), ("Tea", "green")]
    assert warnings == [
        "'Café' is given 2 times and written once: topics[1], t.csv row 2",
        "'Tea' is given 3 times and written once: topics[2], t.csv row 3, t.csv row 4",
    ]


LAUGHS = "a: &a [ha, ha]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
BAD_FILES = [
    ("t.csv", "a\nb\nc\nd\ne\nf\n,x\n", "t.csv row 7: the title is blank; give it a title or"),
    ("t.csv", "title\n\nRust\n", "t.csv row 2: the title is blank"),
    ("t.csv", 'title\n"a\nb"\n" "\n', "t.csv row 3: the title is blank"),
    (
        "t.csv",
        "title\nRust, Go\n",
        "t.csv row 2: wanted a text or an object with a title, found 2 ",
    ),
    ("t.csv", "title,guidence\nRust,x\n", "t.csv row 1: unknown column 'guidence', wanted one"),
    ("t.csv", "title,topic\nRust,x\n", "t.csv row 1: more than one column 'title'"),
    ("t.csv", 'Rust\n"open\n', "t.csv row 2: not readable as CSV (unexpected end of data); close"),
    ("t.csv", "title\n" + "x" * 200_000, "t.csv row 2: not readable as CSV (field larger than"),
    ("t.csv", "title,guidance\n", "t.csv: no topics in the file; add at least one"),
    ("t.csv", "\r\n\r\n", "t.csv: no topics in the file"),
    ("t.txt", "# none\n\n", "t.txt: no topics in the file"),
    ("t.txt", "", "t.txt: no topics in the file"),
    ("t.txt", "a\n\nb\0c", "t.txt line 3: the title 'b\\x00c' has the control character U+0000 at"),
    ("t.txt", "x\n" + "y" * 2001, "characters, not accepted: String should have at most 2000"),
    ("t.txt", b"ok\r\ncaf\xe9\n", "t.txt line 2: byte 8 of the file (0xe9) is not UTF-8; save"),
    ("t.txt", b"\xef\xbb\xbf\n\xff", "t.txt line 2: byte 5 of the file (0xff) is not UTF-8"),
    ("t.txt", b"\xff\xfea\0\n\0\0\xdc", "t.txt line 2: byte 7 of the file (0x00) is not UTF-16"),
    (
        "t.ods",
        "x",
        "t.ods: unknown ending '.ods', wanted .txt, .yaml, .yml, .json, .csv; rename",
    ),
    ("topics", "x", "topics: unknown ending '', wanted .txt"),
    (
        "t.json",
        '["a", 3.50]',
        "t.json item 2: wanted a text or an object with a title, found 3.50;",
    ),
    (
        "t.json",
        "[" + "9" * 5000 + "]",
        "t.json item 1: wanted a text or an object with a title, fo",
    ),
    ("t.json", '["a", NaN]', "t.json item 2: wanted a text or an object with a title, found NaN"),
    ("t.json", '["a", true]', "t.json item 2: wanted a text or an object with a title, found true"),
    ("t.json", "[null]", "t.json item 1: wanted a text or an object with a title, found null"),
    ("t.json", '[["a"]]', "t.json item 1: wanted a text or an object with a title, found a list"),
    ("t.json", '[""]', "t.json item 1: the title is blank"),
    (
        "t.json",
        '["\\ud800"]',
        "t.json item 1: the title '\\ud800' has the lone surrogate U+D800 at",
    ),
    ("t.json", '[{"title": 7}]', "t.json item 1: the title is 7, wanted a text; put it in quotes"),
    ("t.json", '[{"guidance": "x"}]', "t.json item 1: the title is missing"),
    (
        "t.json",
        '[{"title": "a", "x": 1}]',
        "t.json item 1: unknown key 'x', wanted title (or topic) and opt",
    ),
    ("t.json", '[{"title": "a", "title": "b"}]', "t.json item 1: the key title is written twice"),
    ("t.json", '{"topics": ["a"], "topics": ["b"]}', "found 'topics, topics'; write one list"),
    ("t.json", '{"topics": {"a": 1}}', "t.json: wanted a list of topics, found an object"),
    ("t.json", '"Rust"', 't.json: wanted a list of topics, found "Rust"; write a list'),
    (
        "t.json",
        '["a",\n"b" "c"]',
        "t.json line 2 column 5: not readable as JSON (Expecting ',' deli",
    ),
    ("t.json", "[" * 200_000, "t.json: nested too deeply"),
    ("t.json", "[]", "t.json: no topics in the file"),
    ("t.json", "", "t.json line 1 column 1: not readable as JSON"),
    ("t.yaml", "", "t.yaml: no topics in the file"),
    ("t.yaml", "---\n", "t.yaml: no topics in the file"),
    ("t.yaml", "topics: []", "t.yaml: no topics in the file"),
    ("t.yaml", "- a\n-\n", "t.yaml line 2: the title is blank"),
    (
        "t.yaml",
        "- a\n- Rust: a history\n",
        "t.yaml line 2: unknown key 'Rust', wanted title (or topic) and opt",
    ),
    ("t.yaml", "- title: a\n  title: b\n", "t.yaml line 1: the key title is written twice"),
    ("t.yaml", "topics: [a]\ntopics: [b]", "found 'topics, topics'; write one list"),
    ("t.yaml", "Rust", 't.yaml: wanted a list of topics, found "Rust"'),
    ("t.yaml", "- a\n---\n- b\n", "t.yaml: 2 YAML documents, wanted one"),
    (
        "t.yaml",
        "- a\n- 'b\n",
        "t.yaml line 3: not readable as YAML (found unexpected end of stream)",
    ),
    ("t.yaml", "- a\n- \x07\n", "t.yaml line 2: not readable as YAML (the character U+0007 is not"),
    ("t.yaml", '- "a\\0"', "t.yaml line 1: the title 'a\\x00' has the control character U+0000"),
    (
        "t.yaml",
        "- !!python/object/apply:os.system [id]",
        "t.yaml line 1: the tag 'tag:yaml.org,2002",
    ),
    ("t.yaml", LAUGHS, "t.yaml line 8: more than 10,000,000 characters with aliases written"),
    ("t.yaml", "- &a [*a]", "t.yaml line 1: the alias *a does not stand for an earlier text"),
    ("t.yaml", "- *None", "t.yaml line 1: the alias *None does not stand for an earlier text"),
    (
        "t.yaml",
        "- &a x\n" + "- *a\n" * 1001,
        "t.yaml line 1002: more than 1,000 aliases; write the",
    ),
    ("t.yaml", "[" * 1_000_000, "t.yaml line 1: nested too deeply"),
    ("t.yaml", "- a\n" + "#" * 5_000_000, "t.yaml: the file has 5,000,004 bytes, a .yaml file may"),
]


@pytest.mark.parametrize(("name", "text", "wanted"), BAD_FILES, ids=[w for *_, w in BAD_FILES])
def test_bad_files(name: str, text: str | bytes, wanted: str) -> None:
    """A bad file or row is one short problem: the place, what was seen and the way out."""
    (problem,) = problems_of(None, name, text)
    assert wanted in problem
    assert problem.startswith(name)
    assert ";" in problem
    assert len(problem) < 250
    assert problem.isprintable()


BAD_ARGUMENTS = [
    (None, "no topics: give at least one topic or a topics file"),
    ([], "no topics: give at least one topic or a topics file"),
    ("Rust", 'topics: wanted a list of topics, found "Rust"; put it in a list'),
    ([" \n"], "topics[1]: the title is blank"),
    (["a", 10**400], "topics[2]: wanted a text or an object with a title, found a Python int"),
    ([7], "topics[1]: wanted a text or an object with a title, found 7"),
    ([("a", "b")], "topics[1]: wanted a text or an object with a title, found a Python tuple"),
    ([{"title": "a", "guidance": None}], "topics[1]: the guidance is null, wanted a text"),
    ([{"title": "a", 3: "b"}], "topics[1]: unknown key '3'"),
    ([{"title": "a", "topic": "b"}], "topics[1]: the key title is written twice; keep one"),
    (
        [{"title": "a", "guidance": "x" * 20_001}],
        "has 20,001 characters, not accepted: String shou",
    ),
    (
        [Topic(title="a\x1bb")],
        "topics[1]: the title 'a\\x1bb' has the control character U+001B at ",
    ),
    (["a\ud83d"], "topics[1]: the title 'a\\ud83d' has the lone surrogate U+D83D at character 2"),
]


@pytest.mark.parametrize(("arguments", "wanted"), BAD_ARGUMENTS)
def test_bad_arguments(arguments: Any, wanted: str) -> None:
    """A bad argument is named by its position, counted from one."""
    (problem,) = problems_of(arguments)
    assert wanted in problem
    assert problem.isprintable()


def test_problems_come_together() -> None:
    """All problems of arguments and file are raised at once, the first twenty in full."""
    problems = problems_of(["", 1], "t.csv", "title\n" + "\n" * 30 + "Rust\na,b\n")
    assert len(problems) == 21
    assert [p.split(":")[0] for p in problems[:3]] == ["topics[1]", "topics[2]", "t.csv row 2"]
    assert problems[-1] == "and 13 more"


def test_newlines_fold_and_lengths_count_after() -> None:
    """Newlines in a title become one space, and only what is kept counts towards the limit."""
    found, _ = gather_topics(["Tidal \r\n\n power\t1", "x" * 2000 + " " * 50 + "\n"], None)
    assert [t.title for t in found] == ["Tidal power\t1", "x" * 2000]


def test_folder_collision() -> None:
    """Two topics whose folders would be the same are refused, both named."""
    one, two = "C#!&&*", "C?&=#~*"  # equal words and, by search, equal first 32 bits of SHA-256
    assert Topic(title=one).slug == Topic(title=two).slug
    (problem,) = problems_of([one, "C", two])
    assert problem == (
        "topics[3]: 'C?&=#~*' would share the folder c-12d0ab44 with 'C#!&&*' (topics[1]); "
        "reword one of the two"
    )


def test_collision_check_knows_the_slug() -> None:
    """The hash that the collision check compares is the end of every slug."""
    for topic in (Topic(title="C"), Topic(title="C", guidance="x"), Topic(title="🌊")):
        assert topic.slug.endswith(f"-{topic.mark}")


def test_too_many_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    """More topics than one run may have are refused, however they are split over the sources."""
    assert module.MAX_TOPICS == 100_000
    monkeypatch.setattr(module, "MAX_TOPICS", 4)
    assert len(gather_topics(["a", "b"], ("t.txt", b"c\nd"))[0]) == 4
    (problem,) = problems_of(["a", "b"], "t.txt", "c\nd\ne")
    assert problem == "topics: more than 4, the most for one run; split them into several"
    assert len(read_topics("t.txt", b"a\n" * 100)) == 5


def test_long_blanks_are_linear() -> None:
    """A title of two million spaces is judged without quadratic work."""
    with within(1.5):
        (problem,) = problems_of(["a" + " " * 2_000_000 + "b"])
    assert "2,000,002 characters" in problem


def _csv(titles: list[str], header: bool) -> str:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([["title"]] * header + [[title] for title in titles])
    return out.getvalue()
