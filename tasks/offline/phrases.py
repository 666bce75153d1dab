"""The words of the embedded engine: what a working paper says about a topic nobody researched.

Here: naming a topic safely in Markdown, choosing among phrasings by hash, the sections and how they
are set. Not here: recognising a request, measuring, deciding what to add; that is `offline.engine`.
No sentence here states a fact about a topic; each says what to ask, weigh, check or do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

NOTICE = (
    "This text was produced by the offline rule-based engine, without a language model, and "
    "contains no researched facts."
)
REVISED_NOTICE = (
    "This text was revised by the offline rule-based engine, without a language model; what it "
    "added contains no researched facts."
)

_CONTROL = re.compile(r"[\0-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_SPECIAL = re.compile(r"[\\`*\[\]|~<>]|(?<!\w)_|_(?!\w)|(?<!\S)#+|&(?=#?\w+;)")
_ENTITY = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
_SLOT = re.compile(r"\{([tqh])\}")


def one_line(text: str) -> str:
    """The text on one line, without control characters."""
    return " ".join(_CONTROL.sub("", text).split())


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, cut between words where there are any."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    space = cut.rfind(" ")
    return (cut[:space] if space > limit // 2 else cut).rstrip(" ,;:.-\u2013\u200d\ufe0f") + "…"


def escaped(text: str) -> str:
    """The text with the characters Markdown or HTML would act on made literal."""
    return _SPECIAL.sub(lambda m: _ENTITY.get(m[0], "\\" + m[0]), text)


def number(seed: str, below: int) -> int:
    """A number from 0 to `below` - 1 that depends on the seed alone."""
    named = blake2b(seed.encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(named.digest(), "big") % below


@dataclass(frozen=True)
class Voice:
    """How one topic is named, and which of the possible phrasings it gets."""

    title: str
    seed: str

    @property
    def heading(self) -> str:
        """The title as it stands after `# `."""
        return escaped(shorten(one_line(self.title), 300)) or "Untitled"

    @property
    def quoted(self) -> str:
        """The topic in quotation marks, shortened for running text."""
        return f"“{escaped(shorten(one_line(self.title), 80)) or 'this topic'}”"

    @property
    def name(self) -> str:
        """The topic in running text: bare when it reads as a noun phrase, else quoted."""
        words = one_line(self.title).split()
        bare = 0 < len(words) <= 5 and not set(self.title) & set('.?!:;,<>|`*[]"“”{}')
        return self.quoted[1:-1] if bare and len(self.quoted) < 62 else self.quoted

    def pick(self, key: str, below: int) -> int:
        """A choice for this topic, the same each time it is made."""
        return number(f"{self.seed}\0{key}", below)

    def say(self, phrasings: Sequence[str], key: str = "", heading: str = "") -> str:
        """One of the phrasings, with the topic and the heading filled in."""
        wanted = self.pick(f"{key}\0{phrasings[0]}", len(phrasings))
        named = {"t": self.name, "q": self.quoted, "h": heading}
        return _SLOT.sub(lambda m: named[m[1]], phrasings[wanted])

    def say_all(self, slots: Sequence[Sequence[str]], heading: str = "") -> list[str]:
        """One phrasing for each slot."""
        return [self.say(phrasings, heading, heading) for phrasings in slots]


class Section(NamedTuple):
    """Possible headings, and paragraphs of slots; a slot holds interchangeable phrasings."""

    headings: list[str]
    paragraphs: list[list[list[str]]]


def paragraphs(voice: Voice, key: str, *, lists: bool = True) -> list[str]:
    """The paragraphs of one section; without lists, items become sentences of a paragraph."""
    said: list[str] = []
    for slots in SECTIONS[key].paragraphs:
        lines = voice.say_all(slots)
        if lines[0][:2] == "- " and not lists:
            lines = [line[2:] for line in lines]
        said.append(("\n" if lines[0][:2] in ("- ", "| ") else " ").join(lines))
    return said


def section(voice: Voice, key: str, *, lists: bool = True, brief: bool = False) -> str:
    """One section in Markdown; `brief` keeps its first sentence only."""
    known = SECTIONS[key]
    body = [voice.say(known.paragraphs[0][0])] if brief else paragraphs(voice, key, lists=lists)
    return "\n\n".join([f"## {voice.say(known.headings)}", *body])


def deeper(voice: Voice, heading: str, body: str) -> str:
    """What a thin section lacks: the rest of it if it is known here, else what it has to state."""
    known = next((k for k in TOPICAL if heading in SECTIONS[k].headings), None)
    if known is None:
        return " ".join(voice.say_all(SECTIONS["deeper"].paragraphs[0], shorten(heading, 60)))
    rest = (voice.say_all(slots) for slots in SECTIONS[known].paragraphs)
    return " ".join(line for slots in rest for line in slots[1:] if line not in body)


def opening(voice: Voice, points: Sequence[str]) -> str:
    """What stands before the first section; `points` are the words of the guidance."""
    said = paragraphs(voice, "opening")
    if points:
        said += [f"{paragraphs(voice, 'points')[0]} {', '.join(map(escaped, points))}."]
    return "\n\n".join(said)


def requested(voice: Voice, points: Sequence[str]) -> str:
    """A section that takes up words of the guidance the text has left out."""
    wordings = SECTIONS["requested"].paragraphs[0][0]
    items = [f"- **{escaped(point)}**: {voice.say(wordings, point)}" for point in points]
    return "\n".join(["## Points the request asks for", "", *items])


def _sections(words: str) -> dict[str, Section]:
    """Read the words below."""
    found: dict[str, Section] = {}
    for block in words.split("\n= ")[1:]:
        title, _, body = block.partition("\n")
        key, _, headings = title.partition(":")
        parts = [
            [" ".join(s.split()).split(" / ") for s in part.split("\n* ")[1:]]
            for part in ("\n" + body).split("\n¶")
        ]
        found[key] = Section(headings.strip().split(" / "), parts)
    return found


# "= key: headings", then one "* " for each slot; " / " parts phrasings, "¶" paragraphs.
# {t} is the topic in running text, {q} the topic in quotation marks, {h} a heading.
_WORDS = """
= opening: 
* This working paper prepares a decision about {t}. / This paper sets out how to reach a
  well-founded view on {t}. / Before time or money goes into {t}, it pays to agree on what has to
  be known. / A position on {t} needs a frame before it needs an answer, and this paper supplies
  one.
