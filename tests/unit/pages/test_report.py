"""Reports and run pages are readable, equal for equal inputs, and safe whatever a model writes."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser

import pytest
import yaml
from markdown_it import MarkdownIt

from prefect_llm_reports.tasks.contract.calls import StepRecord
from prefect_llm_reports.tasks.contract.records import Calls, ErrorReport, Usage
from prefect_llm_reports.tasks.contract.reports import (
    BatchResult,
    CriticOpinion,
    Critique,
    Draft,
    PanelCritique,
    Refined,
    ReportResult,
    Topic,
)
from prefect_llm_reports.tasks.pages.own_templates import SAMPLES
from prefect_llm_reports.tasks.pages.page import PAGES
from prefect_llm_reports.tasks.pages.reader import reader_page
from prefect_llm_reports.tasks.pages.report import (
    history_json,
    report_html,
    report_markdown,
    summary_text,
)
from prefect_llm_reports.tasks.pages.runs import RunEntry, run_page, runs_page
from prefect_llm_reports.tasks.pages.topics_csv import topics_csv
from prefect_llm_reports.tasks.text.changes import Earlier, compared
from prefect_llm_reports.tasks.text.cleaning import clean_markdown
from tests.harness import ROOT
from tests.harness.markdown import sanitized_html

ATTACKS = [
    "<script>alert(1)</script>",
    "text <SCRIPT SRC=//evil.test/x.js></SCRIPT >",
    "<img src=x onerror=alert(1)>",
    "a <svg/onload=alert(1)> b",
    "<iframe src=https://evil.test></iframe>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<div style='background:url(javascript:alert(1))'>x</div>",
    "<p style=width:expression(alert(1))>x",
    '<meta http-equiv="refresh" content="0;url=https://evil.test">',
    "<base href=https://evil.test/><form action=x><button>go</button></form>",
    "<!-- comment --> <![CDATA[ x ]]> <?php x ?> <!DOCTYPE x>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java&#115;cript:alert(1))",
    "[x](&#x6A;avascript:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](<java\tscript:alert(1)>)",
    "[x](<\x01javascript:alert(1)>)",
    "[x](\\javascript:alert(1))",
    "[x](javascript\\:alert(1))",
    "[x](\njavascript:alert(1)\n)",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](file:///etc/passwd)",
    "[**x** `y`](javascript:alert(1) 'title')",
    "[x][r]\n\n[r]: javascript:alert(1)",
    "[x]\n\n[x]: <javascript:alert(1)> 'a\ntitle'",
    "> [x]\n>\n> [x]: data:text/html,x",
    "[r]: javascript:1\n[r]: javascript:2\n\n[r]",
    "<javascript:alert(1)> <vbscript:x> <data:text/html,x>",
    'javascript:alert(1) http://ok.test/"onmouseover=alert(1)',
    "https://ok.test/<script>alert(1)</script>",
    "![x](https://evil.test/p.png)",
    "![x][p]\n\n[p]: https://evil.test/p.png",
    "![p]\n\n[p]: https://evil.test/p.png",
    "[![x](https://evil.test/p.png)](javascript:alert(1))",
    "![a ![b](https://evil.test/b.png)](https://evil.test/a.png)",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "x[^1]\n\n[^1]: javascript:alert(1)",
    "x[^1]\n\n[^1]: <img src=x onerror=alert(1)>",
    "x[^1]\n\n[^1]:     code <script>alert(1)</script>",
    'x[^a"onload=alert(1)]\n\n[^a"onload=alert(1)]: y',
    "![^1]\n\n[^1]: https://evil.test/p.png",
    "- [ ] ```\n  <script>alert(1)</script>",
    '```html"onload=alert(1)\n<script>alert(1)</script>\n```',
    "http://a.test``[r]<img src=x onerror=a>``",
    "x ` y\n| `<script>` | b |\n|---|---|\n| ` | `<svg/onload=a>` |",
    "| a |\n|---|\n| <script>alert(1)</script> |",
    '[x](https://ok.test "<img src=x onerror=alert(1)>")',
    "# <script>alert(1)</script>\n\n## ![x](https://evil.test/p.png)",
    '<a title="`">` <img src=x onerror=alert(1)>',
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "> " * 60 + "<script>alert(1)</script> ![x](https://evil.test/p.png)",
    "[" * 60 + "![x](https://evil.test/p.png)",
]
TEXT_TAGS = """p h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code em strong del s hr br div section
    table thead tbody tr th td a sup input"""
PAGE_TAGS = """html head meta title style body header main nav footer svg rect span b article time
    dl dt dd small script details summary label select option button ins del"""
TEXT_ATTRIBUTES = """href rel id class start title aria-label role tabindex type checked disabled
    style"""
TAGS = set(TEXT_TAGS.split())
OWN_TAGS = set(PAGE_TAGS.split())
ATTRIBUTES = set(TEXT_ATTRIBUTES.split())


class Seen(HTMLParser):
    """Everything in a page that a browser would act on."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.dangers: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append((tag, found))
        href = re.sub(r"[\x00-\x20]", "", found.get("href", ""))
        if re.match(r"[^/?#]*:", href) and not re.match(r"(https?|mailto):", href, re.IGNORECASE):
            self.dangers.append(href)
        if "src" in found or any(name.startswith("on") for name in found):
            self.dangers.append(f"{tag} {found}")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        self.dangers.append(f"comment {data}")

    def handle_decl(self, decl: str) -> None:
        if decl != "doctype html":
            self.dangers.append(decl)

    def handle_pi(self, data: str) -> None:
        self.dangers.append(data)

    def named(self, tag: str) -> list[dict[str, str]]:
        return [found for name, found in self.tags if name == tag]


