"""The language and direction of a report, decided once and used by every format.

Here: the decision, from the language that was asked for, else from the scripts of the text. Not
here: names of languages (`text.language_names`), words counted (`text.words`).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from prefect_llm_reports.tasks.text.language_names import tag_named
from prefect_llm_reports.tasks.text.words import rare_signs

READ_CHARS = 60_000
"""Characters of a text that are looked at; a longer one does not change its language later."""
SURE = 0.5
"""Least share of the letters that a script needs to decide against a language that was named."""

_FENCE = re.compile(r"[ \t>]*(?:[-*+] +)?(`{3,}|~{3,})(.*)")
_CODE = re.compile(r"`(?P<more>`*)(?!`)[^\n]{1,300}?(?<!`)`(?P=more)(?!`)")
_ADDRESS = re.compile(r"https?://\S+|www\.\S+|\]\([^)\s]{0,300}\)")
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w.-]{1,200}")
_FORMULA = re.compile(r"\\[A-Za-z]+|\$\$.{1,2000}?\$\$|\$\S[^$\n]{0,500}\$", re.DOTALL)

_RANGES = (
    (0x0041, 0x024F, "Latn"), (0x0250, 0x02AF, "Latn"), (0x0370, 0x03FF, "Grek"),
    (0x0400, 0x052F, "Cyrl"), (0x0530, 0x058F, "Armn"), (0x0590, 0x05FF, "Hebr"),
    (0x0600, 0x06FF, "Arab"), (0x0700, 0x074F, "Syrc"), (0x0750, 0x077F, "Arab"),
    (0x0780, 0x07BF, "Thaa"), (0x07C0, 0x07FF, "Nkoo"), (0x08A0, 0x08FF, "Arab"),
    (0x0900, 0x097F, "Deva"), (0x0980, 0x09FF, "Beng"), (0x0A00, 0x0A7F, "Guru"),
    (0x0A80, 0x0AFF, "Gujr"), (0x0B00, 0x0B7F, "Orya"), (0x0B80, 0x0BFF, "Taml"),
    (0x0C00, 0x0C7F, "Telu"), (0x0C80, 0x0CFF, "Knda"), (0x0D00, 0x0D7F, "Mlym"),
    (0x0D80, 0x0DFF, "Sinh"), (0x0E00, 0x0E7F, "Thai"), (0x0E80, 0x0EFF, "Laoo"),
    (0x0F00, 0x0FFF, "Tibt"), (0x1000, 0x109F, "Mymr"), (0x10A0, 0x10FF, "Geor"),
    (0x1100, 0x11FF, "Hang"), (0x1200, 0x139F, "Ethi"), (0x1780, 0x17FF, "Khmr"),
    (0x1E00, 0x1EFF, "Latn"), (0x1F00, 0x1FFF, "Grek"), (0x3040, 0x30FF, "Kana"),
    (0x3130, 0x318F, "Hang"), (0x31F0, 0x31FF, "Kana"), (0x3400, 0x4DBF, "Hani"),
    (0x4E00, 0x9FFF, "Hani"), (0xAC00, 0xD7FF, "Hang"), (0xF900, 0xFAFF, "Hani"),
    (0xFB1D, 0xFB4F, "Hebr"), (0xFB50, 0xFDFF, "Arab"), (0xFE70, 0xFEFE, "Arab"),
    (0xFF66, 0xFF9D, "Kana"), (0x1E900, 0x1E95F, "Adlm"), (0x20000, 0x323AF, "Hani"),
)  # fmt: skip
_LANGUAGE_OF = {
    "Latn": "en", "Grek": "el", "Cyrl": "ru", "Armn": "hy", "Hebr": "he", "Arab": "ar",
    "Syrc": "syr", "Thaa": "dv", "Nkoo": "nqo", "Deva": "hi", "Beng": "bn", "Guru": "pa",
    "Gujr": "gu", "Orya": "or", "Taml": "ta", "Telu": "te", "Knda": "kn", "Mlym": "ml",
    "Sinh": "si", "Thai": "th", "Laoo": "lo", "Tibt": "bo", "Mymr": "my", "Geor": "ka",
    "Hang": "ko", "Ethi": "am", "Khmr": "km", "Kana": "ja", "Hani": "zh", "Adlm": "ff-Adlm",
}  # fmt: skip
_SCRIPT_OF = {
    **{tag.partition("-")[0]: script for script, tag in _LANGUAGE_OF.items()},
    "ja": "Hani", "yue": "Hani", "yi": "Hebr", "mr": "Deva", "ne": "Deva", "ti": "Ethi",
    **dict.fromkeys(("fa", "ur", "ps", "sd", "ug", "ckb", "ks", "arz", "ary"), "Arab"),
    **dict.fromkeys(("uk", "bg", "be", "mk", "sr", "kk", "ky", "mn"), "Cyrl"),
}  # fmt: skip
"""The script of each language that is not written in Latin letters."""
_LEFTWARDS = frozenset({"Arab", "Hebr", "Syrc", "Thaa", "Nkoo", "Adlm", "Rohg", "Samr"})
_MARKS = {
    "Arab": (
        ("ur", "ٹڈڑںےھ"), ("ps", "ټډړښځڅ"), ("ckb", "ێۆڵڕە"), ("ug", "ۇۈۋېڭ"),
        ("fa", "پچژگکی"),
    ),
    "Cyrl": (("uk", "їєґ"), ("be", "ў"), ("sr", "ђћџљњ"), ("kk", "әғқңұһ")),
    "Hani": (("zh-Hant", "這個們來時國說對會為與學於關發點進過還應實質種業經資體開"),),
    "Ethi": (("ti", "ኸቐ"),),
}  # fmt: skip
"""Letters that one language of a script has and the usual one has not; the first one wins."""
_SIMPLIFIED = "这个们来时国说对会为与学于关发点进过还应实质种业经资体开"
_COMMON = {
    "de": "der die das und ist nicht mit für eine auf den von sich dem werden auch",
    "fr": "le les des et est une dans pour que qui sur pas par avec sont cette",
    "es": "el los las una que para con del por como está más pero entre sobre",
    "it": "il che della una per con non sono delle nel più gli anche questo dei",
    "pt": "os das uma não para com são mais como pelo também à ao dos às",
    "nl": "het een van niet voor zijn met dat op aan wordt ook worden naar bij",
    "pl": "się nie jest na oraz przez które dla od jak ale być przy może jego",
    "tr": "ve bir bu için ile olarak daha çok gibi olan kadar değil ise sonra veya",
    "sv": "och att det som för är på inte med av den till ett kan har",
    "cs": "je na se že pro které jako při jsou nebo může také jeho podle až",
    "vi": "và của là các những được trong cho không với một này có người khi",
    "id": "dan yang untuk dengan dari pada ini dalam adalah tidak dapat oleh itu juga akan",
    "en": "the and of to in is that for with are on as be this it from by or not which",
}
_COMMON_SETS = {tag: frozenset(words.encode().split()) for tag, words in _COMMON.items()}
_ALL_COMMON = frozenset[bytes]().union(*_COMMON_SETS.values())
_WORD = re.compile(r"[^\W\d_]+")
_ASCII = re.compile(r"[\x00-\x7f]+")
_NO_LETTERS = bytes(code for code in range(128) if not chr(code).isalpha())
_SPACED = bytes.maketrans(_NO_LETTERS, b" " * len(_NO_LETTERS))


@dataclass(frozen=True)
class Language:
    """The language of a text.

    Attributes:
        tag: Its BCP 47 tag, such as `en`, `pt-BR` or `zh-Hant`.
        rightwards: Whether it is written from left to right.
    """

    tag: str
    rightwards: bool = True

    @property
    def base(self) -> str:
        """The language without script and region."""
        return self.tag.partition("-")[0]

    @property
    def direction(self) -> str:
        """`ltr` or `rtl`."""
        return "ltr" if self.rightwards else "rtl"


def language_tagged(tag: str) -> Language:
    """The language of a tag, with its direction.

    Args:
        tag: A BCP 47 tag.
    """
    return Language(tag, _script_of(tag) not in _LEFTWARDS)


def language_of(wish: str, text: str) -> Language:
    """The language of a report.

    A language that was asked for decides, but for one in Latin letters (the default is English)
    when most of the letters of the prose are of another script, and for one of several languages
    of a script that the text does not use at all.

    Args:
        wish: The language that was asked for: a name or a BCP 47 tag; empty or unknown: none.
        text: The report as Markdown.
    """
    return _decided(wish, text[:READ_CHARS])


@lru_cache(maxsize=64)
def _decided(wish: str, text: str) -> Language:
    named = tag_named(wish) if wish else ""
    prose = prose_of(text)
    others = Counter(_ASCII.sub("", prose))
    scripts = _scripts(prose, others)
    letters = sum(scripts.values())
    main, count = scripts.most_common(1)[0] if scripts else ("Latn", 0)
    if named == "zh":
        return language_tagged(_by_letters("Hani", others) if main == "Hani" else named)
    if named:
        own = _script_of(named)
        main = "Hani" if main == "Kana" and own == "Hani" else main
        other = own != main and (own == "Latn" or main != "Latn") and count > SURE * letters
        if not other:
            if named == "en" and main == "Latn":
                return language_tagged(_latin(prose))
            return language_tagged(named)
    if main == "Latn":
        return language_tagged(_latin(prose))
    return language_tagged(_by_letters(main, others))


def prose_of(text: str) -> str:
    """The prose of a Markdown text: without code, addresses and formulas.

    Args:
        text: Markdown.
    """
    if "`" in text or "~~~" in text:
        text = _CODE.sub(" ", "\n".join(_unfenced(text)))
    if "://" in text or "](" in text or "www." in text:
        text = _ADDRESS.sub(" ", text)
    if "@" in text:
        text = _MAIL.sub(" ", text)
    if "\\" in text or "$" in text:
        text = _FORMULA.sub(" ", text)
    return text


def _unfenced(text: str) -> Iterator[str]:
    """The lines of a text that are not within fenced code."""
    fence = ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and not mark[2].strip():
            fence = ""
        elif not fence:
            yield line


def _scripts(text: str, others: Counter[str]) -> Counter[str]:
    """How many letters of each script a text has; Japanese is one script with its Chinese signs.

    Args:
        text: The text.
        others: How often it has each character outside ASCII.
    """
    if text.isascii():
        return Counter({"Latn": len(text)})
    plain = text.encode("ascii", "ignore")
    found = Counter({"Latn": len(plain.translate(None, _NO_LETTERS))})
    for letter, count in others.items():
        script = script_of(letter)
        if script:
            found[script] += count
    if found["Kana"] and found["Kana"] * 8 > found["Hani"]:
        found["Kana"] += found.pop("Hani", 0)
    if found["Hang"] and found["Hang"] > found["Hani"]:
        found["Hang"] += found.pop("Hani", 0)
    # A sign of Chinese says as much as a word of two letters and more.
    for script in ("Kana", "Hani", "Hang"):
        if script in found:
            found[script] *= 2
    return +found


@lru_cache(maxsize=4096)
def script_of(letter: str) -> str:
    """The script of a letter, as ISO 15924 names it; kana are `Kana`; empty: it is no letter.

    Args:
        letter: One character.
    """
    if unicodedata.category(letter)[0] not in "LM":
        return ""
    code = ord(letter)
    return next((script for first, last, script in _RANGES if first <= code <= last), "")


def _script_of(tag: str) -> str:
    base, *more = tag.split("-")
    if more and len(more[0]) == 4:
        script = more[0]
        return "Hani" if script in ("Hans", "Hant", "Hani") else script
    return _SCRIPT_OF.get(base, "Latn")


def _by_letters(script: str, counts: Counter[str]) -> str:
    """The language of a text in one script, by the letters that only some languages use."""
    usual = _LANGUAGE_OF[script]
    letters = sum(n for letter, n in counts.items() if script_of(letter) == script) or 1
    least = letters / 200
    if script == "Hani":
        least = max(least, sum(counts[sign] for sign in _SIMPLIFIED))
    for tag, marks in _MARKS.get(script, ()):
        if sum(counts[mark] for mark in marks) > least:
            return tag
    return usual


def _latin_words(text: str) -> list[bytes]:
    """The words of a text in order, in UTF-8; words are runs of letters."""
    others = rare_signs(text)
    if others is None:
        return [word.encode("utf-8", "surrogatepass") for word in _WORD.findall(text)]
    for sign in others:
        if not sign.isalnum() or sign.isdecimal():
            text = text.replace(sign, " ")
    return text.encode("utf-8", "surrogatepass").translate(_SPACED).split()


def _latin(text: str) -> str:
    """The language of a text in Latin letters, by its commonest words; English if that is open."""
    words = _latin_words(text[:20_000].casefold())
    total = len(words)
    if total < 40:
        return "en"
    common = Counter(filter(_ALL_COMMON.__contains__, words))
    shares = {tag: sum(common[w] for w in known) for tag, known in _COMMON_SETS.items()}
    best = max(shares, key=lambda tag: shares[tag])
    sure = shares[best] > 0.08 * total and shares[best] > 2 * shares["en"]
    return best if sure else "en"
