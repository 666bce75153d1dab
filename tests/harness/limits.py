"""An account's limits as OpenAI keeps them: buckets into which units flow back evenly.

Not here: calls at once (`Endpoint(capacity=...)`), the server (`harness.endpoint`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

DEPTH = 0.1
"""How deep a bucket is, in minutes."""


@dataclass
class Bucket:
    """One limit.

    Args:
        kind: `requests` or `tokens`.
        per_minute: Units that flow back in a minute.
    """

    kind: str
    per_minute: float
    _left: float = field(init=False)
    _at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Begin full."""
        self._left = self.depth

    @property
    def depth(self) -> float:
        """The most that is left."""
        return self.per_minute * DEPTH

    def left(self) -> float:
        """Units that are left now."""
        now = time.monotonic()
        self._left = min(self.depth, self._left + (now - self._at) * self.per_minute / 60)
        self._at = now
        return self._left

    def take(self, amount: float) -> None:
        """Use up units."""
        self._left -= amount

    @property
    def headers(self) -> dict[str, str]:
        """What the endpoint says of the limit: the reset is when the bucket is full again."""
        left = self.left()
        return {
            f"x-ratelimit-limit-{self.kind}": f"{self.per_minute:g}",
            f"x-ratelimit-remaining-{self.kind}": f"{int(left)}",
            f"x-ratelimit-reset-{self.kind}": f"{(self.depth - left) * 60 / self.per_minute:.3f}s",
        }


@dataclass
class Limits:
    """The limits of an account.

    Args:
        requests_per_minute: None: no limit.
        tokens_per_minute: Of what answers take; None: no limit.
        hints: Responses name the limits.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    hints: bool = True
    _buckets: list[Bucket] = field(init=False)

    def __post_init__(self) -> None:
        """Make the buckets."""
        kinds = {"requests": self.requests_per_minute, "tokens": self.tokens_per_minute}
        self._buckets = [Bucket(kind, rate) for kind, rate in kinds.items() if rate]

    def take(self, usage: Mapping[str, int]) -> bool:
        """Use up what a request takes; False: there is not enough left, and nothing is taken."""
        tokens = usage.get("prompt_tokens", 0) + usage.get("completion_tokens", 0)
        amounts = [1 if bucket.kind == "requests" else tokens for bucket in self._buckets]
        pairs = list(zip(self._buckets, amounts, strict=True))
        if any(bucket.left() < amount for bucket, amount in pairs):
            return False
        for bucket, amount in pairs:
            bucket.take(amount)
        return True

    def headers(self) -> dict[str, str]:
        """What responses say of the limits."""
        said: dict[str, str] = {}
        for bucket in self._buckets if self.hints else ():
            said |= bucket.headers
        return said