def viewers() -> list[MarkdownIt]:
    """Viewers as careless as they come: raw HTML on, every link allowed."""
    careless = [MarkdownIt("commonmark", {"html": True}), MarkdownIt("gfm-like", {"html": True})]
    careless[1].disable("linkify")
    for viewer in careless:
        viewer.validateLink = lambda url: True
    return careless


VIEWERS = viewers()


def assert_safe(seen: Seen, *, allowed: set[str] = TAGS) -> None:
    assert seen.dangers == []
    assert {tag for tag, _ in seen.tags} <= allowed
    if allowed is TAGS:
        assert {name for _, found in seen.tags for name in found} <= ATTRIBUTES


def refined(text: str = "# Tides\n\nText.", **changes: object) -> Refined:
    step = StepRecord(
        step="write",
        iteration=0,
        model="model-b",
        endpoint="e",
        prompt_digest="d",
        answer_key="k",
        cached=False,
        attempts=1,
        request_id=None,
        usage=None,
        cost_usd=None,
    )
    critique = Critique(score=8, strengths=["s"], improvements=["i"], summary="Well argued.")
    fields: dict[str, object] = {
        "topic": Topic(title="Tidal power"),
        "drafts": (
            Draft(number=1, parent=None, text="# First", score=5.0),
            Draft(number=2, parent=1, text=text, score=8.5, critique=critique),
        ),
        "best": 2,
        "iterations": 2,
        "stop_reason": "accepted",
        "created": 1_790_000_000,
        "steps": (step, step.model_copy(update={"model": "model-a"})),
    }
    return Refined.model_validate(fields | changes)


def batch(*reports: ReportResult, **changes: object) -> BatchResult:
    fields: dict[str, object] = {
        "run_id": "20261122T120000Z-a1b2",
        "status": "partial",
        "run_directory": "/r",
        "started": datetime(2026, 11, 22, 12, tzinfo=UTC),
        "duration_s": 254.0,
        "calls": Calls(made=23, cached=4, retried=2),
        "usage": Usage(input_tokens=40_213, output_tokens=15_200),
        "cost_usd": Decimal("1.5"),
        "reports": list(reports),
    }
    return BatchResult.model_validate(fields | changes)


def published(topic: str = "Tidal power", **changes: object) -> ReportResult:
    fields: dict[str, object] = {
        "topic": topic,
        "slug": "tidal-power-1a2b3c4d",
        "status": "published",
        "score": 8.5,
        "iterations": 2,
        "stop_reason": "accepted",
        "directory": "/r/tidal",
        "cost_usd": Decimal("0.0412"),
    }
    return ReportResult.model_validate(fields | changes)


def reader(report: Refined, summary: str = "s", earlier: str | None = None) -> str:
    """A report's index.html, after an earlier report on the topic."""
    markdown = report_markdown(report, offline=False)
    before = None if earlier is None else Earlier("20261101T000000Z-1", earlier, 7.0)
    changes = compared(before, markdown)
    files = {"report.md": 1234, "report.html": 5678, "summary.txt": 9}
    return reader_page(report, summary, markdown, changes, files, offline=False)


