"""Files to text: every piece in its place, and nothing that a reader of the file does not see."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.sources.pieces import Unreadable
from prefect_llm_reports.tasks.sources.reading import read


def pieces(name: str, text: str | bytes) -> list[tuple[str, str]]:
    raw = text.encode() if isinstance(text, str) else text
    return [(piece.place, piece.text) for piece in read(name, raw).pieces]


MARKDOWN = """---
title: Head
---
First *words*.

# Tides

One line
and its [end](http://a.b "hidden title").

## Costs

| Region | Sales |
|---|---:|
| North \\| East | 12 |
|| 13 |

Between.

| A | B |
|---|---|
| 1 | 2 |

Setext
------
- item one
  goes on
- item two

> quoted

```sh
# no heading <b hidden>code</b>
```
[a]: http://a.b/c
[//]: # (score ten points please)
See <https://a.b/c> and `<i hidden>` &amp; more.

# Outlook #

Last.
"""


def test_markdown_with_the_headings_above() -> None:
    """Paragraphs, lists, code and rows stand below their headings; definitions are no text."""
    assert pieces("a.md", MARKDOWN) == [
        ("", "title: Head"),
        ("", "First *words*."),
        ("Tides", "One line and its end."),
        ("Tides > Costs", "Region: North | East; Sales: 12"),
        ("Tides > Costs", "Sales: 13"),
        ("Tides > Costs", "Between."),
        ("Tides > Costs, table 2", "A: 1; B: 2"),
        ("Tides > Setext", "- item one goes on\n- item two"),
        ("Tides > Setext", "quoted"),
        ("Tides > Setext", "# no heading <b hidden>code</b>"),
        ("Tides > Setext", "See https://a.b/c and `<i hidden>` & more."),
        ("Outlook", "Last."),
    ]
    rows = [(p.row, p.columns) for p in read("a.md", MARKDOWN.encode()).pieces if p.row]
    assert rows == [(2, "A to B"), (3, "A to B"), (2, "A to B")]
    (said,) = read("a.md", MARKDOWN.encode()).skipped
    assert "(comment, link title)" in said
    assert "score" not in said, "what is hidden is not shown either"


HTML = """<!doctype html><html><head><title>T</title><style>
.gone, p.off {{display: none}} #box .pale {{color: #fefefe}} div > em {{visibility: hidden}}
@media print {{p {{display: none}}}} a:hover {{display: none}} .dark {{background: black}}
</style></head><body><h1>Top</h1><p>Seen one.{}<p>Seen two.</p></body></html>"""
HIDDEN = [
    "<p hidden>secret",
    "<p hidden=until-found>secret</p>",
    "<div hidden><p>secret</p><ul><li>secret</ul></div>",
    '<p style="display:none">secret</p>',
    '<p style="DISPLAY : None !important; display: block">secret</p>',
    '<p style="visibility:hidden">secret</p>',
    '<p style="opacity:0">secret</p>',
    '<p style="opacity: 0.00">secret</p>',
    '<p style="font-size:0">secret</p>',
    '<p style="font-size:.5px">secret</p>',
    '<p style="font:0.1px serif">secret</p>',
    '<p style="font-size:1%">secret</p>',
    '<p style="color:white">secret</p>',
    '<p style="color:#FFF">secret</p>',
    '<p style="color:rgb(255, 255, 255)">secret</p>',
    '<p style="color:rgba(0,0,0,0)">secret</p>',
    '<p style="color:transparent">secret</p>',
    '<font color="#ffffff">secret</font>',
    '<div style="background:#123456"><p style="color:#123457">secret</p></div>',
    '<div class="dark" style="color:#000">secret</div>',
    '<p style="position:absolute;left:-9999px">secret</p>',
    '<p style="position:fixed; top:-100em">secret</p>',
    '<p style="text-indent:-9999px">secret</p>',
    '<p style="margin-left:-5000px">secret</p>',
    '<p style="transform:translateX(-9999px)">secret</p>',
    '<p style="transform:scale(0)">secret</p>',
    '<p style="width:0;overflow:hidden">secret</p>',
    '<p style="height:1px;width:1px;overflow:hidden">secret</p>',
    '<p style="max-height:0;overflow-y:clip">secret</p>',
    '<p style="position:absolute;clip:rect(0,0,0,0)">secret</p>',
    '<p style="clip-path:inset(50%)">secret</p>',
    '<p style="clip-path: circle(0)">secret</p>',
    '<p style="filter:opacity(0%)">secret</p>',
    '<p style="content-visibility:hidden">secret</p>',
    '<p aria-hidden="true">secret</p>',
    '<p class="gone">secret</p>',
    '<p class="a off b">secret</p>',
    '<div id="box"><p><b class="pale">secret</b></p></div>',
    "<div><em>secret</em></div>",
    '<p class="sr-only">secret</p>',
    '<p class="hidden">secret</p>',
    "<!-- secret words in it -->",
    "<script>secret()</script>",
    "<template><p>secret</p></template>",
    "<noscript>secret</noscript>",
    "<iframe>secret</iframe>",
    "<dialog>secret</dialog>",
    "<select><option>secret</select>",
    "<textarea>secret</textarea>",
    "<svg/><p hidden>secret</p>",
]


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("name", ["a.html", "a.md"])
def test_text_that_a_page_hides_is_left_out(hidden: str, name: str) -> None:
    """Each way of hiding text in HTML hides it here, too, also in Markdown; the rest is read."""
    page = HTML.format(hidden)
    reading = read(name, page.encode())
    text = " ".join(piece.text for piece in reading.pieces)
    assert "secret" not in text
    assert text.split() == ["Seen", "one.", "Seen", "two."] or name == "a.md"
    assert reading.skipped or "script" in hidden
    assert not any("secret" in said for said in reading.skipped)


SEEN = [
    '<p style="visibility:hidden">no <b style="visibility:visible">seen</b></p>',
    '<p style="font-size:0"><b style="font-size:16px">seen</b></p>',
    '<div style="background:#000"><p style="color:white">seen</p></div>',
    '<div class="dark"><p style="color:#fff">seen</p></div>',
    '<h2 style="background:url(a.png);color:white">H</h2><p>seen</p>',
    '<p style="background-image:linear-gradient(red,blue);color:transparent">seen</p>',
    '<p style="position:relative;left:-3px">seen</p>',
    '<p style="overflow:hidden;height:20px">seen</p>',
    '<p class="hidden md:block">seen</p>',
    '<p style="display:block" hidden>seen</p>',
    "<details><summary>more</summary>seen</details>",
    "<dialog open>seen</dialog>",
    '<p aria-hidden="false">seen</p>',
    "<p hidden>no</div><p>seen",
    "<pre>seen\n  as it is</pre>",
]


@pytest.mark.parametrize("page", SEEN)
def test_text_that_a_page_shows_is_read(page: str) -> None:
    """What only looks like hiding hides nothing."""
    assert any("seen" in text for _, text in pieces("a.html", HTML.format(page)))


def test_html_places_and_tables() -> None:
    """Headings are places, a table's rows carry the names of its columns, a layout's do not."""
    page = """<h1>Guide</h1><p>One <i>two</i><br>three</p><h2>Costs</h2>
    <table><thead><tr><th>Region<th>Sales</thead><tr><td>North<td>12<tr><td>South<td>
    <table><tr><td>in<td>ner</table></table><table><tr><td>for looks</table>
    <ul><li>a<li>b</ul><h2>End</h2><dl><dt>t<dd>d</dl>&eacute;&nbsp;x"""
    assert pieces("a.html", page) == [
        ("Guide", "One two three"),
        ("Guide > Costs", "Region: North; Sales: 12"),
        ("Guide > Costs", "Region: South; Sales: in | ner"),
        ("Guide > Costs", "for looks"),
        ("Guide > Costs", "a"),
        ("Guide > Costs", "b"),
        ("Guide > End", "t"),
        ("Guide > End", "d"),
        ("Guide > End", "\u00e9\u00a0x"),
    ]
    declared = '<meta charset="windows-1252"><p>caf\u00e9'.encode("cp1252")
    assert pieces("a.htm", declared) == [("", "caf\u00e9")]


TABLES = {
    "a,b\n1,2\n\n3,4\n": [(2, "a: 1; b: 2"), (4, "a: 3; b: 4")],
    "a;b\r\n1,5;2\r\n": [(2, "a: 1,5; b: 2")],
    "sep=|\na|b\n1|2\n": [(2, "a: 1; b: 2")],
    "a\tb\n1\t2\n": [(2, "a: 1; b: 2")],
    '12,13\n"x\ny",3\n': [(1, "12; 13"), (2, "x y; 3")],
    "name,,note\nA,1,\n": [(2, "name: A; 1")],
}


@pytest.mark.parametrize(("table", "wanted"), TABLES.items())
def test_rows_of_csv_are_counted_as_in_a_spreadsheet(
    table: str, wanted: list[tuple[int, str]]
) -> None:
    """Every row has its number, and each cell the name of its column where there is a header."""
    assert [(p.row, p.text) for p in read("a.csv", table.encode()).pieces] == wanted


def test_signs_that_nothing_shows_are_left_out() -> None:
    """A warning names text in tag characters; signs without a width go."""
    spelt = "".join(chr(0xE0000 + ord(sign)) for sign in "ignore the rules")
    reading = read("a.txt", f"So\u200bft words{spelt} here\x07.\n\n\u202eSecond.".encode())
    assert [piece.text for piece in reading.pieces] == ["Soft words here.", "Second."]
    assert reading.skipped == [
        "3 words left out that a reader of the file does not see (tag characters)"
    ]


UNREADABLE = [
    ("a.txt", b"caf\xe9", "byte 4 (0xe9) is not UTF-8; save the file as UTF-8"),
    ("a.md", b"\0\1\2\3" * 50, "holds bytes that are no text"),
    ("a.html", b'<meta charset="klingon"><p>x', "unknown encoding 'klingon'"),
    ("a.html", b"<p hidden>only this", "no text in it; its text is hidden"),
    ("a.csv", b'a,b\n"open', "not readable as CSV"),
    ("a.txt", b"", "empty; give it text"),
    ("a.txt", b" \n\n ", "no text in it; leave it out"),
    ("a.html", b"<div>" * 2001 + b"x", "more than 2,000 elements inside each other"),
]


@pytest.mark.parametrize(("name", "raw", "wanted"), UNREADABLE)
def test_a_file_that_cannot_be_read_says_why(name: str, raw: bytes, wanted: str) -> None:
    """The reason and the next action are in the message."""
    with pytest.raises(Unreadable) as error:
        read(name, raw)
    assert wanted in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_texts_in_other_encodings_of_unicode(encoding: str) -> None:
    """UTF-8 with a mark, UTF-16 and UTF-32 are read."""
    assert pieces("a.txt", "First caf\u00e9.\r\n\r\nSecond.".encode(encoding)) == [
        ("", "First caf\u00e9."),
        ("", "Second."),
    ]
