"""The fonts of PDF and DOCX by language: names of families, the best first.

Here: names only. Not here: which of them a machine has (`pages.pdf`).
"""

from __future__ import annotations

from collections.abc import Collection

from prefect_llm_reports.tasks.text.language import Language, script_of

SERIF = "Libertinus Serif"
"""The family that every report has; Typst brings it."""

_LAST = ("Droid Sans Fallback", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Arial Unicode MS")
_BY_LANGUAGE = {
    "zh": ("Noto Serif CJK SC", "Noto Serif SC", "Source Han Serif SC", "Songti SC", "SimSun",
           "Noto Sans CJK SC", "Noto Sans SC", "PingFang SC", "Microsoft YaHei", *_LAST),
    "zh-Hant": ("Noto Serif CJK TC", "Noto Serif TC", "Source Han Serif TC", "Songti TC",
                "PMingLiU", "Noto Sans CJK TC", "Noto Sans TC", "PingFang TC",
                "Microsoft JhengHei", *_LAST),
    "ja": ("Noto Serif CJK JP", "Noto Serif JP", "Source Han Serif", "Hiragino Mincho ProN",
           "Yu Mincho", "MS Mincho", "Noto Sans CJK JP", "Noto Sans JP", "IPAexMincho", *_LAST),
    "ko": ("Noto Serif CJK KR", "Noto Serif KR", "Source Han Serif K", "AppleMyungjo", "Batang",
           "Noto Sans CJK KR", "Noto Sans KR", "Malgun Gothic", "NanumMyeongjo", *_LAST),
    "ur": ("Noto Nastaliq Urdu", "Noto Naskh Arabic", "Amiri", "Geeza Pro", "Times New Roman"),
    "he": ("Noto Serif Hebrew", "David CLM", "Frank Ruehl CLM", "David", "Times New Roman",
           "Liberation Serif", "DejaVu Sans"),
    "th": ("Noto Serif Thai", "Norasi", "Thonburi", "Leelawadee UI", "Noto Sans Thai", "Loma"),
    "hi": ("Noto Serif Devanagari", "Noto Sans Devanagari", "Kohinoor Devanagari", "Nirmala UI",
           "Lohit Devanagari"),
    "bn": ("Noto Serif Bengali", "Noto Sans Bengali", "Nirmala UI", "Lohit Bengali"),
    "ta": ("Noto Serif Tamil", "Noto Sans Tamil", "Nirmala UI", "Lohit Tamil"),
    "te": ("Noto Serif Telugu", "Noto Sans Telugu", "Nirmala UI"),
    "km": ("Noto Serif Khmer", "Khmer OS", "Noto Sans Khmer", "Leelawadee UI"),
    "lo": ("Noto Serif Lao", "Noto Sans Lao", "Leelawadee UI"),
    "my": ("Noto Serif Myanmar", "Noto Sans Myanmar", "Padauk"),
    "ka": ("Noto Serif Georgian", "DejaVu Serif"),
    "hy": ("Noto Serif Armenian", "DejaVu Serif"),
    "am": ("Noto Serif Ethiopic", "Noto Sans Ethiopic", "Nyala"),
}  # fmt: skip
_ARABIC = ("Noto Naskh Arabic", "Amiri", "Scheherazade New", "Geeza Pro", "Traditional Arabic",
           "Times New Roman", "DejaVu Sans")  # fmt: skip
_SAME = {
    **dict.fromkeys(("mr", "ne"), "hi"), "yue": "zh-Hant", "yi": "he",
}  # fmt: skip
_DEBIAN = {
    **dict.fromkeys(("Hani", "Kana", "Hang"), "fonts-noto-cjk"),
    "Thai": "fonts-noto-core or fonts-thai-tlwg",
}


def families(language: Language, known: Collection[str]) -> list[str]:
    """Families of serifs for a language, the best first; all of them are on this machine.

    Args:
        language: The language of the report.
        known: The families that the machine has.
    """
    found = [name for name in _wanted(language) if name in known]
    return [SERIF, *found]


def _wanted(language: Language) -> tuple[str, ...]:
    if language.base == "zh" and "Hant" in language.tag:
        return _BY_LANGUAGE["zh-Hant"]
    name = _SAME.get(language.base, language.base)
    return _BY_LANGUAGE.get(name, () if language.rightwards else _ARABIC)


def packages_for(missing: Collection[str]) -> str:
    """The Debian packages whose fonts have these characters, in words.

    Args:
        missing: Characters that no font of the machine has.
    """
    scripts = {script_of(sign) for sign in missing}
    found = {_DEBIAN.get(script, "fonts-noto-core") for script in scripts if script}
    return ", ".join(sorted(found)) or "fonts-noto-core"