* It reports no findings; it names the questions, the people and the tests that lead to them. / It
  stops short of findings and describes how they can be obtained and checked. / What follows is a
  plan for finding out rather than a set of claims, and each part of it can be challenged
  separately.
* A reader with ten minutes should leave knowing what is open, who can close it and what a good
  answer would look like. / Used well, it shortens the first meeting and keeps the second from
  repeating it. / The sections can be read alone, but their order follows the order of the work.

= points: 
* The request names points that every version has to take up: / Particular attention was asked for
  these points: / The guidance for this paper asks it to keep in view:

= requested: 
* say what is established, who established it and what it changes in the decision. / find one
  reliable source, note its date and record what it leaves open. / ask someone with first-hand
  experience, and write the answer down with its limits. / state the assumption made so far and
  the observation that would overturn it.

= deeper: 
* To be usable, the part on “{h}” has to say who needs it, which choice it serves and what
  evidence stands behind it. / The part on “{h}” gains weight once it names the reader it is for
  and the choice that turns on it.
* Whoever extends “{h}” should mark each statement as observed, reported or assumed, and name a
  person who could confirm it. / For “{h}”, separate what was seen from what was told, and give
  each statement a source and a date.

= frame: Framing the subject / What is in scope / Drawing the boundaries
* The words {q} can mean different things to different readers, so write down one meaning and keep
  to it. / Discussions of {t} easily mix three matters: how things stand, what a change would be
  worth and what it would take. / A scope for {t} is useful only if it also says what has been
  left out.
