"""Serve the deployments of prefect.yaml on this machine, without a work pool.

PREFECT_API_URL=http://127.0.0.1:4200/api python deployments/serve.py [--topics-file F]
"""

from __future__ import annotations

import sys

from prefect_llm_reports.flows.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[1:]]))
