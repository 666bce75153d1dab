"""Programs that others wrote: installed from PyPI, each in an environment of its own, and served.

Environments are kept in this machine's folder for temporary files, so that a second session
installs nothing. `python -m tests.harness.foreign` makes all of them, for a session to come. Not
here: the project itself in such environments (`installed`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from tests.harness.installed import UV
from tests.harness.processes import end, free_port, wait_until

KEPT = Path(tempfile.gettempdir()) / f"llm-reports-tests-{os.getuid()}" / "environments"

LLAMA_CPP = ("xllamacpp==2026.10.11549", "gguf==0.19.0")
LITELLM = ("litellm[proxy]==1.108.7",)
MLFLOW = ("mlflow==3.17.2",)
MOCKS = ("llmock==0.2.2", "fakellm==0.3.5")


def environment(*requirements: str) -> Path:
    """The folder of programs of an environment with these packages; made if there is none."""
    name = sha256("\n".join([sys.version, *requirements]).encode()).hexdigest()[:16]
    whole = KEPT / name
    if not whole.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=KEPT, prefix="new-"))
        try:
            _uv("venv", "--relocatable", "--python", sys.executable, made / "env")
            _uv("pip", "install", "--python", made / "env/bin/python", *requirements)
            (made / "env").rename(whole)
        except OSError:
            if not whole.exists():  # another process was first
                raise
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return whole / "bin"


def _uv(*arguments: str | Path) -> None:
    done = subprocess.run(
        [UV, "--quiet", *arguments], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, f"uv {arguments}: {done.stderr[-4000:]}"


@contextmanager
def serving(
    command: Callable[[int], Sequence[str | Path]],
    folder: Path,
    *,
    ready: str,
    settings: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """A server on loopback, from the moment it answers until it is ended here; gives its address.

    Args:
        command: What to run for a port.
        folder: Where it runs, and where its log is.
        ready: The path that answers 200 when it is ready.
        settings: Variables of its environment.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    clean = {n: v for n, v in os.environ.items() if not n.startswith(("PYTHON", "VIRTUAL_ENV"))}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [str(part) for part in command(port)],
            cwd=folder,
            env={**clean, **(settings or {})},
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(
            lambda: process.poll() is not None or _answers(url + ready),
            every=0.1,
            told=lambda: _end_of_log(folder),
        )
        assert process.poll() is None, _end_of_log(folder)
        yield url
    finally:
        end(process)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def _end_of_log(folder: Path) -> str:
    return (folder / "server.log").read_text(errors="replace")[-4000:]


if __name__ == "__main__":
    for requirements in (LLAMA_CPP, MOCKS, MLFLOW, LITELLM):
        environment(*requirements)
