"""Passages: their size, their places, and what a change moves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from prefect_llm_reports.tasks.sources.cutting import LEAST, MOST, cut
from prefect_llm_reports.tasks.sources.pieces import Piece
from prefect_llm_reports.tasks.sources.words import word_count


def words(count: int, name: str = "w") -> str:
    sentences = [
        " ".join(f"{name}{n}" for n in range(at, min(at + 12, count))) for at in range(0, count, 12)
    ]
    return " ".join(f"{sentence}." for sentence in sentences)


@given(st.lists(st.integers(1, 600), min_size=1, max_size=12))
def test_passages_have_100_to_250_words_where_the_place_has_as_many(sizes: list[int]) -> None:
    """However long the paragraphs are, no word is lost, and no passage is too long or too short."""
    pieces = [Piece(words(size, f"p{n}x"), "Part") for n, size in enumerate(sizes)]
    found = list(cut(pieces))
    assert " ".join(c.text for c in found).split() == " ".join(p.text for p in pieces).split()
    assert [c.words for c in found] == [word_count(c.text) for c in found]
    assert max(c.words for c in found) <= MOST
    assert min(c.words for c in found) >= min(LEAST, sum(sizes))
    assert {c.place for c in found} == {"Part"}


def test_a_passage_stays_in_its_place() -> None:
    """A page or section begins a passage of its own, so a change in one moves no other."""
    pieces = [Piece(words(30), "page i"), Piece(words(300), "page ii"), Piece(words(20), "page 1")]
    before = list(cut(pieces))
    assert [c.place for c in before] == ["page i", "page ii", "page ii", "page 1"]
    after = list(cut([Piece(words(600, "new"), "page i"), *pieces[1:]]))
    assert after[-3:] == before[-3:]


def test_rows_are_whole_and_named_by_their_numbers() -> None:
    """Rows are joined line by line; the place says which, in which sheet and columns."""
    rows = [
        Piece(f"Region: r{n}; Sales: {n} " + words(20), "sheet S", n, "A to B")
        for n in range(2, 22)
    ]
    found = list(cut([Piece("Above.", "sheet S"), *rows]))
    assert [c.place for c in found] == [
        "sheet S",
        "sheet S, rows 2 to 8, columns A to B",
        "sheet S, rows 9 to 15, columns A to B",
        "sheet S, rows 16 to 21, columns A to B",
    ]
    assert found[1].text.splitlines() == [row.text for row in rows[:7]]
    (single,) = cut([Piece("x", "", 7, "A")])
    assert single.place == "row 7, column A"
    assert {c.place for c in cut([Piece(words(900), "", 7)])} == {"row 7"}


def test_texts_without_blanks_are_cut_by_their_signs() -> None:
    """Two signs count as a word; sentences end at their own full stops; one endless word is cut."""
    found = list(cut([Piece("潮汐能的成本很高。" * 200, "")]))
    assert all(LEAST <= c.words <= MOST and c.text.endswith("。") for c in found)
    assert "".join(c.text for c in found).replace(" ", "") == "潮汐能的成本很高。" * 200
    assert max(len(c.text) for c in cut([Piece("汐" * 5000)])) <= 2 * MOST + 2
