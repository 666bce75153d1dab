"""TeX becomes MathML of known elements; what is not known or too large is refused."""

from __future__ import annotations

import re

import pytest

from prefect_llm_reports.tasks.text.math_letters import styled
from prefect_llm_reports.tasks.text.mathml import ATTRIBUTES, mathml_of

KNOWN = {
    r"\begin{aligned} a &= b \\ &= c \end{aligned}": "a=b=c",
    r"\begin{cases} 1 & x>0 \\ 0 & \text{else} \end{cases}": "{1x&gt;00else",
    r"\begin{gather} a \\ b \end{gather}": "ab",
    r"\begin{equation} a \label{e} \end{equation}": "a",
    r"\begin{alignat}{2} a&=b\end{alignat}": "a=b",
    r"\langle a \rangle \mathrm{ReLU}(x)": "⟨a⟩ReLU(x)",
    r"\lim_{n\to\infty} \operatorname{softmax}": "limn→∞softmax",
    r"\mathbf{W} \boldsymbol{\theta} \mathbb{R}": "𝐖𝜽ℝ",
    r"x \not= y \tag{1}": "x≠y(1)",
    r"\xrightarrow{f} \underbrace{a}_{n} \boxed{z}": "→fa⏟nz",
    r"\hspace{99em}\color{red}{x}": "x",
    r"f'(x)": "f′(x)",
}
REFUSED = [
    r"\foo{x}", r"\def\a{b}\a", r"\newcommand{\a}{b}", r"\href{https://x.test}{y}", "a & b",
    "{" * 2000 + "}" * 2000, r"\left(" * 200, "x" * 6000, r"\frac{a}", "x^", r"\begin{array",
    "x_" * 3000, r"\sqrt{" * 500,
]  # fmt: skip


@pytest.mark.parametrize("tex", KNOWN)
def test_tex_becomes_mathml(tex: str) -> None:
    """The signs are all there, in elements and attributes that are known."""
    made = mathml_of(tex, display=True)
    assert made is not None
    assert re.sub(r"<[^>]*>|[\s\xa0]", "", made) == KNOWN[tex]
    for tag, given in re.findall(r"<(\w+)([^>]*)>", made):
        assert set(re.findall(r'(\w+)="', given)) <= ATTRIBUTES[tag]


@pytest.mark.parametrize("tex", REFUSED)
def test_what_does_not_convert_is_refused(tex: str) -> None:
    """Unknown commands, definitions, links, broken and endless formulas."""
    assert mathml_of(tex, display=False) is None


def test_letters_have_their_style() -> None:
    """Unicode has each style, some letters elsewhere."""
    assert styled("Aa1", "bold") == "𝐀𝐚𝟏"
    assert styled("RCx", "double-struck") == "ℝℂ𝕩"
    assert styled("hΩ-", "italic") == "ℎ𝛺-"
