"""Answers of branches as Markdown: readable, complete, and nothing in them is Markdown."""

from __future__ import annotations

from typing import Any

import pytest
from markdown_it import MarkdownIt

from prefect_llm_reports.tasks.branches.artifacts import value_markdown

VALUES: list[tuple[Any, str]] = [
    ({"answer": "Buy it."}, "<p><strong>answer:</strong> Buy it.</p>"),
    ({"risks": ["late", "dear"]}, "<ul>\n<li>late</li>\n<li>dear</li>\n</ul>"),
    ({"risks": []}, "none"),
    ({"is_true": True, "note": None}, "<strong>is true:</strong> yes"),
    ("First.\n\nSecond.", "<p>First.</p>\n<p>Second.</p>"),
    ("if x:\n    return 1", "<pre><code>if x:\n    return 1\n</code></pre>"),
    ([{"name": "late", "grave": 3}], "<p><strong>name:</strong> late</p>\n<p><strong>grave"),
    ([["a", "b"], ["c"]], "<ul>\n<li>\n<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n</li>"),
    ({"a": {"b": {"c": 1}}}, "<strong>c:</strong> 1"),
    ("# no heading\n[no](http://x.invalid)", "<p># no heading</p>\n<p>[no](http://x.invalid)</p>"),
    ("Three:\n- late\n- dear", "<p>Three:</p>\n<ul>\n<li>\n<p>late</p>"),
    (["<script>alert(1)</script>", "```\nfence"], "&lt;script&gt;alert(1)&lt;/script&gt;"),
]


@pytest.mark.parametrize(("value", "shown"), VALUES)
def test_a_value_is_shown_as_what_it_is(value: Any, shown: str) -> None:
    """Lists as points, fields by name, code as code; other Markdown in a text is only text."""
    html = MarkdownIt("commonmark").render(value_markdown(value))
    assert shown in html
    assert "<a " not in html
    assert "<h1>" not in html


def test_a_long_text_is_whole() -> None:
    """A paragraph of any length is shown to its end."""
    text = "word " * 5000 + "end"
    html = MarkdownIt("commonmark").render(value_markdown({"answer": text}))
    assert html.count("word") == 5000
    assert html.endswith("end</p>\n")
