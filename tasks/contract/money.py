"""US dollars as text: in messages and logs, in tables, on pages, in files for programs.

Not here: prices (`llm.pricing`).
"""

from __future__ import annotations

from decimal import Decimal


def usd_text(usd: Decimal) -> str:
    """An amount to a hundredth of a cent, as `0.0123 USD`."""
    return f"{usd:.4f} USD"


def cost_text(usd: Decimal | None) -> str:
    """A cost; None: unknown, which is never zero."""
    return "cost unknown" if usd is None else usd_text(usd)


def cost_cell(usd: Decimal | None) -> str:
    """A cost in a table whose column names the unit; None: `unknown`."""
    return "unknown" if usd is None else f"{usd:.4f}"


def cost_on_page(usd: Decimal | None) -> str:
    """A cost on a page, in cents where they say enough: `$1.50`; None: `unknown`."""
    if usd is None:
        return "unknown"
    return f"${usd:,.2f}" if usd == 0 or usd >= 1 else f"${usd:.4f}"


def exact_cost(usd: Decimal | None) -> str:
    """A cost for programs, with all digits; None: `unknown`."""
    return "unknown" if usd is None else format(usd, "f")
