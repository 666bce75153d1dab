"""People with screen readers, keyboards and poor sight can use every page: axe finds nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from prefect_llm_reports.tasks.contract.provenance import Approval
from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.pages.provenance import provenance_of
from prefect_llm_reports.tasks.pages.report import report_html
from tests.services.pages.site import BRANCHES, RUN, add_report, opened, two_drafts
from tests.unit.pages.test_report import refined

if TYPE_CHECKING:  # only these tests need a browser; collecting the others does not
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.services

PAGES = {
    "index": "index.html",
    "search": "search.html",
    "run": f"{RUN}/index.html",
    "report": "{}/report.html",
    "reader": "{}/index.html",
    **{n: f"{{}}/index.html#{n}" for n in ("source", "drafts", "changes", "files")},
    "branch-run": f"{BRANCHES}/index.html",
    "branches": f"{BRANCHES}/tide/output.html",
}
LOOKS: list[tuple[int, Literal["light", "dark"]]] = [
    (1280, "light"),
    (390, "dark"),
    (1280, "dark"),
    (390, "light"),
]
"""Widths and colours; the tabs of a report after the first are tried with two of them."""
ODD = """# Odd

A claim,[^a] again,[^a] and [a link](https://example.org) in text, with https://example.org bare.

- [ ] outer
  - [x] inner
  - [X] **bold**
1. [ ] numbered

| A | |
|---|---|
| 1 | |

| B | C | D |
|---|:-:|--:|
| `code` | a very long cell of many words that needs its room | 1,000,000 |

#### A level left out

####

## Twice

## Twice

> Quoted[^b] words.

```
code that is very long, so long that it does not fit into the width of a page and has to scroll, on
```

<details>
<summary>More</summary>

CO<sub>2</sub>, <kbd>Ctrl</kbd>[^a]

</details>

```mermaid
graph TD; A-->B
```

---

[^a]: A source, <https://example.org/a>.
[^b]: - [x] a list
"""
ARABIC = """# الطاقة المتجددة $E = mc^2$

تُعد GPT-5 من أهم النماذج. **الطاقة الشمسية** مهمة (بنسبة 35%)[^1]، و`.venv\\Scripts` للتثبيت.

## GPT-5 والطاقة

- أولاً: الألواح الشمسية.
- [x] ثانيًا

| البند | التكلفة |
|---|---:|
| توربين | 1,200 |

```sh
.venv\\Scripts\\activate
```

\\[ \\sum_{i=1}^{n} \\frac{x_i^2 + y_i^2}{\\sqrt{\\sigma_i}} = 
\\int_0^\\infty e^{-t} t^{n-1} \\, dt + a + b + c \\]

[^1]: مصدر.
"""
CHINESE = """# 可再生能源的未来

可再生能源是这个世界上最重要的问题之一，它会改变我们的生活[^1]。*强调*与`代码`，其中 $x_i$ 是变量。

## 第一章：现状

| 项目 | 费用 |
|---|---:|
| 风机 | 1,200 |

> 引用

$\\unknown{x}$ 与 $\\begin{pmatrix} a & b \\\\ c & d \\end{pmatrix}$

[^1]: 来源。
"""
VIOLATIONS = """async () => {
    const found = await axe.run(document, { resultTypes: ['violations'] });
    return found.violations.flatMap(
        (one) => one.nodes.map((node) => `${one.id}: ${node.html.slice(0, 200)}`));
}"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The rules, as a script that every page is tried with."""
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


def violations(page: Page) -> list[Any]:
    return page.evaluate(VIOLATIONS)


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(browser: Browser, site: Path, tides: str, axe: str, name: str) -> None:
    """No rule is broken, in light and dark, on a phone and on a desk, with all details open."""
    with opened(browser, f"{site.as_uri()}/{PAGES[name].format(tides)}") as page:
        page.evaluate(axe)
        page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true; })")
        for width, scheme in LOOKS[:2] if "#" in PAGES[name] else LOOKS:
            page.set_viewport_size({"width": width, "height": 800})
            page.emulate_media(color_scheme=scheme)
            assert violations(page) == [], (width, scheme)


def test_axe_finds_nothing_in_odd_text(browser: Browser, tmp_path: Path, axe: str) -> None:
    """Whatever a model writes, the page around it and the text itself keep the rules."""
    report = refined(ODD, stop_reason="plateau")
    approval = Approval(reviewer="Ada", time=datetime(2026, 3, 14, tzinfo=UTC), digest="0" * 64)
    made = provenance_of(report, offline=False, approval=approval)
    html = report_html(report, "Short.", offline=True, provenance=made)
    (tmp_path / "index.html").write_text(html)
    with opened(browser, f"{tmp_path.as_uri()}/index.html") as page:
        page.evaluate(axe)
        assert violations(page) == []
        page.set_viewport_size({"width": 390, "height": 800})
        page.emulate_media(color_scheme="dark")
        assert violations(page) == []


def test_axe_finds_what_is_wrong(browser: Browser, site: Path, axe: str) -> None:
    """The rules are in force: a box without a label is found."""
    with opened(browser, f"{site.as_uri()}/index.html") as page:
        page.evaluate(axe)
        page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<input>')")
        assert any("<input>" in one for one in violations(page))


@pytest.mark.parametrize(("text", "tag"), [(ARABIC, "ar"), (CHINESE, "zh")])
def test_axe_finds_nothing_in_other_scripts(
    browser: Browser, tmp_path: Path, axe: str, text: str, tag: str
) -> None:
    """From right to left and in Chinese, with formulas: no rule is broken, nothing too wide."""
    report = two_drafts(Topic(title=f"T {tag}"), text, text.replace("1,200", "1,300"))
    add_report(tmp_path, report, text.split("\n")[2], None)
    for name in ("report.html", "index.html"):
        with opened(browser, f"{(tmp_path / report.topic.slug / name).as_uri()}") as page:
            page.evaluate(axe)
            assert page.evaluate("document.documentElement.lang") == tag
            for width, scheme in LOOKS:
                page.set_viewport_size({"width": width, "height": 800})
                page.emulate_media(color_scheme=scheme)
                assert violations(page) == [], (name, width, scheme)
                wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert wider <= 0, (name, width)
            ways = page.locator("article :is(pre, code)").evaluate_all(
                "all => all.map(one => getComputedStyle(one).direction)"
            )
            assert set(ways) <= {"ltr"}
