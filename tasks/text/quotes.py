"""Quotes as people read them: in one line, on a terminal, as Markdown.

Not here: the figures themselves (`contract.quotes`).
"""

from __future__ import annotations

from decimal import Decimal

from prefect_llm_reports.tasks.contract.money import cost_cell
from prefect_llm_reports.tasks.contract.quotes import Quote, TierCosts
from prefect_llm_reports.tasks.text.markdown import escaped

TIERS = ("standard", "flex", "batch")
MOST_WARNINGS = 20
AT_WORST = "at worst"


def quote_text(quote: Quote) -> str:
    """A quote in one line: `12 topics, usually 0.42 USD`."""
    return f"{counted(quote.topics.total, quote.items)}, {_usually(quote.usual)}"


def counted(number: int, things: str) -> str:
    """A number of things: `1 topic`, `1,200 topics`; the plural's `s` ends its first word."""
    first, *others = things.split(" ")
    return " ".join([f"{number:,}", first.removesuffix("s") if number == 1 else first, *others])


def quote_lines(quote: Quote) -> list[str]:
    """A quote for a terminal, in lines of at most 80 characters where its names allow."""
    wide = max(len(name) for name in (AT_WORST, *dict(_facts(quote))))
    facts = [f"{name:<{wide}}  {said}" for name, said in _facts(quote)]
    costs = [f"{'USD':<{wide}}  " + "".join(f"{tier:>12}" for tier in TIERS)]
    for name, found in (("usually", quote.usual_usd), (AT_WORST, quote.worst_usd)):
        costs.append(f"{name:<{wide}}  " + "".join(f"{cell:>12}" for cell in _cells(found)))
    lines = [f"Quote: {quote_text(quote)}", "", *facts, "", *costs]
    if quote.steps:
        name = max(4, *(len(f"{one.step}, {one.model}") for one in quote.steps))
        lines += ["", f"{'step':<{name}}  {'calls':>8} {'tokens in':>10} {'out':>7} {'records':>8}"]
        lines += [
            f"{f'{one.step}, {one.model}':<{name}}  {one.calls:>8,g} {one.input_tokens:>10,}"
            f" {one.output_tokens:>7,} {one.records or 'none':>8}"
            for one in quote.steps
        ]
    return [*lines, *_remarks(quote)]


def quote_markdown(quote: Quote) -> str:
    """A quote as Markdown; names and messages of others are escaped."""
    parts = [
        f"**{quote_text(quote)}**. No call was made.",
        _table(("Quote", ""), [(name, escaped(said)) for name, said in _facts(quote)]),
        _table(
            ("USD", *TIERS),
            [("usually", *_cells(quote.usual_usd)), (AT_WORST, *_cells(quote.worst_usd))],
        ),
    ]
    if quote.steps:
        rows = [
            (
                escaped(one.step),
                escaped(one.model),
                f"{one.calls:,g}",
                f"{one.input_tokens:,}",
                f"{one.output_tokens:,}",
                f"{one.seconds:g}",
                f"{one.records or 'none'}",
            )
            for one in quote.steps
        ]
        head = ("Step", "Model", "Calls", "Tokens in", "Tokens out", "Seconds", "Records")
        parts.append(_table(head, rows))
    return "\n\n".join([*parts, *map(escaped, filter(None, _remarks(quote)))])


def duration_text(seconds: float) -> str:
    """A duration to the precision that an estimate has: `40 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60:,} h {minutes % 60} min"


def _usually(usd: Decimal | None) -> str:
    if usd is None:
        return "cost unknown"
    in_cents = usd == 0 or usd >= Decimal("0.1")
    return f"usually {usd:,.2f} USD" if in_cents else f"usually {usd:.4f} USD"


def _facts(quote: Quote) -> list[tuple[str, str]]:
    topics, calls, usage = quote.topics, quote.calls, quote.usage
    found = [
        (
            quote.items,
            f"{topics.new:,} new, {topics.changed:,} changed, {topics.cached:,} wholly cached",
        ),
        (
            "calls",
            f"{calls.made:,} to be made (at most {calls.made_at_most:,}), {calls.cached:,} cached",
        ),
        ("tokens", f"{usage.input_tokens:,} in, {usage.output_tokens:,} out"),
        (
            "time",
            f"about {duration_text(quote.seconds)}"
            + (f", limited by {quote.limited_by}" if quote.limited_by else ""),
        ),
        ("tier", quote.price),
    ]
    if quote.budget_usd is not None:
        found.append(("budget", _budget(quote)))
    return found


def _budget(quote: Quote) -> str:
    said = f"{quote.budget_usd:f} USD"
    if quote.undone is None:
        return f"{said}: what it suffices for is unknown"
    worst = "unknown" if quote.undone_at_worst is None else f"{quote.undone_at_worst:,}"
    return f"{said} leaves {counted(quote.undone, quote.items)} undone; at worst {worst}"


def _cells(costs: TierCosts) -> list[str]:
    return [cost_cell(getattr(costs, tier)) for tier in TIERS]


def _remarks(quote: Quote) -> list[str]:
    """What a person should know of the figures."""
    found: list[str] = []
    if quote.steps and not all(one.records for one in quote.steps):
        found.append("Steps without records are estimated from lengths; reasoning takes more.")
    if quote.unpriced:
        found.append(
            f"The price of {', '.join(quote.unpriced)} is unknown; give it in the option `prices`"
            " or in LLM_REPORTS_PRICES."
        )
    found += [f"Warning: {warning}" for warning in quote.warnings[:MOST_WARNINGS]]
    return ["", *found] if found else []


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
