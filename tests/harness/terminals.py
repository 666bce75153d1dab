"""Commands in a terminal of their own: a session whose whole foreground group gets Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.harness.pace import PATIENCE_S
from tests.harness.processes import wait_until

COLUMNS, LINES = 80, 400
"""The size of a terminal; so many lines, so that none is lost."""


class Terminal:
    """A command in a terminal.

    Args:
        process: The command; it leads the terminal's foreground group.
        master: The terminal's other side.
    """

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self._master = master
        self._shown = b""
        self._open = True
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):
            while self._open:
                if select.select([self._master], [], [], 0.05)[0]:
                    read = os.read(self._master, 65536)
                    if not read:
                        return
                    self._shown += read

    @property
    def shown(self) -> str:
        """Everything that the terminal has shown."""
        return self._shown.decode(errors="replace")

    def wait_for(self, text: str) -> None:
        """Wait until the terminal shows a text."""
        wait_until(
            lambda: text in self.shown or self.process.poll() is not None, told=lambda: self.shown
        )
        assert text in self.shown, self.shown

    @property
    def screen(self) -> list[str]:
        """The lines that a person sees, below each other, without blanks at their ends.

        Longer lines are broken where the screen ends, as terminals do.
        """
        import pyte  # the README's tests collect this module without it

        screen = pyte.Screen(COLUMNS, LINES)
        pyte.ByteStream(screen).feed(self._shown)
        return "\n".join(line.rstrip() for line in screen.display).rstrip().split("\n")

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self._master, text.encode())

    def press_ctrl_c(self) -> None:
        """Send SIGINT to the whole foreground group, as a terminal does."""
        os.write(self._master, b"\x03")

    def send(self, number: int) -> None:
        """Send a signal to the whole foreground group."""
        os.killpg(self.process.pid, number)

    def ended(self, timeout: float = PATIENCE_S) -> int:
        """Wait for the end of the command; gives its exit status."""
        status = self.process.wait(timeout)
        self._reader.join(5)
        return status

    def close(self) -> None:
        """Close the terminal, as a window or an SSH session is closed.

        The command has got SIGHUP then: a thread that reads would keep the terminal open.
        """
        if self._open:
            self._open = False
            self._reader.join()
            os.close(self._master)


@contextmanager
def in_terminal(
    *arguments: str, environment: Mapping[str, str], folder: Path
) -> Generator[Terminal]:
    """Run `llm-reports` in a terminal; end what is left of it."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    program = (
        "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
        "os.execv(sys.executable, [sys.executable, '-m', 'prefect_llm_reports.flows.cli',"
        " *sys.argv[1:]])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env={"TERM": "xterm", **environment},
        cwd=folder,
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    terminal = Terminal(process, master)
    try:
        yield terminal
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE_S)
        terminal.close()


def offspring(pid: int) -> list[int]:
    """Processes that a process started and that are there still, in whatever session."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if fields[1] == str(pid) and fields[0] != "Z":
                    found.append(int(entry.name))
    return found


def is_there(pid: int) -> bool:
    """Whether a process runs."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
