"""With NO_SKIPS=1 nothing can be skipped unseen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import ROOT

CASES = {
    "skip": "import pytest\ndef test_a(): pytest.skip('why')",
    "xfail": "import pytest\n@pytest.mark.xfail\ndef test_a(): assert 0",
    "xpass": "import pytest\n@pytest.mark.xfail\ndef test_a(): pass",
    "module": "import pytest\npytest.skip('why', allow_module_level=True)",
}


def session(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    own = ("NO_SKIPS", "PYTEST_ADDOPTS")
    kept = {n: v for n, v in os.environ.items() if n not in own}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.harness.no_skips",
         "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={folder}", str(folder)],
        cwd=ROOT,
        env={**kept, **environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )  # fmt: skip


def test_whatever_is_not_run_fails_the_session(tmp_path: Path) -> None:
    """A skip, a skipped module and an expected failure fail the session, and each is named."""
    (tmp_path / "test_good.py").write_text("def test_good(): pass")
    for name, text in CASES.items():
        (tmp_path / f"test_{name}.py").write_text(text)
    strict, lax = session(tmp_path, NO_SKIPS="1"), session(tmp_path)

    assert (strict.returncode, lax.returncode) == (pytest.ExitCode.TESTS_FAILED, 0), strict.stdout
    for name in CASES:
        assert f"NO_SKIPS: test_{name}.py" in strict.stdout
    assert "test_good.py was" not in strict.stdout
