"""What all tests share: no test reads this machine's settings or reaches beyond loopback."""

from __future__ import annotations

import os
import signal

from prefect_llm_reports.tasks.runtime.environment import set_prefect_defaults

for name in [
    n for n in os.environ if n.startswith(("OPENAI_", "PREFECT_", "LLM_REPORTS_", "AWS_"))
]:
    del os.environ[name]
os.environ["LLM_REPORTS_BACKOFF_S"] = "0"
set_prefect_defaults()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a job in the background of a script
    signal.signal(signal.SIGINT, signal.default_int_handler)  # its processes heed Ctrl-C, too

from prefect_llm_reports.tasks.answers import files  # noqa: E402 - after the environment

files.WAIT_S = 0

from tests.harness.no_skips import pytest_configure  # noqa: E402, F401 - a hook, found by its name
