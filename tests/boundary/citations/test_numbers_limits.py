"""Numbers at random: the short way of looking for one agrees with the long way."""

from __future__ import annotations

import random

from prefect_llm_reports.tasks.citations.numbers import figures_in, known_numbers, stands_in

WRITTEN = [
    "12", "1,234", "1 234", "12.5", "3.4 million", "20 %", "12 May 2024", "May 12, 2024", "5th",
    "2024-05-12", "1/2", "½", "10-12", "2019/20", "$5m", "CO2", "1234", "0.5", "7 000 000", "about",
    "twelve", "five hundred", "of", "grid (3)", "Table 2", "x10", "12.05.2024", "100,000", "−5",
    "1.234,5", "-5", "+7", "3×4", "12k", "5 billion", "2 Mrd.", "10万",
]  # fmt: skip


def test_what_stands_there_as_written_is_found_in_full_too() -> None:
    """The short look around the same digits accepts nothing that reading the whole would not."""
    chance = random.Random(7)
    agreed = 0
    for _ in range(600):
        text = " ".join(chance.choices(WRITTEN, k=30))
        known = known_numbers([text])
        for figure in figures_in(" ".join(chance.choices(WRITTEN, k=12))):
            if stands_in(figure, text):
                assert known.holds(figure), (figure.text, text)
                agreed += 1
    assert agreed > 2000