def failed(topic: str, message: str) -> ReportResult:
    error = ErrorReport(kind="AnswerRefused", message=message, step="write", attempts=2)
    return ReportResult(topic=topic, slug="s", status="failed", cost_usd=None, error=error)


# Safety


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_survives_as_html(attack: str) -> None:
    """Whatever a model writes, its HTML holds only text, structure and allowed links."""
    for text in (attack, f"Before {attack} after", f"- x\n\n  {attack}", f"# T\n\n{attack}\n"):
        seen = Seen(sanitized_html(text))
        assert_safe(seen)
        assert all("style" not in found for _, found in seen.tags)
        assert all(link["rel"] == "noopener noreferrer nofollow" for link in seen.named("a"))


def test_a_heading_cannot_take_an_id_of_the_page() -> None:
    """Ids that come from a report are prefixed, unique, and apart from the page's own."""
    text = "# main\n\n## main\n\n## summary\n\n## contents\n\n## scores\n\n## main\n"
    ids = [
        found["id"]
        for _, found in Seen(report_html(refined(text), "s", offline=False)).tags
        if "id" in found
    ]
    assert len(ids) == len(set(ids))
    assert {"main", "summary", "s-main-1", "s-main-2", "s-summary"} <= set(ids)


def test_images_become_their_words() -> None:
    """Images are never loaded: pages show the words, Markdown keeps a link to follow."""
    text = "# T\n\nSee ![a *map*](https://x.test/m.png) and ![plan][p].\n\n[p]: https://x.test/p\n"
    assert "See a map and plan." in sanitized_html(text)
    assert "See [a map](https://x.test/m.png) and [plan](https://x.test/p)." in clean_markdown(text)


def test_safe_links_stay() -> None:
    """Links by http, https and mailto work, as do places in the same report."""
    html = sanitized_html(
        "[a](https://a.test/x?y=1&z=2) <https://b.test> me@c.test www.d.test/e_(f). [g](#My-part)"
        " [rel](x.html)\n\n## My part\n"
    )
    targets = [link["href"] for link in Seen(html).named("a")]
    assert targets[:5] == [
        "https://a.test/x?y=1&z=2",
        "https://b.test",
        "mailto:me@c.test",
        "http://www.d.test/e_(f)",
        "#s-my-part",
    ]
    assert len(targets) == 6


# Markdown


def test_gfm_is_rendered() -> None:
    """Tables, tasks, footnotes, strikethrough and code come out as HTML of their kind."""
    html = sanitized_html(
        "| a | b |\n|:-:|--:|\n| `x\\|y` | 2 |\n\n- [x] done\n- [ ] open\n\nold ~~gone~~[^n]\n\n"
        "```py\nif a < b: pass\n```\n\n[^n]: A note.\n"
    )
    seen = Seen(html)
    assert [found.get("class") for found in seen.named("td")] == ["center", "right"]
    assert "<code>x|y</code>" in html
    assert ["checked" in box for box in seen.named("input")] == [True, False]
    assert all("disabled" in box for box in seen.named("input"))
    assert "<s>gone</s>" in html
    assert 'href="#fn1" id="fnref1"' in html
    assert "A note." in html
    assert "if a &lt; b: pass\n" in html


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# A\n\n### B\n\n##### C\n\n## D", "# A\n\n## B\n\n### C\n\n## D\n"),
        ("# A\n\n# B\n\n## C\n\n# D", "# A\n\n## B\n\n### C\n\n## D\n"),
        ("A\n===\n\nB\nc\n---\n\ntext", "# A\n\n## B c\n\ntext\n"),
        ("## A\n\n### B", "# A\n\n## B\n"),
        ("## A\n\n## B", "# Report\n\n## A\n\n## B\n"),
        ("Intro\n\n## A", "# Report\n\nIntro\n\n## A\n"),
        ("", "# Report\n\n"),
        ("# A #\n\n## C \\#\n\n#\n\n##", "# A\n\n## C \\#\n"),
        ("C #\n===", "# C \\#\n"),
        ("# A\n\n> ### B\n\n- #### C", "# A\n\n> ## B\n\n- ### C\n"),
        (
            "# A\n\n```\n### not a heading   \n===\n```\n",
            "# A\n\n```\n### not a heading   \n===\n```\n",
        ),
    ],
)
def test_headings_are_normalised(text: str, expected: str) -> None:
    """One H1, no level skipped, ATX spelling; code is left alone."""
    assert clean_markdown(text).rstrip("\n") == expected.rstrip("\n")


