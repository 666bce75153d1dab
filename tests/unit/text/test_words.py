"""Words are counted between Unicode's boundaries, and reading takes the same time in any script."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.text.language import language_of
from prefect_llm_reports.tasks.text.words import count_words, reading_minutes

WORDS = {
    "It's 3.5 o'clock, well-known e.g. 1,234 - # **": 7,
    "c’est l’été, déjà": 3,
    "可再生能源": 5,
    "東京タワーへ行く": 6,
    "नमस्ते दुनिया हिन्दी": 3,
    "สวัสดีชาวโลก": 3,
    "שָׁלוֹם לכם": 2,
    "قال المُعلِّم": 2,
    "می‌کند": 1,
    "한국어 문장": 2,
    "Mixed 中文 text": 4,
    "": 0,
}


@pytest.mark.parametrize("text", WORDS)
def test_words_stand_between_boundaries(text: str) -> None:
    """Marks and signs inside a word do not split it; each sign of Chinese is a word."""
    assert count_words(text) == WORDS[text]


OTHERS = ("a..b ..c .. 'd' x'y:z", "Ærø–Ʊʌ “q’s” ٣², _a_b", "слово, дом", "na\u00efve...")


@pytest.mark.parametrize("text", [*WORDS, *OTHERS])
def test_words_count_the_same_beside_other_scripts(text: str) -> None:
    """Plain texts are counted in a quicker way, with the same result as beside Chinese."""
    assert count_words(f"{text} 中") == count_words(text) + 1


def test_reading_takes_time_in_every_script() -> None:
    """230 words take a minute, and so do 500 signs of Chinese."""
    assert reading_minutes("word " * 2300) == pytest.approx(10)
    assert reading_minutes("中" * 8574) == pytest.approx(17.148)
    assert reading_minutes("слово " * 230 + "中" * 500) == pytest.approx(2)
    assert 0.5 < reading_minutes("พลังงานหมุนเวียน" * 50) < 2


@pytest.mark.parametrize("half", ["\ud83d", "\udc00 half", "half \ud83d\ud83d a character"])
def test_half_a_character_is_no_error(half: str) -> None:
    """Words are counted and the language is found before anything is cleaned."""
    for text in (half, f"Tidal power {half} is costly.", f"{half} " * 50, f"潮汐 {half}"):
        assert count_words(text) >= 0
        assert language_of("", text).tag
