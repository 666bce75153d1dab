r"""Formulas are found by their marks, outside code, and told from money, brackets and shell."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.text.cleaning import clean_markdown, cleaned
from prefect_llm_reports.tasks.text.formulas import formulas
from prefect_llm_reports.tasks.text.html import html_of
from prefect_llm_reports.tasks.text.mathematics import Hidden, pieces_of
from prefect_llm_reports.tasks.text.sections import sections

FOUND = {
    "a $x$ b": ["x"],
    r"\(\alpha\) and \[ y = 2 \]": [r"\alpha", "y = 2"],
    "\\[\nx\n=\ny\n\\]": ["x\n=\ny"],
    "\\[\nx\n\n= y\n\\]\nz": ["x\n\n= y"],
    "> $$\n> x^2\n> $$\n": ["x^2"],
    "$$a$$ b $$c$$": ["a", "c"],
    r"$\text{a $b$ c}$": [r"\text{a $b$ c}"],
    "其中$x$是": ["x"],
    "H$_2$O": ["_2"],
    r"$a\$b$": [r"a\$b"],
    "$5$ and $3.5$": ["5", "3.5"],
    "| $P(A|B)$ | $|x|$ | $a | b$ |": ["P(A|B)", "|x|"],
    "\\begin{align}\na&=b\n\\end{align}": ["\\begin{align}\na&=b\n\\end{align}"],
    "`$a$` $b$ ``c $d$ ` `` $e$": ["b", "e"],
    "```\n$a$\n```\n$b$": ["b"],
    "costs $5 and $10": [],
    "US$5 bn versus A$6, or 10$ and 20$/month": [],
    "a $5/month and 10$/month b": [],
    "$ x$ $y $ and $x$1": [],
    "echo $HOME/bin:$PATH and ${A}:${B}": [],
    r"\[1\], \[x\], \[sic\], \[^1\], \[a=b\](c)": [],
    r"f\(see this note\) \\(x\\)": [],
    "line $a\n- b$": [],
    "$a\n\nb$ $$c\n\nd$$": [],
    "~~~\n$never closed$": [],
    "no \U000f0000 formulas $x$": ["x"],
}


@pytest.mark.parametrize("text", FOUND)
def test_formulas_are_found_by_their_marks(text: str) -> None:
    """Each formula, in order; and the text is the same once they were hidden and shown again."""
    assert [formula.tex for formula in formulas(text)] == FOUND[text]
    hidden = Hidden(text)
    assert hidden.shown(hidden.text) == text


REPORT = r"""# Energy $E = m c^2$

Inline $a_1 * b_1$ and $c_2 * d_2$, \(\alpha\_i\), $\{x\}$, $i<n$, money $5 and $10.

\[
x
=
y \\
+ z
\]

> $$
> \begin{pmatrix} a & b \\ c & d \end{pmatrix}
> $$

| $P(A|B)$ | $\|v\|$ | $P(A\|B)$ |
|---|---|---|
| $\frac{a}{b}$ | [l $z$](https://x.test/a$b$c) | $\unknown{x}$ |

## Part \(y_1\)

`$code$` and $x^2$[^1].

[^1]: Note with $n^2$.
"""


def test_formulas_are_opaque_to_cleaning() -> None:
    """Not a byte of a formula changes, whatever it means in Markdown."""
    assert clean_markdown(REPORT) == REPORT


def test_formulas_are_mathml_in_html() -> None:
    """They are read before escapes, tables and headings; what does not convert is code."""
    page = html_of(cleaned(REPORT, "T"))
    told = [part.split('"')[0] for part in page.split('alttext="')[1:]]
    assert told == [
        "E = m c^2", "a_1 * b_1", "c_2 * d_2", r"\alpha\_i", r"\{x\}", "i&lt;n", r"x = y \\ + z",
        r"\begin{pmatrix} a &amp; b \\ c &amp; d \end{pmatrix}", "P(A|B)", r"\|v\|", "P(A|B)",
        r"\frac{a}{b}", "z", "y_1", "x^2", "n^2",
    ]  # fmt: skip
    assert r"<code>$\unknown{x}$</code>" in page
    assert "<code>$code$</code>" in page
    assert page.count('display="block"') == 2
    assert [h.anchor for h in cleaned(REPORT, "T").headings] == ["energy-e--m-c2", "part-y_1"]


def test_formulas_are_no_way_in() -> None:
    """What a viewer of plain CommonMark takes for a tag, an image or a bad link gets a space."""
    text = "$a <img src=x onerror=alert(1)> b$ $i![k](http://e.test/x.png)$ $[x](javascript:y)$"
    assert clean_markdown(f"# T\n\n{text}\n") == (
        "# T\n\n$a < img src=x onerror=alert(1)> b$ $i! [k] (http://e.test/x.png)$"
        " $[x] (javascript:y)$\n"
    )
    hostile = r"$\text{<script>alert(1)</script>}\href{javascript:x}{y}$ $\text{<b onclick=x>}$"
    page = html_of(cleaned(f"# T\n\n{hostile}\n", "T"))
    assert "<script" not in page
    assert "<b" not in page
    assert "href=" not in page


def test_sections_are_named_as_the_page_names_them() -> None:
    """A heading with a formula has one anchor, on the page and in the comparison of reports."""
    found = [section.anchor for section in sections(REPORT) if section.anchor]
    assert found[-1] == cleaned(REPORT, "T").headings[-1].anchor == "part-y_1"


def test_a_plain_text_has_its_formulas_as_pieces() -> None:
    """Words and formulas in order; nothing where there is no formula."""
    assert [p if isinstance(p, str) else p.tex for p in pieces_of("a $x$ b")] == ["a ", "x", " b"]
    assert pieces_of("costs $5 and $6") == ()


def test_an_escaped_backtick_before_others_is_no_code() -> None:
    """A run of backticks whose first is escaped opens code that nothing may close."""
    assert [found.source for found in formulas("a \\``` b $x$")] == ["$x$"]
