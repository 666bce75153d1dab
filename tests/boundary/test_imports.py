"""Importing what is installed changes nothing of the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.harness import ROOT

PROGRAM = """
import atexit, gc, json, logging, os, pkgutil, signal, sys, threading, warnings
from importlib import import_module


def about(logger):
    return [logger.level, logger.propagate, logger.disabled, repr(logger.handlers),
            repr(logger.filters)]


def process():
    loggers = {name: logger for name, logger in logging.root.manager.loggerDict.items()
               if isinstance(logger, logging.Logger)}
    return {
        "environment": dict(os.environ),
        "signals": {int(n): repr(signal.getsignal(n)) for n in signal.valid_signals()},
        "collector": [gc.get_threshold(), gc.get_freeze_count(), gc.isenabled()],
        "loggers": {"": about(logging.root)} | {n: about(l) for n, l in loggers.items()},
        "directory": os.getcwd(),
        "path": list(sys.path),
        "threads": threading.active_count(),
        "hooks": [repr(sys.excepthook), repr(threading.excepthook)],
    }


from prefect import flow  # Prefect configures logging by itself
before = process()
imported = []
for package in json.loads(sys.argv[1]):
    for module in pkgutil.walk_packages(import_module(package).__path__, package + "."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
            imported.append(module.name)
after = process()
new = {name: about for name, about in after["loggers"].items() if name not in before["loggers"]}
for name in new:
    del after["loggers"][name]
json.dump({"imported": imported, "new": new, "before": before, "after": after}, sys.stdout)
"""


def test_importing_every_module_changes_nothing_of_the_process() -> None:
    """No variable, signal, collector setting, path, thread, nor anything of a logger."""
    packages = ["prefect_llm_reports.flows", "prefect_llm_reports.tasks"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(packages)],
        cwd=ROOT.parent,
        env={name: value for name, value in os.environ.items() if "PREFECT_" not in name},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "prefect_llm_reports.flows.cli.main" in found["imported"]
    assert "prefect_llm_reports.tasks.runtime.signals" in found["imported"]
    assert found["after"] == found["before"]
    ours = {n: about for n, about in found["new"].items() if n.startswith("prefect_llm_reports")}
    assert ours
    assert {tuple(about) for about in ours.values()} == {(0, True, False, "[]", "[]")}
