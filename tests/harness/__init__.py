"""What tests are made with: a fake endpoint, faults, processes, servers; no tests."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The checkout."""