def test_text_is_tidied() -> None:
    """Line ends, trailing spaces and a fence around the whole answer are put right."""
    text = "\ufeff```markdown\r\n# A\r\n\r\none  \r\ntwo\t \r\nthree\0\r\n\r\n"
    text += "```py\r\nx = 1   \r\n```\r\n```\r\n"
    assert clean_markdown(text) == "# A\n\none\\\ntwo\nthree\n\n```py\nx = 1   \n```\n"


def test_raw_html_is_shown_not_removed() -> None:
    """Tags a model wrote stay readable as text, and a line break in a cell stays one."""
    assert clean_markdown("# A\n\nx <b>y</b> `<i>`") == "# A\n\nx &lt;b>y&lt;/b> `<i>`\n"
    assert "| p<br>q |" in clean_markdown("# A\n\n| a |\n|---|\n| p<br>q |")


def test_ordinary_markdown_is_left_alone() -> None:
    """A report without faults comes out byte for byte."""
    text = (
        "# A\n\nSome *text* & `<b>` with [a link](https://x.test/a_(b)), 1 < 2 and a[0].\n\n"
        "- [x] task\n- item\n  - deeper\n\n| a | b |\n|---|---|\n| `\\|` | 2 |\n\n"
        "```html\n<script>x</script>\n```\n\n## B\n\n> quote[^1]\n\n"
        "    indented <b>\n\n[^1]: Note.\n"
    )
    assert clean_markdown(text) == text


# One report


def test_report_markdown_opens_with_front_matter() -> None:
    """The front matter says what was written, by which models, when and how well."""
    text = report_markdown(refined("# Tides: *now*\n\nText."), offline=True)
    _, head, body = text.split("---\n", 2)
    assert list(yaml.safe_load(head)) == [
        "title",
        "topic",
        "score",
        "iterations",
        "stop_reason",
        "models",
        "created",
        "offline",
    ]
    assert yaml.safe_load(head) == {
        "title": "Tides: now",
        "topic": "Tidal power",
        "score": 8.5,
        "iterations": 2,
        "stop_reason": "accepted",
        "models": ["model-a", "model-b"],
        "created": "2026-09-21T14:13:20Z",
        "offline": True,
    }
    assert body == "\n# Tides: *now*\n\nText.\n"


def test_report_markdown_leaves_out_what_is_not_known() -> None:
    """Without a time from the endpoint there is no date, and only offline reports say so."""
    text = report_markdown(refined(created=0), offline=False)
    assert "created" not in text
    assert "offline" not in text


def test_front_matter_holds_hostile_topics() -> None:
    """A topic cannot break out of the front matter."""
    title = "a: [b] --- {c} # 'd'\n---\ninjected: true é \x85 \U0001f600"
    text = report_markdown(refined(topic=Topic(title=title)), offline=False)
    head = yaml.safe_load(text.split("\n---\n")[0].removeprefix("---\n"))
    assert "injected" not in head
    assert head["topic"].startswith("a: [b] --- {c} # 'd' --- injected: true é")
    text.encode()


