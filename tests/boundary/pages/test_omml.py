r"""Formulas are mathematics in report.docx and report.pdf, and every word around them is there."""

from __future__ import annotations

import io
import re
import zipfile

import pypdf
import pytest

from prefect_llm_reports.tasks.pages import pdf
from prefect_llm_reports.tasks.pages.document import document_of
from prefect_llm_reports.tasks.pages.omml import omml_of
from prefect_llm_reports.tasks.pages.typst_math import typst_of
from prefect_llm_reports.tasks.pages.word import docx_of
from prefect_llm_reports.tasks.text.mathml import converted
from tests.boundary.pages.test_pdf_and_word import refined

KINDS = {
    r"\frac{a}{b}": ("m:f", "fraction"),
    r"\binom{n}{k}": ("m:f", "fenced"),
    r"\sqrt{x}": ("m:rad", "sqrt"),
    r"\sqrt[3]{x}": ("m:rad", "root"),
    "x_1": ("m:sSub", "scripts"),
    "x^2": ("m:sSup", "scripts"),
    "x_1^2": ("m:sSubSup", "scripts"),
    r"\sum_{i=1}^n i": ("m:nary", "row"),
    r"\lim_{n\to\infty} a": ("m:limLow", "row"),
    r"\left( \frac12 \right]": ("m:d", "fenced"),
    r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}": ("m:m", "fenced"),
    r"\begin{aligned} a &= b \\ &= c \end{aligned}": ("m:m", "aligned"),
    r"\hat{y}": ("m:acc", "accent"),
    r"\overline{ab}": ("m:bar", "overline"),
    r"\underbrace{a+b}_{n}": ("m:groupChr", "underbrace"),
    r"\boxed{x}": ("m:borderBox", "boxed"),
    r"\cancel{x}": ("m:borderBox", "struck"),
    r"\phantom{x}": ("m:phant", "hidden"),
    r"\xrightarrow{f}": ("m:limUpp", "limits"),
    r"f'": ("m:sSup", "scripts"),
    r"\text{a < b & c}": ("m:r", "text"),
}
TEXT = r"""# Sums $\sum_i x_i$

Before $x_1$ between \[ \frac{a}{b} \] after, #set text(red) @ref.

| Cell $\alpha$ | $\unknown{y}$ |
|---|---|
| one | $\begin{cases} 1 & x>0 \\ 0 & \text{else} \end{cases}$ |

- point $\hat{z}$
"""


@pytest.mark.parametrize("tex", KINDS)
def test_each_kind_of_formula_has_its_form(tex: str) -> None:
    """The same tree becomes Word's elements, and values for the template of the PDF."""
    tree = converted(tex, display=True)
    assert tree is not None
    element, kind = KINDS[tex]
    assert f"<{element}>" in omml_of(tree)
    assert typst_of(tree)["kind"] == kind


def test_every_kind_is_typeset() -> None:
    """Typst takes all of them; none falls back to code."""
    text = "# All\n\n" + "\n\n".join(f"${tex}$\n\n$$\n{tex}\n$$" for tex in KINDS)
    document = document_of(refined(text, "All"), "s", offline=False)
    values = pdf._values(document)
    assert pdf._typeset(values, 0).startswith(b"%PDF")
    assert pdf._without_formulas(values)
    assert pdf._typeset(values, 0).startswith(b"%PDF")


def test_words_and_formulas_are_in_both_documents() -> None:
    """Words stand around formulas as in the text; what does not convert is shown as code."""
    document = document_of(refined(TEXT, "Sums"), "In short $s^2$.", offline=False)
    body = zipfile.ZipFile(io.BytesIO(docx_of(document))).read("word/document.xml").decode()
    assert body.count("<m:oMath ") + body.count("<m:oMath>") == 7
    assert body.count("<m:oMathPara") == 1
    words = re.sub(r"<[^>]*>", "", body)
    made = pdf.pdf_of(document)
    typeset = "".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(made)).pages)
    said = ("Before", "between", "after, #set text(red) @ref.", "Cell", r"$\unknown{y}$", "one",
            "point", "In short", "else")  # fmt: skip
    for text in (words, typeset):
        found = re.sub(r"\s+", " ", text)
        assert [word for word in said if word not in found] == []
    assert docx_of(document) == docx_of(document)
    assert pdf.pdf_of(document) == made
