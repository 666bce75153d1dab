"""The language and direction of a report.docx: paragraphs, runs and tables marked with them.

Here: marks on XML that is already written. Not here: the writing (`pages.word`), the language
(`text.language`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from typing import Any

from prefect_llm_reports.tasks.text.language import Language

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_AFTER_BIDI = (
    "adjustRightInd", "snapToGrid", "spacing", "ind", "contextualSpacing", "mirrorIndents",
    "suppressOverlap", "jc", "textDirection", "textAlignment", "textboxTightWrap", "outlineLvl",
    "divId", "cnfStyle", "rPr", "sectPr", "pPrChange",
)  # fmt: skip
_AFTER_LANG = ("eastAsianLayout", "specVanish", "oMath", "rPrChange")
_AFTER_RTL = ("cs", "em", "lang", *_AFTER_LANG)
_AFTER_VISUAL = (
    "tblStyleRowBandSize", "tblStyleColBandSize", "tblW", "jc", "tblCellSpacing", "tblInd",
    "tblBorders", "shd", "tblLayout", "tblCellMar", "tblLook", "tblCaption", "tblDescription",
)  # fmt: skip
"""Elements that the schema puts after a property; properties are in one order."""
_REGIONS = {
    "ar": "ar-SA", "fa": "fa-IR", "he": "he-IL", "ur": "ur-PK", "ja": "ja-JP", "ko": "ko-KR",
    "zh": "zh-CN", "zh-Hans": "zh-CN", "zh-Hant": "zh-TW", "yue": "zh-HK", "en": "en-US",
    "de": "de-DE", "fr": "fr-FR", "es": "es-ES", "it": "it-IT", "pt": "pt-PT", "nl": "nl-NL",
    "pl": "pl-PL", "ru": "ru-RU", "uk": "uk-UA", "tr": "tr-TR", "hi": "hi-IN", "th": "th-TH",
    "vi": "vi-VN", "id": "id-ID", "sv": "sv-SE", "cs": "cs-CZ", "zh-Hans-CN": "zh-CN",
    "zh-Hant-TW": "zh-TW", "zh-Hant-HK": "zh-HK",
}  # fmt: skip
_EASTERN = {"zh": "SimSun", "ja": "MS Mincho", "ko": "Malgun Gothic", "yue": "PMingLiU"}
_COMPLEX = {
    "th",
    "lo",
    "km",
    "my",
    "hi",
    "mr",
    "ne",
    "bn",
    "ta",
    "te",
    "gu",
    "kn",
    "ml",
    "pa",
    "si",
}
_CODE_FONT = "Consolas"


def mark_language(body: Any, styles: Any, language: Language, english: Collection[Any]) -> None:
    """Mark a document with its language; one from right to left also in its paragraphs and tables.

    Args:
        body: The element `w:body`.
        styles: The element `w:styles`.
        language: The language of the report.
        english: Paragraphs in English, whatever the language of the report.
    """
    _mark_styles(styles, language)
    foreign = language.base != "en"
    for paragraph in body.iter(f"{_W}p"):
        own = paragraph not in english
        if not own and foreign:
            for run in paragraph.iter(f"{_W}r"):
                _put(_properties(run, "rPr"), "lang", _AFTER_LANG, val="en-US")
        elif own and not language.rightwards:
            _turn(paragraph, language)
    if not language.rightwards:
        for table in body.iter(f"{_W}tbl"):
            _put(table.find(f"{_W}tblPr"), "bidiVisual", _AFTER_VISUAL)


def _turn(paragraph: Any, language: Language) -> None:
    """Let a paragraph run from right to left, but for its code."""
    runs = list(paragraph.iter(f"{_W}r"))
    if runs and all(_is_code(run) for run in runs) and paragraph.find(f".//{_W}shd") is not None:
        return
    _put(_properties(paragraph, "pPr"), "bidi", _AFTER_BIDI)
    for run in runs:
        if _is_code(run):
            continue
        properties = _properties(run, "rPr")
        words = "".join(text.text or "" for text in run.iter(f"{_W}t"))
        if _runs_leftwards(words):
            _put(properties, "rtl", _AFTER_RTL)
        _put(properties, "lang", _AFTER_LANG, bidi=_locale(language))
        for plain in ("b", "i", "sz"):
            found = properties.find(f"{_W}{plain}")
            if found is not None and properties.find(f"{_W}{plain}Cs") is None:
                twin = found.makeelement(f"{_W}{plain}Cs", dict(found.attrib))
                found.addnext(twin)


def _runs_leftwards(words: str) -> bool:
    sides = {unicodedata.bidirectional(sign) for sign in words}
    return bool(sides & {"R", "AL"}) or "L" not in sides


def _is_code(run: Any) -> bool:
    fonts = run.find(f"{_W}rPr/{_W}rFonts")
    return fonts is not None and fonts.get(f"{_W}ascii") == _CODE_FONT


def _mark_styles(styles: Any, language: Language) -> None:
    locale = _locale(language)
    defaults = styles.find(f"{_W}docDefaults/{_W}rPrDefault/{_W}rPr")
    eastern = _EASTERN.get(language.base)
    if defaults is not None:
        complex_ = not language.rightwards or language.base in _COMPLEX
        slot = "eastAsia" if eastern else "bidi" if complex_ else "val"
        _put(
            defaults, "lang", _AFTER_LANG, **{slot: locale, **({"val": locale} if eastern else {})}
        )
    if eastern:
        family = "PMingLiU" if "Hant" in language.tag else eastern
        for fonts in styles.iter(f"{_W}rFonts"):
            fonts.attrib.pop(f"{_W}eastAsiaTheme", None)
            fonts.set(f"{_W}eastAsia", family)


def _locale(language: Language) -> str:
    return _REGIONS.get(language.tag) or (
        language.tag if "-" in language.tag else _REGIONS.get(language.base, language.tag)
    )


def _properties(element: Any, name: str) -> Any:
    found = element.find(f"{_W}{name}")
    if found is None:
        found = element.makeelement(f"{_W}{name}", {})
        element.insert(0, found)
    return found


def _put(properties: Any, name: str, successors: Collection[str], **values: str) -> None:
    """Set a property in the place that the schema gives it."""
    found = properties.find(f"{_W}{name}")
    if found is None:
        found = properties.makeelement(f"{_W}{name}", {})
        later = {f"{_W}{one}" for one in successors}
        place = next((n for n, one in enumerate(properties) if one.tag in later), len(properties))
        properties.insert(place, found)
    for attribute, value in values.items():
        found.set(f"{_W}{attribute}", value)
