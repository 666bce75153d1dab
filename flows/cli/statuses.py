"""The exit statuses of commands, each known once.

Not here: 128 and the signal's number, for a run that a signal ended (`interruption`).
"""

from __future__ import annotations

COMPLETE = 0
"""Everything that was asked for is done."""
WRONG = 1
"""`verify` found files that are not as they were published."""
BAD_INPUT = 2
"""Bad input or configuration; no call was made."""
PARTIAL = 3
"""Some failed, the others are published."""
STOPPED = 4
"""Stopped early; what was paid for is kept."""
