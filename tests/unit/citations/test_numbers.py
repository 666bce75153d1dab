"""Numbers are the same in every spelling, and different when a digit is."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.citations.numbers import figures_in, known_numbers
from prefect_llm_reports.tasks.citations.sums import shown_results


@pytest.mark.parametrize(
    ("passage", "sentence", "found"),
    [
        ("1,234.5 euros", "1.234,5", "1"), ("1 234 people", "1,234", "1"), ("0.5", "½", "1"),
        ("1'234'567", "1,234,567 and 1 234 567", "11"), ("12,34,567 rupees", "1,234,567", "1"),
        ("47 percent", "47 % and 48 %", "10"), ("12.5", "12,5 and 12.6", "10"),
        ("3,487,212", "3.5 million, 3.4 million", "10"),
        ("3,487", "about 3,500, or 3,500; nearly 3,600", "100"), ("47.3", "47, 48", "10"),
        ("3.5 million", "3,500,000 or 35", "10"), ("5.2bn", "5,200,000,000", "1"),
        ("3.5万", "35,000", "1"), ("12.3 lakh", "1,230,000", "1"),
        ("2 Mrd. Euro", "2 billion", "1"),
        ("In millions: 5.2", "5.2 million", "1"), ("5.2", "5.2 million", "0"),
        ("twelve", "12", "1"), ("12", "twelve and thirteen", "10"), ("zwölf", "12", "1"),
        ("two hundred and five", "205 and 200", "10"), ("三十五人", "35", "1"),
        ("3 May 2024", "2024-05-03, 4 May 2024, May 3, 2024, 3 May", "1011"),
        ("2024年5月3日", "3 May 2024", "1"), ("3. Mai 2024", "May 3, 2024", "1"),
        ("1.2.2020", "2020-02-01, 2020-01-02, 2020-01-03", "110"),
        ("2019–21", "2019, 2021, 2020", "110"), ("the 1990s", "1990s and 1980s", "10"),
        ("the twenty-first", "21st", "1"), ("21st century", "21", "1"), ("٣٫٥", "3.5", "1"),
        ("v3.11.2", "3.11.2 and 3.11.3", "10"), ("$5m", "US$5 million", "1"),
        ("10-fold", "10", "1"), ("5-10", "5 to 10, 7", "110"), ("0.25", "¼", "1"),
        ("five decisions, twelve mayors", "5 decisions in 12 mayoral terms", "11"),
        ("6 December", "5 decades and 6 Dec.", "01"), ("3 marches", "3 May, three marches", "0"),
        ("Jahr 2020", "1.000 Euro", "0"), ("2020", "in 2020 300 people", "10"),
    ],
)  # fmt: skip
def test_a_number_is_found_in_every_spelling(passage: str, sentence: str, found: str) -> None:
    """Groups, decimals, magnitudes, words, dates and scripts do not matter; the value does."""
    known = known_numbers([passage])
    figures = figures_in(sentence)
    assert "".join(str(int(known.holds(figure))) for figure in figures) == found, figures


@pytest.mark.parametrize(
    "sentence",
    [
        *("CO2, GPT-4, COVID-19 and 5G", "see Table 2 and step 3", "(1) yes; (2) no"),
        *("two reasons", "see https://example.org/2024/05?n=7 and www.example.org/9"),
        *("doi 10.1000/182 by ana7@mail2.example.org", "ftp://x.example/1.2/3"),
    ],
)
def test_names_and_own_counts_are_no_figures(sentence: str) -> None:
    """They claim nothing that a passage must have."""
    assert figures_in(sentence) == ()


@pytest.mark.parametrize(
    ("rest", "results"),
    [
        ("; 150 - 120 = 30 million", {30, 30e6}), ("120 + 150 = 270", {270}),
        ("(150 − 120) / 120 = 25 %", {25, 0.25}), ("150 / 120 = 1.25", {1.25}),
        ("of 120, so 120/150 × 100 = 80", {80}), ("150 - 120 = 31", set()),
        ("150 - 99 = 51", set()), ("150 / 0 = 5", set()), ("((((150", set()), ("150 = 150", set()),
        ("150 - 120 = 30; 30 / 120 = 25 %", {30, 25, 0.25}),
    ],
)  # fmt: skip
def test_sums_that_a_note_shows_are_computed_again(rest: str, results: set[float]) -> None:
    """They may use numbers of the passages and earlier results; a wrong one is worth nothing."""
    known = known_numbers(["sales of 120 million, then 150 million"])
    assert {float(value) for value in shown_results(rest, known)} == results
