"""Makes `python -m prefect_llm_reports.flows.cli` the same as `llm-reports`."""

from __future__ import annotations

import sys

from prefect_llm_reports.flows.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
