"""Differences read well, lose nothing, and take bounded time whatever the texts are."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from prefect_llm_reports.tasks.text.differences import MAX_CHARS, Passage, blocks, differences


def told(old: str, new: str) -> list[Passage]:
    found = differences(old, new)
    assert found is not None
    return found


def olds(passages: list[Passage]) -> str:
    """The words of the old text, as the passages tell them."""
    return _words(passages, "added", "ins")


def news(passages: list[Passage]) -> str:
    """The words of the new text, as the passages tell them."""
    return _words(passages, "removed", "del")


def _words(passages: list[Passage], not_this_kind: str, not_this_part: str) -> str:
    words: list[str] = []
    for passage in passages:
        if passage.kind == "changed":
            words += ["".join(text for kind, text in passage.parts if kind != not_this_part)]
        elif passage.kind != not_this_kind:
            words += passage.blocks
    return "".join("".join(words).split())


def test_a_changed_word_is_marked_and_the_rest_is_not() -> None:
    """One changed word is shown with the old one beside it; other paragraphs stay folded."""
    old = "# T\n\nOne stays.\n\nThe tide rises twice a day here.\n\nLast."
    new = "# T\n\nOne stays.\n\nThe tide falls twice a day here.\n\nLast."
    assert told(old, new) == [
        Passage("same", ("# T", "One stays.")),
        Passage(
            "changed",
            ("The tide falls twice a day here.",),
            (
                ("same", "The tide "),
                ("del", "rises"),
                ("same", " "),
                ("ins", "falls"),
                ("same", " twice a day here."),
            ),
        ),
        Passage("same", ("Last.",)),
    ]


def test_added_and_removed_paragraphs_are_told_apart() -> None:
    """A paragraph that shares no words with an old one is new; one that is gone is removed."""
    old = "Alpha beta gamma delta.\n\nFirst paragraph of all, kept with care."
    new = "First paragraph of all, kept with great care.\n\nSomething else entirely here."
    assert [p.kind for p in told(old, new)] == ["removed", "changed", "added"]


def test_equal_texts_have_no_difference() -> None:
    """Equal texts are one folded passage, and two empty ones none."""
    assert [p.kind for p in told("a\n\nb", "a\n\n\n b\n")][:1] == ["same"]
    assert told("a\n\nb", "a\n\nb") == [Passage("same", ("a", "b"))]
    assert told("", "") == []


def test_fenced_code_is_one_block() -> None:
    """Blank lines inside fenced code do not cut it."""
    assert blocks("a\n\n```\nx\n\ny\n```\n\nb") == ["a", "```\nx\n\ny\n```", "b"]
    assert blocks("a\n \n\nb\n") == ["a", "b"]
    assert blocks("~~~\n\nopen to the end") == ["~~~\n\nopen to the end"]


def test_languages_without_spaces_are_compared_by_character() -> None:
    """A Japanese sentence with one changed word is not shown as wholly new."""
    [changed] = told("潮力発電は月の重力で動く発電です。", "潮力発電は月の引力で動く発電です。")
    assert changed.kind == "changed"
    assert ("del", "重") in changed.parts
    assert ("ins", "引") in changed.parts


WORDS = st.sampled_from(["the", "tide", "rises", "falls", "a", "b", "c", "e.", "\n"])
TEXTS = st.lists(st.lists(WORDS, max_size=12).map(" ".join), max_size=8).map("\n\n".join)


def _hostile() -> dict[str, tuple[str, str]]:
    rng = random.Random(7)
    few = [rng.choice("ab") for _ in range(90_000)]
    many = [f"w{n}" for n in range(30_000)]
    back = many[::-1]
    return {
        "two words": (" ".join(few), " ".join(few[::-1])),
        "two words a paragraph": ("\n\n".join(few[:30_000]), "\n\n".join(few[30_000:60_000])),
        "backwards": (" ".join(many), " ".join(back)),
        "backwards by paragraph": ("\n\n".join(many[:3900]), "\n\n".join(back[-3900:])),
        "shifted": (" ".join(many), " ".join(many[1::2])),
        "one letter": ("a " * 99_000, "a " * 50_000 + "b"),
        "blank lines": ("\n \n" * 60_000, "\n" * 190_000),
        "fences": ("```\n" * 40_000, "~~~\n```\n" * 20_000),
        "like paragraphs": (
            "\n\n".join(f"{rng.random()} same words in all of them" for _ in range(3_000)),
            "\n\n".join(f"{rng.random()} same words in all of them" for _ in range(3_000)),
        ),
    }


def test_texts_that_are_too_long_are_not_compared() -> None:
    """Beyond the bound nothing is computed, and the result says so."""
    assert differences("x" * (MAX_CHARS + 1), "x") is None
    assert differences("x", "x\n\n" * 5_000) is None
