"""The language and direction of a report come from the wish, else from its prose."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.text.language import language_of, language_tagged, prose_of
from prefect_llm_reports.tasks.text.language_names import tag_named

NAMED = {
    "Arabic": "ar", "العربية": "ar", "pt-BR": "pt-BR", "Brazilian Portuguese": "pt-BR",
    "Chinese (Traditional)": "zh-Hant", "Simplified Chinese": "zh-Hans", "zh_TW": "zh-Hant-TW",
    "繁體中文": "zh-Hant", "British English": "en-GB", "DEUTSCH": "de", "German, formal": "de",
    "en_US.UTF-8": "en-US", "français (Canada)": "fr-CA", "Latin American Spanish": "es-419",
    "Serbian (Cyrillic)": "sr-Cyrl", "日本語で": "ja", "Norwegian Bokmål": "nb", "he-IL": "he-IL",
    "az-Arab": "az-Arab", "plain English, please": "en", "Klingon": "", "": "", "x" * 5000: "",
}  # fmt: skip
TEXTS = {
    "ar": "تُعد GPT-5 من أهم النماذج في العالم. See https://example.org/a/long/path/in/latin/letters",
    "fa": "انرژی تجدیدپذیر چیست و چگونه کار می‌کند؟ پژوهش‌ها چنین می‌گویند",
    "ur": "یہ ایک رپورٹ ہے جو توانائی پر ہے اور اس میں بڑی باتیں ہیں",
    "he": "GPT-5 הוא מודל שפה גדול. `pip install something-very-long-in-latin-letters` עובד",
    "zh": "可再生能源是这个世界上最重要的问题之一，它会改变我们的生活。GPT-5 and more",
    "zh-Hant": "可再生能源是這個世界上最重要的問題之一，它會改變我們的生活。",
    "ja": "再生可能エネルギーは、世界で最も重要な課題の一つです。",
    "ko": "재생 에너지는 세계에서 가장 중요한 문제 중 하나이다.",
    "ru": "Возобновляемая энергия важна для мира.",
    "uk": "Відновлювана енергія є важливою для її країни.",
    "th": "พลังงานหมุนเวียนมีความสำคัญ", "hi": "नवीकरणीय ऊर्जा महत्वपूर्ण है",
    "el": "Η ενέργεια είναι σημαντική",
    "de": "Die Energie ist nicht für den Markt und die Netze, sie ist mit dem Land verbunden. " * 4,
    "en": "Renewable energy is what it is, and the world is on the way to more of it.",
}  # fmt: skip


def test_a_language_is_known_by_its_names_and_tags() -> None:
    """A name in English or in the language itself, with a region or script, gives its tag."""
    assert {wish: tag_named(wish) for wish in NAMED} == NAMED


@pytest.mark.parametrize("tag", TEXTS)
def test_prose_decides_where_no_language_is_named(tag: str) -> None:
    """Letters of the prose decide; code and addresses do not. English is only the default."""
    assert language_of("", TEXTS[tag]).tag == tag
    assert language_of("English", TEXTS[tag]).tag == tag
    assert language_of("Klingon", TEXTS[tag]).tag == tag


def test_a_named_language_decides() -> None:
    """Words of other scripts in a text do not outvote the language that was asked for."""
    mixed = "مرحبا. Transformers, embeddings, tokens and vectors are everywhere in this text."
    assert language_of("Arabic", mixed).tag == "ar"
    assert language_of("fa-IR", TEXTS["ar"]).tag == "fa-IR"
    assert language_of("Japanese", TEXTS["zh"]).tag == "ja"
    assert language_of("Japanese", TEXTS["ja"]).tag == "ja"
    assert language_of("Chinese", TEXTS["zh-Hant"]).tag == "zh-Hant"
    assert language_of("en-GB", "Short.").tag == "en-GB"
    assert language_of("German", TEXTS["he"]).tag == "he"  # not one German letter


def test_scripts_have_their_direction() -> None:
    """The script of the tag decides, else the usual one of the language."""
    leftwards = ["ar", "fa-IR", "he", "ur", "yi", "ps", "dv", "syr", "ckb", "ug", "az-Arab"]
    for tag in leftwards:
        assert language_tagged(tag).direction == "rtl", tag
    for tag in ["en", "zh", "ja", "ug-Latn", "az", "ru", "hi"]:
        assert language_tagged(tag).direction == "ltr", tag


def test_code_is_no_prose() -> None:
    """Fenced and inline code, addresses and formulas are left out."""
    text = "מילה\n\n```py\nlong_latin()\n```\n~~~\nopen\n"
    assert prose_of(text).split() == ["מילה"]
    assert "latin" not in prose_of("a `latin` [b](http://latin.example) c@latin.example $latin$")
