"""Names of languages, in English and in the language itself, and where their tags come from.

Here: a table, and a name looked up in it. Not here: the language of a text (`text.language`).
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

_TABLE = """
af|Afrikaans
am|Amharic|አማርኛ
ar|Arabic|العربية|عربي|عربى|modern standard arabic|msa
ary|Moroccan Arabic|darija
arz|Egyptian Arabic
az|Azerbaijani|azeri|azərbaycanca|azərbaycan dili
be|Belarusian|беларуская
bg|Bulgarian|български
bn|Bengali|bangla|বাংলা
bo|Tibetan|བོད་སྐད
bs|Bosnian|bosanski
ca|Catalan|català|valencian
ckb|Central Kurdish|sorani|کوردی|سۆرانی
cs|Czech|čeština|česky
cy|Welsh|cymraeg
da|Danish|dansk
de|German|Deutsch|high german
dv|Dhivehi|maldivian|divehi|ދިވެހި
el|Greek|ελληνικά|modern greek
en|English
eo|Esperanto
es|Spanish|español|castellano|castilian
et|Estonian|eesti|eesti keel
eu|Basque|euskara|euskera
fa|Persian|Farsi|فارسی|فارسي
fi|Finnish|suomi
fil|Filipino|Tagalog|pilipino
fr|French|français
ga|Irish|gaeilge|irish gaelic
gl|Galician|galego
gu|Gujarati|ગુજરાતી
ha|Hausa
he|Hebrew|עברית|modern hebrew|ivrit
hi|Hindi|हिन्दी|हिंदी
hr|Croatian|hrvatski
hu|Hungarian|magyar
hy|Armenian|հայերեն
id|Indonesian|bahasa indonesia
ig|Igbo
is|Icelandic|íslenska
it|Italian|italiano
ja|Japanese|日本語|nihongo
jv|Javanese|basa jawa
ka|Georgian|ქართული
kk|Kazakh|қазақша|қазақ тілі
km|Khmer|Cambodian|ខ្មែរ|ភាសាខ្មែរ
kn|Kannada|ಕನ್ನಡ
ko|Korean|한국어|조선말
ks|Kashmiri|کٲشُر
ku|Kurdish|kurmanji|kurdî
ky|Kyrgyz|кыргызча
la|lingua latina
lb|Luxembourgish|lëtzebuergesch
lo|Lao|ລາວ|ພາສາລາວ
lt|Lithuanian|lietuvių
lv|Latvian|latviešu
mk|Macedonian|македонски
ml|Malayalam|മലയാളം
mn|Mongolian|монгол
mr|Marathi|मराठी
ms|Malay|bahasa melayu|melayu
mt|Maltese|malti
my|Burmese|myanmar|မြန်မာ|မြန်မာဘာသာ
nb|Norwegian Bokmål|bokmål
ne|Nepali|नेपाली
nl|Dutch|Nederlands|flemish|vlaams
nn|Norwegian Nynorsk|nynorsk
no|Norwegian|norsk
or|Odia|oriya|ଓଡ଼ିଆ
pa|Punjabi|panjabi|ਪੰਜਾਬੀ
pl|Polish|polski
ps|Pashto|pushto|پښتو
pt|Portuguese|português
ro|Romanian|moldovan|română
ru|Russian|русский|на русском
sd|Sindhi|سنڌي
si|Sinhala|sinhalese|සිංහල
sk|Slovak|slovenčina|slovensky
sl|Slovenian|slovene|slovenščina
so|Somali|soomaali
sq|Albanian|shqip
sr|Serbian|српски|srpski
sv|Swedish|svenska
sw|Swahili|kiswahili
syr|Syriac|ܣܘܪܝܝܐ
ta|Tamil|தமிழ்
te|Telugu|తెలుగు
th|Thai|ไทย|ภาษาไทย
ti|Tigrinya|ትግርኛ
tr|Turkish|Türkçe
ug|Uyghur|Uighur|ئۇيغۇرچە
uk|Ukrainian|українська
ur|Urdu|اردو|اُردو
uz|Uzbek|o'zbekcha
vi|Vietnamese|tiếng việt
yi|Yiddish|ייִדיש|יידיש
yo|Yoruba|yorùbá
yue|Cantonese|粵語|粤语|廣東話|广东话
zh|Chinese|Mandarin|中文|汉语|普通话|简体中文|简体|中文简体|putonghua
zh-Hant|Traditional Chinese|taiwanese mandarin|繁體中文|繁体中文|繁體|正體中文|漢語|國語
zu|Zulu|isizulu
"""
_FURTHER = {
    "british": "GB", "uk": "GB", "american": "US", "us": "US", "usa": "US", "australian": "AU",
    "indian": "IN", "irish": "IE", "canadian": "CA", "canada": "CA", "brazilian": "BR",
    "brazil": "BR", "brasil": "BR", "brasileiro": "BR", "portugal": "PT", "mexican": "MX",
    "mexico": "MX", "méxico": "MX", "argentinian": "AR", "spain": "ES", "swiss": "CH",
    "switzerland": "CH", "schweiz": "CH", "austrian": "AT", "austria": "AT", "österreich": "AT",
    "belgian": "BE", "belgium": "BE", "egyptian": "EG", "egypt": "EG", "moroccan": "MA",
    "saudi": "SA", "taiwan": "TW", "taiwanese": "TW", "hong": "HK", "latin": "419",
    "simplified": "Hans", "traditional": "Hant", "cyrillic": "Cyrl", "shahmukhi": "Arab",
}  # fmt: skip
"""Words beside a language's name, as the region or script of its tag."""
_TAG = re.compile(
    r"(?P<language>[a-z]{2,3})(?:[-_](?P<script>[a-z]{4}))?(?:[-_](?P<region>[a-z]{2}|[0-9]{3}))?"
    r"(?:[-_.@][\w.@-]*)?",
    re.IGNORECASE,
)
LONGEST = 200
"""Characters of a wish that are looked at."""