* Fix the setting before the argument begins: the place, the period and the scale for which the
  answer has to hold. / State where the answer applies, for how long and for whom, because an
  answer meant for everyone guides no one. / Three limits do most of the work: where the answer
  applies, until when and at what scale.
* Anything outside those limits goes on a separate list, where it can wait without being lost. /
  Neighbouring subjects that keep coming up deserve a list of their own, so that they neither
  distract nor disappear. / Whatever falls outside can be parked in writing and taken up again
  once the first answers are in.
* A short definition that its users agree on is worth more than a complete one. / If two readers
  would include different cases, the scope needs another sentence. / The test is simple: two
  people applying the scope separately should sort the same ten cases in the same way.

= questions: Questions to answer / What has to be found out / Open questions
* Work on {t} can be organised around five questions, taken in this order. / Five questions come
  first because the rest depends on them. / A view on {t} is only as good as the answers to the
  five questions below.
¶
* - What problem would become smaller, for whom, and how is its size known today? / - Which need
  does this meet, and who feels that need most? / - What has made the subject urgent now rather
  than a year ago?
* - What is done at present, and what does that cost in money, time and attention? / - How do
  people manage today, and where does that begin to fail? / - What would happen over the next two
  years if nothing were changed?
* - Which part of the expected benefit has been observed, and which part is hoped for? / - Where
  has something similar been tried, and what was measured there? / - What would count as success,
  and could a sceptic check it?
* - What would have to be true for the opposite view to be right? / - Which single finding would
  be enough to stop? / - Who disagrees for good reasons, and what do those people see?
* - By when is an answer needed, and what does a late one cost? / - Who can say no, and what would
  that person want to see first? / - Which choice has to be made first, and which can wait without
  loss?
¶
* Every answer should carry its source and the date on which it was true. / An honest “not known
  yet” is an acceptable answer, provided someone is named to find out. / Questions that no answer
  could turn into a different action can be struck off.

= stakeholders: Who is affected / People to involve / Stakeholders and their interests
* Those who pay, those who do the work and those who live with the result may well be different
  people. / Four groups are worth looking for: those who decide, who pay, who carry out the work
  and who live with the outcome. / Opinions on {t} depend on position, so note for each one where
  its holder stands.
* For each group, write down what it could gain, what it could lose and what it knows that nobody
  else does. / Ask every group the same three things: what it hopes for, what it fears and what it
  would need in order to agree. / A page with one row a group, listing interest, influence and
  knowledge, is enough to begin with.
* Begin with the people least likely to be asked, since the others will be heard anyway. / Speak
  early with whoever will maintain the result, because the later costs are visible from there. /
  Include at least one person who would rather leave things as they are.
* Disagreement between groups is a finding and should be recorded, not averaged away. / Where two
  groups contradict each other, note both accounts and the observation that could settle the
  matter. / Silence from a group is not consent; it only shows that the question has not reached
  it.

= criteria: Criteria for a decision / How to judge an answer / What a good outcome looks like
* Agree on the criteria before looking at any option, while nobody has a favourite to defend. /
  Options for {t} can be compared fairly only against criteria that were written down first. / Few
  criteria, each with a threshold, guide better than many without one.
* Four are usually worth a line each: benefit to the people concerned, total cost, time to a first
  result and ease of turning back. / Start from benefit, cost, speed and reversibility, and add
  another criterion only if it would change the ranking. / Useful candidates are the size of the
  benefit, the full cost over the whole period, the wait for a first result and the price of a
  mistake.
* Give each a measure, a minimum and a weight, and keep the weights fixed once scoring has begun.
  / For each criterion, state how it is measured and which value would rule an option out. / A
  criterion without a measure is a preference, and it should be labelled as one.
* When two options come out level, prefer the one that teaches more before the next choice is due.
  / If the ranking flips after a small change in weights, the decision is not ready. / Record the
  runner-up and the reason it lost, for the day conditions change.

