"""US dollars as text in messages, logs and artifacts.

Not here: prices (`llm.pricing`), the shorter form for readers of pages (`pages.runs`).
"""

from __future__ import annotations

from decimal import Decimal


def usd_text(usd: Decimal) -> str:
    """An amount to a hundredth of a cent, as `0.0123 USD`."""
    return f"{usd:.4f} USD"


def cost_text(usd: Decimal | None) -> str:
    """What something cost; None: unknown, which is never nothing."""
    return "cost unknown" if usd is None else usd_text(usd)
