"""Every construct of CommonMark and of GitHub's additions leaves the page around it whole.

The examples are this project's own, several for each section of both specifications, with the
malformed forms that parsers trip over.
"""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from prefect_llm_reports.tasks.pages.report import report_html
from tests.harness.markdown import parsed
from tests.unit.pages.test_report import ATTRIBUTES, TAGS, refined

EXAMPLES: dict[str, list[str]] = {
    "tabs": ["\tcode\twith\ttabs", "- a\n\n\tb", ">\t\tquoted", "#\tTitle\t", "*\t*\t*\t"],
    "backslash escapes": [
        r"\!\"\#\$\%\&\'\(\)\*\+\,\-\.\/\:\;\<\=\>\?\@\[\\\]\^\_\`\{\|\}\~",
        r"\*not emphasized* \<br/> not a tag \[not a link](/x) \`not code`",
        "a\\\nb",
        "`` \\[\\` ``",
        "[a](/b\\*r 'ti\\*tle')",
        "```\\x\ncode\n```",
    ],
    "entities": [
        "&nbsp; &amp; &copy; &AElig; &#35; &#1234; &#xcab; &#0;",
        "&nope; &; &#; &#x; &#987654321;",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "[a](&#106;avascript:x &quot;t&quot;)",
        "&#42;a&#42; &#9;b",
    ],
    "precedence": ["- `one\n- two`", "> `a\nb` > c", "**a\n\nb**"],
    "thematic breaks": ["***\n---\n___", " - - -", "+++\n===", "- a\n***\n- b", "* a\n* * *\n* b"],
    "ATX headings": [
        "# a\n## b\n### c\n#### d\n##### e\n###### f",
        "####### not one",
        "#5 bolt\n\n#hashtag",
        "## a ##  \n### b ### c\n# d#",
        "#\n\n## \n\n### ###",
        "    # code\n\n> # quoted\n\n- # listed",
        "# *em* \\*plain* `</h1>`",
    ],
    "setext headings": [
        "A *b*\n=====\n\nC\n---",
        "Two\nlines\n===",
        "`code\n----\n`",
        "> a\n---",
        "- a\n---",
        "---\na\n---",
        "a\n= =\nb\n--- -",
    ],
    "indented code": [
        "    a simple\n      block",
        "- a\n\n      code",
        "    <a/>\n    *b*\n\n    - c",
        "p\n    no code",
        "\n\n    a\n    \n\n    b\n    ",
        "    </code></pre></article>",
    ],
    "fenced code": [
        "```\n<\n >\n```",
        "~~~\n```\n~~~",
        "```",
        "`````\n\n```\naaa",
        "> ```\n> a\n\nb",
        "```html lang\" onload='x'\n</article><script>\n```",
        "``` ```\naaa",
        "~~~ a b\nc\n~~~~~~",
        "   ```\n   a\n  ```",
        "```\n``` a\n```",
    ],
    "HTML blocks": [
        "<table><tr><td>\n<pre>\n**Hi**,\n\n_world_.\n</pre>\n</td></tr></table>",
        "<div>\n*a*\n\n</article></main></body></html>",
        "<script type='text/javascript'>\n// x\n\ndocument.write(1)\n</script>\nok",
        "<style\n  type='text/css'>\nh1 {color:red;}\n\np {}\n</style>",
        "<textarea>\n\n*a*\n\n_b_\n\n",
        "<!-- open comment\n\nbar\n   ",
        "<?php\n\n  echo '>';\n\n",
        "<!DOCTYPE html>\n<![CDATA[\nx\n]]>",
        "<del>\n*a*\n</del>\n\n<x-tag attr=1>\n",
        "<pre\n\n<iframe\n\n<plaintext>\n<xmp>\n<noscript>\n<template>\n<title>",
        "</table></td></div></section></article>",
        "<body onload=alert(1)><html><head><base href=//evil.test>",
    ],
    "link reference definitions": [
        "[a]: /url 'title'\n\n[a]",
        "[b]: \n      /url  \n           'the title'  \n\n[b]",
        "[c]: <>\n\n[c]",
        "[d]: http://x.test 'a\nb'\n\n[d] [D] [ d ]",
        "[e]\n\n> [e]: http://x.test",
        "[f]: http://1.test\n[f]: http://2.test\n\n[f]",
        "[g]: javascript:alert(1)\n\n[g]",
        "[\n\n[h]: /x\n===\n[h]",
        "[<b>]: http://x.test\n\n[<b>]",
    ],
    "paragraphs and blank lines": ["a\nb\n\nc\n\n\n\n  d\n     e", "  \n\na\n  \n\n# b\n\n  ", ""],
    "block quotes": [
        "> # A\n> b\n> c",
        "> a\nlazy",
        "> - a\n- b",
        ">     code\n    no",
        "> ```\na\n```",
        ">>> deep\n> back",
        ">\n>\n",
        ">a\n>\n>b\n\n>c",
    ],
    "list items": [
        "1.  A\n\n        code\n\n    > quote",
        "-one\n\n2.two",
        "123456789. ok\n\n1234567890. not",
        "-1. not",
        "- a\n  -\n  - b\n\n-   \n  c",
        "0. zero\n\n003. three",
        "1.      code\n\n   p",
        "> 1. > quoted\nlazy",
        "- - 1. deep",
        "- # A\n- B\n  ---\n  c",
    ],
    "lists": [
        "- a\n- b\n+ c",
        "1. a\n2. b\n3) c",
        "p\n- a\n\np\n14. not",
        "- a\n\n- b\n\n\n- c",
        "- a\n - b\n  - c\n   - d\n    - e",
        "- a\n  > b\n  ```\n  c\n  ```\n- d",
        "- a\n- ```\n  b\n\n\n  ```\n- c",
    ],
    "code spans": [
        "`a` ``b ` c`` ` `` `",
        "`a\nb  c`",
        "`<a href='`'>`",
        "<a href='`'>`",
        "`<https://a.`b.test>`",
        "```open `` never",
        "`</article>`",
    ],
    "emphasis": [
        "*a* _b_ **c** __d__ ***e*** ___f___",
        "a * b * c_d_e __ f __",
        '*(**a**)* _"b"_ **a"*b*"c**',
        "*a **b* c** **a *b** c*",
        "****a**** *****b***** _____c__",
        "*a [b*](/x) **c<https://x.test?q=**>",
        "** is not ** nor * this\n*",
        "*" * 60 + "a" + "_" * 60,
        "5*6*78 пристаням_стремятся_",
    ],
    "links": [
        "[a](/b 'c') [d](<e f>) [g]() [h](<>)",
        "[a](b and c) [a](<b\nc>) [a](\\(b\\)) [a](b(c(d)))",
        "[a](#b) [c](http://x.test#d?e=3) [e](%20&auml;)",
        "[a [b]] (c) [a](b 'ti\"t\"le') [a](b \"un'closed)",
        "[a [b](c)](d) [![e](f)](g) [h <i j='](k)'>",
        "[`a](b)` [*c](d*) ![[[e](f)](g)](h)",
        "[A][b] [B][] [b]\n\n[b]: http://x.test '</a>'",
        "[a](javascript:alert(1)) [a](data:text/html,x) [a](VBScript:x)",
        "[a](//evil.test) [b](/etc/passwd) [c](\\\\host\\share)",
        "[[[[[a]]]]]\n\n[a]: http://x.test",
        "[a]\n(b)",
    ],
    "images": [
        "![a](/b.png 'c') ![](x) ![*d* [e](f)](g)",
        "![a][b] ![B] !\\[b] \\![b]\n\n[b]: http://x.test/i.png",
        "![a](javascript:alert(1)) ![a](data:image/png;base64,xx)",
        "[![a](http://x.test/i.png)](http://x.test)",
    ],
    "autolinks": [
        "<http://x.test?q=1&r=2> <MAILTO:a@b.test> <a@b.test>",
        "<irc://x.test> <made-up:x> <javascript:alert(1)>",
        "<http://x.test/a b> <> < http://x.test > <m:abc> <x.test>",
        "<http://x.test/\\[\\> <a\\+@b.test>",
    ],
    "raw HTML": [
        "<a><b2><c/> <a  /><b2\n c='d' >",
        "<a foo='bar' onclick=x bam = 'baz <em>\"</em>'\n_b zoop:33=z />",
        "</a></foo > <33> <__> <a h*#ref='hi'> <a href='hi> < a><\nb/>",
        "a <!-- b -- c --> <!--> d --> <!---> <?e?> <!F G> <![CDATA[>&<]]>",
        "x <svg><title></article></title><script>1</script></svg> y",
        'a <b>*c*</b> <a href="\\*"> <a href="\\"">',
    ],
    "line breaks": ["a  \nb", "a\\\nb", "*a  \nb*", "`a  \nb`", "# a  \n# b\\", "a\nb \n c\\"],
    "textual content": ["hello $.;'there", "Foo χρῆν", "a     b", "\u202eright\u202c \ufeff x"],
    "GFM tables": [
        "| a | b |\n| - | - |\n| c | d |",
        "| a | b |\n| :-: | -----------: |\nc | d",
        "| a\\|b |\n| -- |\n| c `\\|` d |\n| e **\\|** f |",
        "| a | b |\n| --- |\n| c |",
        "| a | b |\n| - | - |\n| c\n| d | e | f |\n> g",
        "| a |\n| - |\n| </table></div></article> |",
        "| a |\n| - |\n\n    code\n| b |",
        "- | a |\n  | - |\n  | b |",
        "| `a | b` |\n|:-|-:|\n||",
        "|" * 50 + "\n" + "|-" * 49 + "|\n" + "|x" * 200,
    ],
    "GFM task lists": [
        "- [ ] a\n- [x] b\n- [X] c\n- [-] d\n- [] e",
        "1. [x] a\n   - [ ] b\n     * [x] c",
        "- [x]\n- [ ]\n\n[x] no",
        "- [x] # a\n- [ ] > b\n- [x] ```\n  c\n  ```",
        "- [ ](http://x.test) a\n- [x]: b",
    ],
    "GFM strikethrough": ["~~a~~ ~b~ ~~~c~~~", "~~a\n\nb~~", "~~*a~~* **~~b**~~", "~~</del>~~"],
    "GFM autolinks": [
        "www.x.test http://x.test/a_(b) https://x.test?q=(c))+ok",
        "www.x.test/search?q=a&hl=en www.x.test/&copy; www.x.test<b",
        "a@b.test a.b-c_d@e.b a.b-c_d@e.b- mailto:a@b.test xmpp:a@b.test/c",
        "(www.x.test) *http://x.test* `www.x.test` [www.x.test](http://y.test)",
        'http://x.test/</article> https://x.test/"onmouseover=alert(1)',
    ],
    "GFM disallowed HTML": [
        "<strong> <title> <style> <em>\n\n<blockquote>\n  <xmp> is out. </xmp>\n</blockquote>",
        "<plaintext> <textarea> <noembed> <noframes> <script> <iframe>",
    ],
    "footnotes": [
        "a[^1] b[^1] c[^2]\n\n[^1]: One\n\n    two\n[^2]: ```\n    x\n",
        "[^a]: no reference\n\n[^b] [^c",
        "x[^1]\n\n[^1]: y[^1] [^2]\n\n[^2]: </li></ol></section>",
    ],
}
AFTER = (
    "Written and judged by model-a, model-b. Read it critically: check facts before relying on"
    " them. In the same folder: drafts and critiques, Markdown, summary."
)
CASES = [(section, text) for section, texts in EXAMPLES.items() for text in texts]
VOID = {"br", "hr", "input", "meta"}
PAGE = {"html", "head", "title", "style", "body", "header", "main", "nav", "article", "footer"}
PAGE |= {"svg", "rect", "span", "b", "time", "meta"}