= method: How to find out / Method / A way to get answers
* The cheapest source comes first: what the people involved already know and have written down. /
  An inquiry into {t} can proceed in four passes, each of which may end it. / Answers come from
  reading, asking, observing and trying, in that order of cost.
* Reading shows what is claimed; conversations with practitioners show which claims survive use. /
  Collect existing records before creating new ones, then fill the gaps by interview. / Three
  sources that do not depend on each other are worth more than ten that repeat one origin.
* A short trial with a stated end date then tests the one assumption that matters most. / Where
  sources conflict, look at how each of them knows what it says. / Only then is a trial worth its
  price, and it should test one thing at a time.
* Write the expected result down beforehand, so that the outcome can surprise someone. / Decide in
  advance which result would end the inquiry, or it will never end. / Keep notes that a newcomer
  could follow, including the attempts that led nowhere.

= evidence: Evidence to collect / What would count as proof / Sources and their weight
* Statements about {t} differ in strength, and a reader should be able to see the difference. /
  Direct measurement, first-hand report, expert opinion and hearsay deserve different weight. /
  Before anything is collected, say which evidence would be strong enough to act on.
* Mark each item with its origin, its date and any interest its author may have in the answer. /
  For each source, note how it came to know, when it was last checked and who paid for it. /
  Original figures are preferable to quotations of them, and a stated method to a bare number.
* Look for cases that failed as carefully as for cases that worked, since failures are harder to
  find. / Search on purpose for what would contradict the current view, and give that search equal
  time. / Averages hide the cases that matter, so ask for the spread and for the worst result.
* A gap that cannot be filled belongs in the paper as plainly as a result. / Where nothing
  reliable exists, a stated estimate with a range is better than silence. / Evidence too weak to
  act on can still be strong enough to choose the next question.

= assumptions: Assumptions to test / What is taken for granted / Beliefs worth checking
* Any plan that involves {t} rests on beliefs nobody has written down yet. / An assumption does
  harm mainly when it goes unnoticed. / Some things are taken as given at the start, and that is
  sound only if they are listed.
* List the assumptions on which the outcome depends: demand, skills, access, rules and the
  goodwill of others. / Write each assumption as a sentence that could turn out false, then ask
  what would be seen if it were. / Sort the assumptions by two marks, how much depends on each and
  how little is known about it.
* Test first the belief that is both important and uncertain, even when another is easier. / The
  top of that list is the next piece of work, whatever else seems pressing. / An assumption that
  is cheap to test should not survive the week untested.
* Those that cannot be tested need an owner who watches for signs of change. / Keep the list with
  the decision, so that a later reader can see what it rested on. / When one of them falls, reopen
  only the conclusions that depended on it.

= risks: Risks to check / What could go wrong / Failure modes to look for
* Imagining that the effort has already failed makes it easier to name the reasons. / Each risk
  around {t} should be stated as a cause, an event and a consequence. / Some risks lie in acting
  and others in waiting, and both kinds belong on one list.
* Check at least five kinds: cost that grows, benefit that comes late, dependence on one party,
  harm to outsiders and loss of skill. / Look at money, time, people, rules and reputation in
  turn, and record at least one entry under each. / Consider what fails gradually as well as what
  fails at once, because the former is noticed last.
* Every entry needs an early sign, a person who watches for it and a response agreed in advance. /
  For the gravest entries, settle now what would trigger a halt and who may order it. / A risk
  without an owner is only a worry, so put a name beside each one.
* Steps that cannot be undone deserve the most caution and the latest possible date. / Reversible
  steps can be taken quickly; irreversible ones should wait for a second opinion. / It is worth
  paying a little to keep a way back open.

= effort: Cost and effort / Resources to plan for / What it takes
* The visible price is only one part of the cost of {t}. / An estimate should cover the whole
  period of use, not the first purchase alone. / Effort is easier to plan when setting up, running
  and ending are counted apart.
* Add the hours spent learning, the work that is displaced and the upkeep that follows. / Count
  the attention of the people involved as well, since it cannot be bought back. / Ask whoever does
  comparable work today how long it takes, and use that figure.
