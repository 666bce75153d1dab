"""What a person may have meant by a word."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.text.spelling import did_you_mean, meant

WORDS = ("run", "branches", "--topics-file", "--topic-column", "length_words", "audience")
SAID = {
    "rnu": "run",
    "Branches": "branches",
    "branch": "branches",
    "--topic-file": "--topics-file",
    "--topics_file": "--topics-file",
    "--lengthwords": "length_words",
    "audiance": "audience",
    "zzz": "",
    "": "",
}


@pytest.mark.parametrize(("word", "wanted"), SAID.items())
def test_the_most_similar_known_word_is_meant(word: str, wanted: str) -> None:
    """Case, dashes and underscores do not count; a word like none is not guessed at."""
    assert meant(word, WORDS) == wanted
    assert did_you_mean(word, WORDS) == (f"; did you mean {wanted}?" if wanted else "")