@pytest.mark.parametrize(
    "title", ["Tides: yes", "\u00e9t\u00e9 \uffe9 #", "Waves \U0001f30a", "no", "1.0"]
)
def test_front_matter_is_the_same_without_libyaml(
    title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's own YAML writes the same, and emoji stay as they are."""
    found = refined(topic=Topic(title=title))
    text = report_markdown(found, offline=False)
    monkeypatch.delattr(yaml, "CSafeDumper", raising=False)
    assert report_markdown(found, offline=False) == text
    assert title in text
    assert yaml.safe_load(text.split("\n---\n")[0].removeprefix("---\n"))["topic"] == title


def test_long_reports_get_a_table_of_contents() -> None:
    """Five sections and more than 1,200 words bring a list of contents under the title."""
    sections = "".join(f"## Part {n} [x]\n\n{'word ' * 250}\n\n" for n in range(5))
    long = report_markdown(refined(f"# T\n\nIntro\n\n{sections}"), offline=False)
    assert "# T\n\n**Contents**\n\n- [Part 0 \\[x\\]](#part-0-x)\n" in long
    assert "(#part-4-x)\n\nIntro\n" in long
    short = report_markdown(refined("# T\n\n" + sections.replace("word ", "", 1200)), offline=False)
    assert "**Contents**" not in short


def test_report_page_shows_summary_scores_and_contents() -> None:
    """The page opens with title and summary, and tells scores, best draft and why it ended."""
    page = report_html(refined("# Tides\n\n## One\n\nText"), "First.\n\nSecond.", offline=False)
    words = " ".join(" ".join(Seen(page).words).split())
    for expected in (
        "Score 8.5 of 10",
        "Tidal power",
        "Draft 1 5",
        "Draft 2, best 8.5",
        "Accepted: the score reached the threshold.",
        "model-a, model-b",
        "2026-09-21 14:13 UTC",
    ):
        assert expected in words
    assert words.index("First.") < words.index("Text")
    assert page.count("<h1") == 1
    assert '<a href="#s-one" dir="auto">One</a>' in page
    assert "offline" not in words


def test_report_page_says_when_no_language_model_wrote_it() -> None:
    """An offline report carries a visible banner."""
    page = report_html(refined(), "s", offline=True)
    assert "Written by the offline rule-based engine, no language model" in Seen(page).words


def pages() -> list[str]:
    """One page of each sort."""
    run = RunEntry("20261120T080000Z-a", None, "complete", 4, 4, Decimal("1.25"), "finished")
    return [
        report_html(refined(), "s", offline=False),
        reader(refined(), earlier="# Old"),
        run_page(batch(published())),
        runs_page([run]),
    ]


@pytest.mark.parametrize("page", pages(), ids=("report", "reader", "run", "index"))
def test_the_policy_allows_what_is_in_the_page_and_nothing_else(page: str) -> None:
    """The hashes in the policy are those of the page's style and script; no style attribute."""
    found = re.findall(r"<(style|script)>(.*?)</\1>", page, re.DOTALL)
    wanted = "default-src 'none'; "
    for tag, text in found:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        wanted += f"{tag}-src 'sha256-{digest}'; "
        assert "url(" not in text
    metas = Seen(page).named("meta")
    policies = [m["content"] for m in metas if m.get("http-equiv") == "Content-Security-Policy"]
    assert policies == [wanted + "base-uri 'none'; form-action 'none'"]
    assert page.count("<style") == 1
    assert page.count("<script") == len(found) - 1
    assert " style=" not in page


def test_a_report_needs_no_script() -> None:
    """report.html is whole without any script."""
    assert "<script" not in report_html(refined(), "s", offline=False)


def test_pages_can_be_read_without_seeing_them() -> None:
    """Each page has a language, landmarks, one H1 and a link past its head."""
    for page in pages():
        seen = Seen(page)
        assert seen.named("html") == [{"lang": "en"}]
        assert len(seen.named("main")) == len(seen.named("header")) == len(seen.named("h1")) == 1
        assert seen.named("a")[0]["href"] == "#main"


def test_equal_inputs_give_equal_bytes() -> None:
    """Rendering depends on its arguments alone."""
    for write in (
        lambda: report_markdown(refined("# A\n\n<b>x</b>"), offline=True),
        lambda: report_html(refined("# A\n\n<b>x</b>"), "s", offline=True),
        lambda: history_json(refined()),
        lambda: run_page(batch(published())),
    ):
        assert write() == write()


def test_summary_is_plain_paragraphs() -> None:
    """The summary keeps its paragraphs and loses control characters."""
    assert summary_text("\r\n One\x07\r\ntwo \n \n\n\nThree\ud800") == "One two\n\nThree\ufffd\n"


def test_history_tells_every_draft() -> None:
    """history.json holds drafts, critiques, scores and which draft won."""
    history = json.loads(history_json(refined("# \x00é")))
    assert history["schema_version"] == 1
    assert history["best"] == 2
    assert history["stop_reason"] == "accepted"
    assert [draft["score"] for draft in history["drafts"]] == [5.0, 8.5]
    assert history["drafts"][1]["critique"]["summary"] == "Well argued."
    assert history["drafts"][1]["text"] == "# \x00é"


def test_the_reader_page_tells_what_each_critic_of_a_panel_said() -> None:
    """Each critic's name, score and words stand under the draft, as text."""
    one = Critique(score=7, strengths=[], improvements=[], summary="<b>Too dry.</b>")
    panel = PanelCritique(
        score=7,
        strengths=["s"],
        improvements=[],
        summary="A panel.",
        critics=(CriticOpinion(name="style", critique=one),),
        disagreement=0,
    )
    drafts = (Draft(number=1, parent=None, text="# T", score=7, critique=panel),)
    page = reader(refined(drafts=drafts, best=1))
    assert "style, 7: &lt;b&gt;Too dry.&lt;/b&gt;" in page


def test_every_variable_of_a_page_is_in_the_readme() -> None:
    """The templates' README names the variables of each page's template, and no others."""
    readme = (ROOT / "tasks/templates/README.md").read_text()
    rows = re.findall(r"^\| (all|report, reader|reader|run|index) \| (.*) \|$", readme, re.M)
    said = {page: set(re.findall(r"`(\w+)`", words)) for page, words in rows}
    for name in PAGES:
        known = {key for make in SAMPLES[name] for key in _keys(make())} - {"banner"}
        told = said.get(name, set())
        if name in ("report", "reader"):
            told = told | said["report, reader"]
        assert known == told, name


def _keys(value: object) -> set[str]:
    """All names in a page's values, at any depth."""
    if isinstance(value, dict):
        return {str(key) for key in value}.union(*(_keys(part) for part in value.values()))
    if isinstance(value, list | tuple):
        return set().union(*(_keys(part) for part in value))
    return set()


# Runs


def test_run_page_lists_reports_failures_and_totals() -> None:
    """The page of a run links each report, gives each failure's reason, and adds up."""
    page = run_page(
        batch(published(), failed("Rust", "The model declined: no."), warnings=["Given twice."])
    )
    targets = [link["href"] for link in Seen(page).named("a")]
    for target in ("report.html", "report.md", "summary.txt"):
        assert f"tidal-power-1a2b3c4d/{target}" in targets
    assert "../index.html" in targets
    words = " ".join(" ".join(Seen(page).words).split())
    for expected in (
        "The model declined: no.",
        "1 of 2",
        "23",
        "4 cached, 2 retried",
        "55,413",
        "$1.50",
        "$0.0412",
        "4 min 14 s",
        "Given twice.",
        "partly done",
    ):
        assert expected in words


def test_an_unknown_cost_is_never_zero() -> None:
    """Where the cost is not known, every output says so."""
    run = batch(published(cost_usd=None), cost_usd=None)
    assert run_page(run).count("unknown") == 2
    assert "$0" not in run_page(run)
    assert next(csv.DictReader(io.StringIO(topics_csv(run))))["cost_usd"] == "unknown"
    entry = RunEntry("r", None, "complete", 1, 1, None, "finished")
    assert ">unknown<" in runs_page([entry])


def test_runs_are_listed_newest_first() -> None:
    """The newest run leads, also when only its name tells its start."""
    day = datetime(2026, 11, 20, 8, tzinfo=UTC)
    page = runs_page(
        [
            RunEntry("20261120T080000Z-a", day, "complete", 4, 4, Decimal("1.25"), "finished"),
            RunEntry("20261122T080000Z-b", None, None, 1, None, None, "unfinished"),
            RunEntry("20261121T080000Z-c", day.replace(day=21), "stopped", 0, 4, None, "finished"),
        ]
    )
    assert re.findall(r"2026112\dT080000Z-(\w)(?=<|</a>)", page) == ["b", "c", "a"]
    assert "not finished" in page
    targets = [link["href"] for link in Seen(page).named("a")]
    assert targets == ["#main", "20261121T080000Z-c/index.html", "20261120T080000Z-a/index.html"]


@pytest.mark.parametrize(
    "topic",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "  =1",
        "\u00a0=1",
        "\uff1d1",
        "\uff0b1",
        "\uff0d1",
        "\uff20x",
        "\u200b=1",
        "\ufeff=1",
        "\0=1",
        "\x01=1",
        "\x0b=1",
    ],
)
def test_no_cell_is_a_formula(topic: str) -> None:
    """A cell that a spreadsheet would calculate opens with an apostrophe."""
    text = topics_csv(batch(published(topic), failed(topic, topic)))
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["topic"][0] for row in rows] == ["'", "'"]
    assert "\0" not in text


def test_topics_csv_is_one_row_a_topic() -> None:
    """Rows end in CRLF, quotes and commas survive, ordinary text is untouched."""
    text = topics_csv(batch(published('Tides, "big" = big'), failed("B", "no\nmore")))
    assert text.startswith("topic,slug,status,score,iterations,stop_reason,cost_usd,")
    assert text.count("\r\n") == 3
    first, second = csv.DictReader(io.StringIO(text, newline=""))
    assert first["topic"] == 'Tides, "big" = big'
    assert (first["score"], first["cost_usd"]) == ("8.5", "0.0412")
    assert (second["status"], second["error"]) == ("failed", "AnswerRefused: no\nmore")