* Give every figure as a range and say what would push it to either end. / A low, a likely and a
  high figure show more than a single precise one. / Where no figure can be had, describe the size
  in words and mark it as a guess.
* Set a ceiling at the start, and treat reaching it as a reason to review rather than to hurry. /
  Release the budget in stages, each tied to an answer rather than to a date. / The cost of
  stopping belongs in the estimate too, because it decides how freely one can begin.

= example: A worked example / Worked example / An example of the frame in use
* Suppose a team of six has four weeks to settle its position on {t}. / Suppose a small group is
  asked for its position on {t} within a month. / Suppose one person, with two colleagues to
  consult, has twenty working days for {t}.
* In the first week they write half a page of scope and drop two questions whose answers would
  change nothing. / The first week goes into half a page of scope and a list of questions, cut
  from nine to five.
* In the second they hold five conversations, note where the accounts differ and find that one
  assumption carries most of the plan. / The second brings five interviews, two contradictions and
  one assumption on which nearly everything rests.
* The third week tests that assumption on a small scale, with the expected result written down
  first. / During the third they try out that assumption in the smallest setting that could prove
  it wrong.
¶
* In the fourth week they score three options from 0 to 3 on four criteria: waiting gets 6 of 12,
  a trial 9 and a full commitment 7. / In the last week they rate three options on four criteria,
  3 points at most on each: a trial reaches 9, a full commitment 7 and waiting 6.
* They choose the trial, name the result that would end it and fix the day of the review. / The
  trial wins, and with it they record the one result that would make them stop.
* All figures in this case are invented to show the procedure; none describes the topic. / The
  numbers are invented for illustration and say nothing about the topic.

= table: Options compared / Three options side by side / Comparison of options
* Whatever the details of {t}, three courses are normally open, and they differ by construction on
  the points below. / Three courses of action are open on most subjects, and the table sets them
  side by side.
¶
* | Option | Cost to start | First result | Way back | To be checked first |
* | --- | --- | --- | --- | --- |
* | Wait and watch | lowest | none of one's own | fully open | what delay costs | / | Wait and
  watch | lowest | only what others learn | fully open | which signal ends the wait |
* | Limited trial | moderate | early, on one point | open | whether the trial can fail visibly | /
  | Limited trial | moderate | early, small in scope | open | whether the result will carry over |
* | Full commitment | highest | late, but complete | narrow | which steps cannot be undone | / |
  Full commitment | highest | late, but complete | narrow | who bears the cost of an error |
¶
* The entries compare the options with one another only; real figures have to replace them before
  anyone decides. / These are relations between the options, not measurements, and each cell is an
  invitation to find the figure.

= conclusion: Conclusion / Conclusion and next steps / Conclusions to act on
* Nothing above settles {t}, but it narrows the work to questions that can be answered. / The
  frame for {t} is now complete enough to be used, and nothing in it depends on a finding not yet
  made. / What is missing on {t} is not opinion but a handful of checked answers.
* Three steps follow: agree on the scope in writing, give every question an owner and a date, and
  test the most important assumption. / First, two people should approve the scope; second, each
  question needs a name and a date; third, the weakest assumption goes to a test. / The next steps
  are to confirm the scope, to hold the first interviews and to set a date for the review.
* Until those answers are in, any firm statement deserves the question of how it is known. / If
  the first answers contradict this frame, change the frame and keep the answers. / A review after
  the first round shows whether to go on, to narrow the question or to stop.

= checklist: Checklist / Checklist before deciding / Before anyone decides
* - The scope fits on half a page, and two people have read it alike.
* - Each question has an owner, a date and a form its answer should take.
* - At least one person who disagrees has been heard.
* - The result that would stop the effort is written down. / - Someone is named who may call a
  halt.
* - The date of the next review is in the calendar.
"""

SECTIONS = _sections(_WORDS)
TOPICAL = ("stakeholders", "criteria", "method", "evidence", "assumptions", "risks", "effort")