def tag_named(wish: str) -> str:
    """The BCP 47 tag of a language that a person names; empty: the name is not known.

    Args:
        wish: `Arabic`, `العربية`, `pt-BR`, `Brazilian Portuguese`, `Chinese (Traditional)`.
    """
    words = _folded(wish[:LONGEST])
    if found := _names().get(words):
        return found
    tag = _TAG.fullmatch(words)
    if tag and tag["language"] in _tags():
        return _tag(tag["language"], (tag["script"] or "").title(), (tag["region"] or "").upper())
    known = _pattern().search(words)
    if known is None:
        return ""
    language, *script = _names()[known[0]].split("-")
    beside = (words[: known.start()] + words[known.end() :]).split()
    further = [_FURTHER[word.strip("(),.;")] for word in beside if word.strip("(),.;") in _FURTHER]
    scripts = [*script, *(one for one in further if len(one) == 4)]
    regions = [one for one in further if len(one) < 4]
    return _tag(language, scripts[0] if scripts else "", regions[0] if regions else "")


def _tag(language: str, script: str, region: str) -> str:
    if language == "zh" and not script and region in ("TW", "HK", "MO"):
        script = "Hant"
    return "-".join(filter(None, (language, script, region)))


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())


@cache
def _names() -> dict[str, str]:
    rows = [line.split("|") for line in _TABLE.strip().splitlines()]
    return {_folded(name): tag for tag, *names in rows for name in names}


@cache
def _tags() -> frozenset[str]:
    return frozenset(tag.partition("-")[0] for tag in _names().values())


@cache
def _pattern() -> re.Pattern[str]:
    """Any name within a wish, the longest first; a script without spaces has no word bounds."""
    longest = sorted(_names(), key=len, reverse=True)
    return re.compile(
        "|".join(
            re.escape(name) if name[0] > "\u3000" else rf"(?<!\w){re.escape(name)}(?!\w)"
            for name in longest
        )
    )
