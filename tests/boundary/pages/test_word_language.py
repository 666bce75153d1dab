"""Every format says the language of the report and runs in its direction."""

from __future__ import annotations

import io
import json
import re
import zipfile
from typing import Any

import pypdf
import pytest

from prefect_llm_reports.tasks.pages import pdf
from prefect_llm_reports.tasks.pages.document import document_of
from prefect_llm_reports.tasks.pages.fonts import packages_for
from prefect_llm_reports.tasks.pages.reader import reader_page
from prefect_llm_reports.tasks.pages.report import report_html, report_markdown
from prefect_llm_reports.tasks.pages.word import docx_of
from prefect_llm_reports.tasks.text.changes import compared
from tests.boundary.pages.test_pdf_and_word import refined

ARABIC = """# الطاقة المتجددة

تُعد GPT-5 من أهم النماذج. **الطاقة الشمسية** مهمة (بنسبة 35%).

- أولاً، و`.venv\\Scripts` للتثبيت.

| البند | التكلفة |
|---|---:|
| توربين | 1,200 |

```sh
.venv\\Scripts\\activate
```
"""
CHINESE = "# 可再生能源\n\n" + "可再生能源是世界上最重要的问题之一，它会改变生活。" * 20 + "\n"
ADDRESS = "https://example.org/" + "a" * 50 + "/" + "b" * 50


def xml(text: str, name: str = "document") -> str:
    made = docx_of(document_of(refined(text, "T"), "s", offline=True))
    return zipfile.ZipFile(io.BytesIO(made)).read(f"word/{name}.xml").decode()


def test_a_document_from_right_to_left_is_marked_as_such() -> None:
    """Paragraphs, runs and tables are turned, English words and code are not."""
    body = xml(ARABIC)
    paragraphs = re.findall(r"<w:p>.*?</w:p>", body, re.DOTALL)
    turned = {re.sub(r"<[^>]*>", "", p): "<w:bidi/>" in p for p in paragraphs}
    assert turned["الطاقة المتجددة"]
    assert turned["تُعد GPT-5 من أهم النماذج. الطاقة الشمسية مهمة (بنسبة 35%)."]
    assert not turned["Written by the offline rule-based engine, no language model"]
    assert not turned[".venv\\Scripts\\activate"]
    assert "<w:b/><w:bCs/><w:rtl/>" in body
    code = re.search(r"<w:r>(?:(?!<w:r>).)*Scripts</w:t>", body)
    assert code is not None
    assert "w:rtl" not in code[0]
    assert "<w:bidiVisual/>" in body
    assert 'w:bidi="ar-SA"' in xml(ARABIC, "styles")


def test_a_chinese_document_names_its_language_and_font() -> None:
    """Word takes Chinese glyphs for Chinese text, not Japanese ones."""
    styles = xml(CHINESE, "styles")
    assert 'w:eastAsia="zh-CN"' in styles
    assert 'w:eastAsia="SimSun"' in styles
    assert "w:bidi/" not in xml(CHINESE)
    assert 'w:eastAsia="zh-TW"' in xml("# 這個問題\n\n這個問題對我們來說很重要。", "styles")


def test_pdf_names_the_language_and_keeps_its_text_whole() -> None:
    """The catalog has the language; no invisible character stands between the signs of a text."""
    for text, tag in ((ARABIC, "ar"), (CHINESE, "zh"), (f"# A\n\n{ADDRESS}", "en")):
        made = pdf.pdf_of(document_of(refined(text, "T"), "s", offline=False))
        reader = pypdf.PdfReader(io.BytesIO(made))
        root: Any = reader.trailer["/Root"]
        assert str(root["/Lang"]) == tag
    unspaced = CHINESE + "ก" * 90 + "អ" * 90 + "ب" * 90
    for text, seams in ((unspaced, False), (f"# A\n\n{ADDRESS}", True), ("д" * 90, True)):
        values = pdf._values(document_of(refined(text, "T"), "s", offline=False))
        assert ("\u200b" in json.dumps(values, ensure_ascii=False)) == seams


def test_characters_without_a_font_are_named() -> None:
    """What no font of the machine can show is known before readers see boxes."""
    known = document_of(refined("# A\n\nÄ λ Ж", "T"), "s", offline=False)
    assert pdf.characters_without_font(known) == ""
    private = document_of(refined("# A\n\nx \U0001f9ff \U00013000", "T"), "s", offline=False)
    assert "\U00013000" in pdf.characters_without_font(private)
    assert packages_for("中") == "fonts-noto-cjk"


@pytest.mark.parametrize(
    ("text", "language", "tag", "way"),
    [
        (ARABIC, "", "ar", "rtl"),
        (CHINESE, "", "zh", "ltr"),
        ("# Title\n\nWords.", "ur", "ur", "rtl"),
        ("# Title\n\nWords.", "", "en", "ltr"),
    ],
)
def test_pages_have_one_language_and_direction(
    text: str, language: str, tag: str, way: str
) -> None:
    """Root and article say it, and so does report.md; words of the pages stay English."""
    report = refined(text).model_copy(update={"language": language})
    markdown = report_markdown(report, offline=False)
    for page in (
        report_html(report, "s", offline=False),
        reader_page(report, "s", markdown, compared(None, markdown), {}, offline=False),
    ):
        direction = "" if tag == "en" else f' dir="{way}"'
        assert f'<html lang="{tag}"{direction}>' in page
        assert f'<article lang="{tag}" dir="{way}">' in page
        if tag != "en":
            assert page.count(' lang="en"') == page.count(' lang="en" dir="ltr"') > 5
        assert ('<pre dir="ltr"' in page) == ("```" in text and way == "rtl")
    assert (f"\nlang: {tag}\n" in markdown) == (tag != "en")


def test_a_draft_cannot_turn_what_stands_around_it() -> None:
    """U+202E in a title or a text ends there."""
    evil = "gpj.\u202eexe"
    report = refined(f"# {evil}\n\n{evil} and `{evil}`\n\n## {evil}\n", title=evil)
    page = report_html(report, evil, offline=False)
    assert page.count("\u202e") >= 7
    assert page.count("\u202e") == page.count("\u2068gpj.\u202eexe")
    assert page.count("\u202e") == page.count("\u202c") == page.count("\u2069")
