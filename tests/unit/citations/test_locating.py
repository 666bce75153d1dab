"""Honest quotations are found whatever their typography, and altered ones are not."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest

from prefect_llm_reports.tasks.citations.folding import folded
from prefect_llm_reports.tasks.citations.locating import located, long_enough, words_in

PASSAGE = """# Output
The **reactor’s** output rose by 12.5 percent in 2023 – “a record”, the inter-
national well-
known agency said. It did not fall below -5 °C.
- First item here
- second item there
Costs are not _low_ in [Spain](http://x.y/z(1)a). ½ of ﬁrms "agree": 東京は日
本の首都である。 It grew\u200b slow\u00adly to 5-10 percent a year.
See snake_case, 5 * 3 and A&amp;B.
"""


@pytest.mark.parametrize(
    ("quote", "there"),
    [
        ("The reactor's output rose by 12.5", "The **reactor’s** output rose by 12.5"),
        ("the international well-known agency.", "the inter-\nnational well-\nknown agency"),
        ("the inter-national wellknown agency", "the inter-\nnational well-\nknown agency"),
        ("First item here second item there", "First item here\n- second item there"),
        ("First item here\n- second item there", "First item here\n- second item there"),
        ("costs are NOT low in Spain", "Costs are not _low_ in [Spain"),
        ("東京は日本の首都である", "東京は日\n本の首都である"),
        ("firms ‘agree’: 東京は日本", 'ﬁrms "agree": 東京は日\n本'),
        ('in 2023 - "a record", the', "in 2023 – “a record”, the"),
        ("It grew slowly to 5–10 percent", "It grew\u200b slow\u00adly to 5-10 percent"),
        ("The reactor […] rose ... 12.5", "The **reactor’s** output rose by 12.5"),
        ("See snake_case, 5 * 3 and A&B", "See snake_case, 5 * 3 and A&amp;B"),
        ("[t]he reactor's output rose", "The **reactor’s** output rose"),
    ],
)  # fmt: skip
def test_honest_quotations_are_found_at_their_place(quote: str, there: str) -> None:
    """Typography, line breaks, Markdown marks and ellipses in order do not matter."""
    place = located(quote, PASSAGE)
    assert place is not None
    assert PASSAGE[slice(*place)].lower() == there.lower()


@pytest.mark.parametrize(
    ("passage", "quote"),
    [
        ("about ½ of all ships were late", "about 1/2 of all ships were late"),
        ("about 1⁄2 of all ships were late", "about ½ of all ships were late"),
        ("it took 1½ years to build it", "it took 1 1/2 years to build it"),
        ("it rose by 5 W m⁻² in total", "it rose by 5 W m-2 in total"),
        ("Der Preis stieg um 5 % im Mai", "Der Preis stieg um 5% im Mai"),
        ("Der Preis stieg um 5% im Mai", "Der Preis stieg um 5\u202f% im Mai"),
        ("the price is $5 million a year", "the price is $ 5 million a year"),
        ("Il coûte 5 € de plus", "Il coûte 5€ de plus"),
        ("it was −5 °C in the morning", "it was -5°C in the morning"),
        ("Il a dit : « c'est fini » ; puis !", 'Il a dit: "c\'est fini"; puis!'),
        ("« c'est fini » a dit le maire", '"c\'est fini" a dit le maire'),
        ("Er sagte »Es ist fertig« und ging", 'Er sagte "Es ist fertig" und ging'),
        ("بلغت القدرة ٢٤٠ ميغاواط", "بلغت القدرة 240 ميغاواط"),
        ("( see the table ) for all values .", "(see the table) for all values."),
    ],
)  # fmt: skip
def test_typography_of_languages_and_units_does_not_matter(passage: str, quote: str) -> None:
    """Blanks before units and punctuation, in guillemets; fractions, digits of other scripts."""
    assert located(quote, passage)
    assert located(passage, quote)


@pytest.mark.parametrize(
    ("passage", "quote"),
    [
        ("it was −5 °C in the morning", "it was 5 °C in the morning"),
        ("it took 1½ years to build it", "it took 2½ years to build it"),
        ("it took 1½ years to build it", "it took ½ years to build it"),
        ("the price is $5 million a year", "the price is £5 million a year"),
        ("we saw 12 .5 mm nails in it", "we saw 12.5 mm nails in it"),
        ("the rate was .5 last year", "the rate was 0.5 last year"),
        ("بلغت القدرة ٢٤٠ ميغاواط", "بلغت القدرة 241 ميغاواط"),
    ],
)  # fmt: skip
def test_what_typography_cannot_alter_is_altered(passage: str, quote: str) -> None:
    """Signs, digits, fractions and currencies count."""
    assert located(quote, passage) is None


@pytest.mark.parametrize(
    "quote",
    [
        "rose by 12 percent in 2023", "output rose by 12", "It did fall below -5",
        "did not fall below 5 °C", "It grew slowly to 5", "10 percent a year", "Costs are low in",
        "rose … output of … reactor", "reactors output rose by 12.5", "Costs are not lo",
        "output rose by 12.5 percents", "东京は日本の首都である", "5 3 and A&B", "snakecase, 5 * 3",
    ],
)  # fmt: skip
def test_altered_quotations_are_not_found(quote: str) -> None:
    """A cut number, a lost sign, part of a word, another order or another sign is no quotation."""
    assert located(quote, PASSAGE) is None


def test_an_ellipsis_stands_for_forty_words_at_most() -> None:
    """Parts must stand in order in the passage, each at most 40 words after the one before."""
    passage = "Alpha beta gamma " + "word " * 40 + "delta epsilon end. " + "word " * 41 + "zeta eta"
    assert located("Alpha beta gamma … delta epsilon", passage)
    assert not located("delta epsilon end … zeta eta", passage)
    assert not located("delta epsilon … Alpha beta gamma", passage)
    assert located(
        "word word … end. … word word", passage
    )  # the earliest place is not the only one


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("one two three", 3), ("It's a well-known 1,200.5", 4), ("東京は日本の首都", 4),
        ("ประเทศไทยเป็นประเทศ", 4), ("한국어 문장 입니다 네", 4), ("هذه جملة من أربع", 4),
        ("वह घर गया था", 4), ("", 0),
    ],
)  # fmt: skip
def test_words_are_counted_in_any_script(text: str, words: int) -> None:
    """Scripts without blanks count a word by its characters."""
    assert words_in(text) == words
    assert long_enough(text) == (words >= 4)


def test_a_place_in_folded_text_leads_back_to_the_original() -> None:
    """Each folded character knows where it came from, also where signs are joined or dropped."""
    original = "Ｆｕｌｌ ﬁeld e\u0301te\u0301 “x” — y 한국 ½ **b** STRASSE straße"
    text = folded(original)
    assert len(text.text) == len(text.starts) == len(text.ends)
    assert all(a < b <= len(original) for a, b in zip(text.starts, text.ends, strict=True))
    assert list(text.starts) == sorted(text.starts)
    at = text.text.index("été")
    assert original[slice(*text.span(at, at + 3))] == "e\u0301te\u0301"
    assert text.text.count("strasse") == 2


# The table of alterations: many sentences, each altered in each way.

WORDS = str.split(
    "market plant energy output tidal power report agency region company growth price water river"
    " storage turbine network supply station demand winter summer budget annual measured rose fell"
    " reached produced supplied employed invested against during between under over without"
)


def _sentence(rng: random.Random) -> list[str]:
    words = [rng.choice(WORDS) for _ in range(rng.randint(10, 22))]
    for at in rng.sample(range(len(words)), 3):
        words[at] = str(rng.randint(12, 9999))
    return words


def _broken_line(words: list[str], rng: random.Random) -> str:
    at = next(i for i in rng.sample(range(len(words)), len(words)) if len(words[i]) > 5)
    return " ".join([*words[:at], f"{words[at][:3]}-\n{words[at][3:]}", *words[at + 1 :]])


def _ellipsis(words: list[str], rng: random.Random) -> str:
    at = rng.randint(3, len(words) - 5)
    return " ".join([*words[:at], rng.choice(["…", "[…]", "...", "(...)"]), *words[at + 2 :]])


def _reversed(words: list[str], rng: random.Random) -> str:
    at = rng.randint(3, len(words) - 5)
    return " ".join([*words[at + 2 :], "…", *words[:at]])


def _digit(words: list[str], rng: random.Random) -> str:
    at = rng.choice([i for i, word in enumerate(words) if word.isdigit()])
    sign = rng.randrange(len(words[at]))
    digit = rng.choice([d for d in "123456789" if d != words[at][sign]])
    return " ".join(
        [*words[:at], words[at][:sign] + digit + words[at][sign + 1 :], *words[at + 1 :]]
    )


def _swapped(words: list[str], rng: random.Random) -> str:
    at = rng.randrange(len(words))
    return " ".join([*words[:at], "otherwise", *words[at + 1 :]])


def _decorated(words: list[str], rng: random.Random) -> str:
    at = rng.randrange(len(words) - 2)
    marks = [f"**{words[at]}**", f"_{words[at]}_", f"`{words[at]}`", f"{words[at]}\u00a0\u2009"]
    return "  ".join([*words[:at], rng.choice(marks), *words[at + 1 :]])


def _negated(words: list[str], rng: random.Random) -> str:
    at = rng.randint(1, len(words) - 1)
    return " ".join([*words[:at], "not", *words[at:]])


def _tail(words: list[str], rng: random.Random) -> str:
    del rng
    return " ".join([*words[:-2], "nobody", "knows"])


HONEST: dict[str, Callable[[list[str], random.Random], str]] = {
    "blanks and Markdown marks": _decorated,
    "hyphenated line break": _broken_line,
    "ellipsis in order": _ellipsis,
}
ALTERED: dict[str, Callable[[list[str], random.Random], str]] = {
    "negation added": _negated,
    "one digit changed": _digit,
    "one word swapped": _swapped,
    "tail changed": _tail,
    "ellipsis out of order": _reversed,
}


@pytest.mark.parametrize("kind", [*HONEST, *ALTERED])
def test_each_kind_of_alteration_is_accepted_or_refused_as_a_whole(kind: str) -> None:
    """All honest quotations of a kind are found, and none of the altered ones."""
    rng = random.Random(kind)
    for _ in range(400):
        words = _sentence(rng)
        source, quote = " ".join(words), (HONEST | ALTERED)[kind](words, rng)
        if re.sub(r"\W", "", quote) == re.sub(r"\W", "", source) and kind in ALTERED:
            continue
        place = located(quote, f"Before that. {source}. After that.")
        assert (place is not None) == (kind in HONEST), (kind, quote, source)
        if kind in HONEST:  # and the other way around: the passage is broken, the quotation is not
            assert kind == "ellipsis in order" or located(source, quote)