class Tree(HTMLParser):
    """Checks that every tag is closed by its own; keeps what is inside and after the article."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.inside: list[tuple[str, set[str]]] = []
        self.articles = 0
        self.after: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if "article" in self.open:
            self.inside.append((tag, {name for name, _ in attrs}))
        else:
            assert tag in PAGE | TAGS, tag
        if tag not in VOID and tag != "rect":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag == "rect"

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag
        self.articles += tag == "article"

    def handle_data(self, data: str) -> None:
        if self.articles:
            self.after.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"an instruction: {data}")


def assert_whole(text: str) -> None:
    page = report_html(refined(f"# Report\n\n{text}"), "Summary.", offline=False)
    tree = Tree(page)
    assert tree.open == []
    assert tree.articles == 1
    assert {tag for tag, _ in tree.inside} <= TAGS
    assert {name for _, names in tree.inside for name in names} <= ATTRIBUTES - {"style"}
    assert "".join(tree.after).strip() == AFTER


@pytest.mark.parametrize(("section", "text"), CASES)
def test_an_example_leaves_the_page_whole(section: str, text: str) -> None:
    """The example is balanced, holds allowed elements only, and swallows nothing after it."""
    assert section
    assert_whole(text)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([text for _, text in CASES]), min_size=2, max_size=6))
def test_examples_one_after_another_leave_the_page_whole(texts: list[str]) -> None:
    """What one example leaves open does not reach into the page either."""
    assert_whole("\n\n".join(texts))


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*a* **b** `c`", "<p><em>a</em> <strong>b</strong> <code>c</code></p>"),
        ("~~a~~", "<p><s>a</s></p>"),
        ("a\\\nb", "<p>a<br>\nb</p>"),
        ("***\n", "<hr>"),
        ("> a", "<blockquote>\n<p>a</p>\n</blockquote>"),
        ("3. a\n4. b", '<ol start="3">\n<li>a</li>\n<li>b</li>\n</ol>'),
        ("```py\na < b\n```", '<pre tabindex="0"><code>a &lt; b\n</code></pre>'),
        ("| a |\n|--:|\n| b |", '<td class="right">b</td>'),
        ("- [x] a", '<li class="task"><input'),
        ("&copy; &amp;", "<p>© &amp;</p>"),
        ("[a](http://x.test)", '<a href="http://x.test" rel="noopener noreferrer nofollow">a</a>'),
        ("www.x.test", '<a href="http://www.x.test" rel="noopener noreferrer nofollow">'),
        ("<b>a</b>", "<p>&lt;b&gt;a&lt;/b&gt;</p>"),
    ],
)
def test_constructs_become_what_the_specifications_say(text: str, html: str) -> None:
    """Each sort of construct arrives as the element it stands for; raw HTML as text."""
    assert html in report_html(refined(f"# Report\n\n{text}"), "s", offline=False)


PIECES = st.sampled_from([*"ab1éß中 ,.;?()'\"/_*&\n", "http://", "word "])


@given(st.lists(PIECES).map("".join))
@settings(max_examples=300)
def test_words_without_markup_read_as_by_the_rules(words: str) -> None:
    """The short way for plain words gives the tokens that the rules give."""
    tokens = [token for token in parsed(words).tokens if token.type == "inline"]
    by_rules = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for token in tokens:
        [inline] = by_rules.parseInline(token.content)
        assert _shown(token.children) == _shown(inline.children)


def _shown(tokens: list[Token] | None) -> list[tuple[str, str, int]]:
    return [(token.type, token.content, token.level) for token in tokens or ()]
