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
    return _words(passages, {"added", "moved"}, "ins")


def news(passages: list[Passage]) -> str:
    """The words of the new text, as the passages tell them."""
    return _words(passages, {"removed", "away"}, "del")


def _words(passages: list[Passage], not_these_kinds: set[str], not_this_part: str) -> str:
    words: list[str] = []
    for passage in passages:
        if passage.kind in not_these_kinds:
            continue
        if passage.parts:
            words += ["".join(text for kind, text in passage.parts if kind != not_this_part)]
        else:
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


SECTION = "## Costs\n\nThe barrage costs a lot to build.\n\nIt costs little to run for a century."
OTHER = "## Sites\n\nThree sites are known today.\n\nOne of them stands in Korea since 2011."


def test_a_section_that_stands_elsewhere_is_told_as_moved() -> None:
    """Two swapped sections: one has moved, as one passage, and its old place is marked."""
    passages = told(f"# T\n\n{SECTION}\n\n{OTHER}", f"# T\n\n{OTHER}\n\n{SECTION}")
    assert sorted(p.kind for p in passages) == ["away", "moved", "same", "same"]
    [moved] = [p for p in passages if p.kind == "moved"]
    [away] = [p for p in passages if p.kind == "away"]
    assert moved.blocks == away.blocks
    assert len(moved.blocks) == 3
    assert moved.parts == (("same", "\n\n".join(moved.blocks)),)


def test_a_moved_paragraph_may_have_changed() -> None:
    """A paragraph that was moved and edited is moved, with its changed words marked."""
    later = SECTION.replace("a lot", "very much")
    passages = told(f"{SECTION}\n\n{OTHER}\n\nEnd.", f"{OTHER}\n\nEnd.\n\n{later}")
    edited = [p for p in passages if p.kind == "moved" and len(p.parts) > 1]
    assert [p.blocks for p in edited] == [("The barrage costs very much to build.",)]
    assert ("ins", "very much") in edited[0].parts
    assert not [p for p in passages if p.kind in ("added", "removed")]


def test_a_moved_paragraph_may_have_been_split() -> None:
    """A paragraph that was moved and split is moved, with both of its parts."""
    long = "The barrage costs a lot to build. It costs little to run for a century, they say."
    split = long.replace("build. ", "build.\n\n")
    passages = told(f"{long}\n\n{OTHER}\n\nEnd.", f"{OTHER}\n\nEnd.\n\n{split}")
    [moved] = [p for p in passages if p.kind == "moved"]
    assert len(moved.blocks) == 2
    assert not [p for p in passages if p.kind in ("added", "removed")]


def test_split_and_joined_paragraphs_are_told_as_such() -> None:
    """Another border between paragraphs is no removal, whatever words change beside it."""
    one, two = "The tide rises twice a day at this coast.", "It falls as often, and never waits."
    three = "Nobody has seen it stop."
    assert [
        (p.kind, p.blocks) for p in told(f"{one} {two} {three}", f"{one}\n\n{two} {three}")
    ] == [("split", (one, f"{two} {three}"))]
    [joined] = told(f"{one}\n\n{two}\n\n{three}", f"{one} {two} {three}".replace("coast", "shore"))
    assert joined.kind == "joined"
    assert ("del", "coast.") in joined.parts
    thai = "การขึ้นลงของน้ำเกิดจากแรงโน้มถ่วงของดวงจันทร์", "โรงไฟฟ้าใช้น้ำขึ้นน้ำลงผลิตไฟฟ้า"
    assert [p.kind for p in told("".join(thai), "\n\n".join(thai))] == ["split"]


def test_marks_stay_with_their_letters() -> None:
    """Scripts without spaces are compared by letter with its marks, never by half a letter."""
    [changed] = told("น้ำขึ้นน้ำลงเกิดที่ทะเลใหญ่ทุกวัน", "น้ำขึ้นน้ำลงเกิดที่ทะเลใหญ่ทุกวีน")
    assert changed.kind == "changed"
    assert [part for part in changed.parts if part[0] != "same"] == [("del", "วั"), ("ins", "วี")]
    [korean] = told("조력 발전은 달의 중력으로 움직인다", "조력 발전은 달의 인력으로 움직인다")
    assert ("del", "중력으로") in korean.parts


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
        "swapped halves": (
            "\n\n".join(f"word{n} and other words {n}" for n in range(3_000)),
            "\n\n".join(f"word{(n * 7) % 3000} and other words {n} more" for n in range(3_000)),
        ),
        "parts of one": (
            "\n\n".join(" ".join(many[n : n + 9]) for n in range(0, 15_000, 5)),
            "\n\n".join(" ".join(many[n : n + 5]) for n in range(0, 15_000, 4)),
        ),
        "thai": ("\u0e01\u0e34" * 90_000, "\u0e34\u0e01" * 90_000),
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
