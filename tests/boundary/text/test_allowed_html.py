"""The few HTML tags that models write are read where they are well formed, else shown."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_llm_reports.tasks.pages.parts import parts_of
from prefect_llm_reports.tasks.text.cleaning import clean_markdown
from tests.boundary.text.test_markdown_examples import Tree
from tests.harness.markdown import sanitized_html
from tests.harness.pace import within
from tests.unit.pages.test_report import TAGS, VIEWERS, Seen, assert_safe

NEW = TAGS | {"sub", "kbd", "details", "summary"}


def shown(text: str) -> str:
    """The HTML of a cleaned report, on one line."""
    html = sanitized_html(clean_markdown(f"# T\n\n{text}").removeprefix("# T\n\n"))
    return re.sub(r"\n\s*", "", html)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("CO<sub>2</sub> x<SUP>2</SUP>", "<p>CO<sub>2</sub> x<sup>2</sup></p>"),
        ("<kbd>Ctrl</kbd>+<kbd>C</kbd>", "<p><kbd>Ctrl</kbd>+<kbd>C</kbd></p>"),
        ("<strong>a *b*</strong> <em>c</em>", "<p><strong>a <em>b</em></strong> <em>c</em></p>"),
        ("*a <sub>b</sub>*", "<p><em>a <sub>b</sub></em></p>"),
        ("a<br>b<br/>c<br />d", "<p>a<br>b<br>c<br>d</p>"),
        ("a <!-- b --> c", "<p>a  c</p>"),
        ("<!-- a\n\nb -->\n\nc", "<p>c</p>"),
        ("# A<br>b", '<h2 id="s-a-b">A b <a'),
        # Tags that are open, crossed or have attributes are text, and so are all others.
        ("<sub>a", "<p>&lt;sub&gt;a</p>"),
        ("a</sub>", "<p>a&lt;/sub&gt;</p>"),
        ("*a <sub>b* c</sub>", "<p><em>a &lt;sub&gt;b</em> c&lt;/sub&gt;</p>"),
        ("<sub>a\n\nb</sub>", "<p>&lt;sub&gt;a</p><p>b&lt;/sub&gt;</p>"),
        ("[a <sub>b](http://x.test)</sub>", "&lt;sub&gt;b</a>&lt;/sub&gt;</p>"),
        ("<sub class=x>a</sub>", "<p>&lt;sub class=x&gt;a&lt;/sub&gt;</p>"),
        ("<b>a</b> <u>b</u>", "<p>&lt;b&gt;a&lt;/b&gt; &lt;u&gt;b&lt;/u&gt;</p>"),
        ("`<sub>a</sub>` \\<sub>", "<p><code>&lt;sub&gt;a&lt;/sub&gt;</code> &lt;sub&gt;</p>"),
        ("<!-- never closed", "<p>&lt;!-- never closed</p>"),
        # Details
        (
            "<details>\n<summary>A *b*</summary>\n\n- c\n\n</details>",
            "<details><summary>A <em>b</em></summary><ul><li>c</li></ul></details>",
        ),
        (
            "<details open><summary>A</summary>\nb\n</details>",
            '<details open=""><summary>A</summary><p>b</p></details>',
        ),
        (
            "<details><summary>A</summary>b</details>",
            "<details><summary>A</summary><p>b</p></details>",
        ),
        (
            "- <details>\n  <summary>A</summary>\n\n  b\n\n  </details>",
            "<ul><li><details><summary>A</summary><p>b</p></details></li></ul>",
        ),
        ("<details>\n\na", "<p>&lt;details&gt;</p><p>a</p>"),
        ("<summary>a</summary>", "<p>&lt;summary&gt;a&lt;/summary&gt;</p>"),
        ("> <details>\n\n</details>", "<blockquote><p>&lt;details&gt;</p></blockquote>"),
        ("the <details> tag", "<p>the &lt;details&gt; tag</p>"),
    ],
)
def test_a_tag_is_read_where_it_is_well_formed(text: str, html: str) -> None:
    """Well-formed tags of the list act; every other tag is shown as it was written."""
    assert html in shown(text)
    cleaned = clean_markdown(text)
    assert clean_markdown(cleaned) == cleaned
    for viewer in VIEWERS:
        assert_safe(Seen(viewer.render(cleaned)), allowed=NEW | {"open"})


PIECES = st.sampled_from(
    [
        "<sub>", "</sub>", "<em>", "</em>", "<strong>", "</strong>", "<br>", "<kbd>", "</kbd>", "*",
        "`", "<!--", "-->", "<details>", "</details>", "<summary>x</summary>", "\n", "\n\n", "> ",
        "- ", "| a |\n| - |\n| ", "a", "[b](http://x.test)", "![", "<script>", "[^1]", "\n[^1]: ",
        "<img src=x onerror=y>", "[x](javascript:y)", "# ", "    ",
    ]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=14).map("".join))
def test_any_mixture_of_tags_and_markup_is_balanced_and_safe(text: str) -> None:
    """Whatever tags are mixed with, the HTML nests, and a careless viewer of report.md is safe."""
    html = sanitized_html(text)
    tree = Tree(f"<article>{html}</article>")
    assert tree.open == []
    assert {tag for tag, _ in tree.inside} <= NEW
    cleaned = clean_markdown(text)
    assert clean_markdown(cleaned) == cleaned
    for viewer in VIEWERS:
        seen = Seen(viewer.render(cleaned))
        assert seen.dangers == []
        assert {tag for tag, _ in seen.tags} <= NEW


def test_parts_have_the_lines_and_styles_of_the_tags() -> None:
    """PDF and DOCX get line breaks in cells, lowered words, and details that are open."""
    text = (
        "| a |\n| - |\n| b<br>c<sub>2</sub> |\n\n<details>\n<summary>D</summary>\n\ne\n\n</details>"
    )
    table, summary, inside = parts_of(sanitized_html(text))
    assert "".join(run.text for run in table.rows[1][0]) == "b\nc2"
    assert table.rows[1][0][-1].styles == {"sub"}
    assert [(run.text, run.styles) for run in summary.runs] == [("D", {"strong"})]
    assert inside.text == "e"


@pytest.mark.parametrize(
    "text",
    [
        "<!--" * 4000, "<!--\n" * 4000 + "--> x", "- <!--\n" + "  <!--\n" * 4000 + "x",
        "<sub>" * 4000 + "</sub>" * 4000, "<details>\n" * 4000 + "</details>\n" * 4000,
        "<details>\n<summary>" * 3000, "<summary>" + "a " * 400_000 + "</summary",
    ],
)  # fmt: skip
def test_many_tags_are_read_in_bounded_time(text: str) -> None:
    """Texts made to be slow to read take no more than seconds."""
    with within(4):
        clean_markdown(text)
