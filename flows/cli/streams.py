"""Standard streams that may be closed, full, gone, or unable to take a character.

Progress is never a reason to stop, and a result is kept in files. Not here: the texts.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from pydantic import BaseModel

AGAIN = "run the same command again for it"


class Lenient:
    """A text stream that loses text rather than raising an error.

    Args:
        stream: The stream that gets the text; None: all text is lost.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text if that is possible."""
        if self._stream is not None:
            try:
                self._stream.write(text)
            except UnicodeError:
                with suppress(OSError, ValueError):
                    self._stream.write(text.encode("ascii", "backslashreplace").decode())
            except (OSError, ValueError):
                pass
        return len(text)

    def flush(self) -> None:
        """Flush the stream if that is possible."""
        if self._stream is not None:
            with suppress(OSError, ValueError):
                self._stream.flush()

    def isatty(self) -> bool:
        """Whether the stream is a terminal that is still there."""
        with suppress(OSError, ValueError, AttributeError):
            return cast("TextIO", self._stream).isatty()
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def make_lenient() -> None:
    """Let stderr lose text rather than end a run, and fill gaps among the first descriptors.

    A file or database that got the number of a closed standard stream would receive its text.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if not isinstance(sys.stderr, Lenient):
        sys.stderr = cast("TextIO", Lenient(sys.stderr))


def as_text(argument: str) -> str:
    """An argument as UTF-8, where a missing locale made Python read its bytes as ASCII."""
    try:
        return os.fsencode(argument).decode()
    except UnicodeError:
        return argument


def print_result(result: BaseModel, kept_in: str | None) -> None:
    """Print a result as one JSON document on stdout; say on stderr if stdout cannot take it.

    Args:
        result: The result.
        kept_in: The file that has it too; None: there is none.
    """
    from prefect_llm_reports.tasks.text.foreign import printable_json

    def written(encoding: str) -> str:
        text = printable_json(result.model_dump_json(indent=2))
        if encoding != "utf8":
            return json.dumps(json.loads(text), indent=2)  # in ASCII, by escapes
        return text

    _print(written, f"it is in {kept_in}" if kept_in else AGAIN)


def print_text(text: str) -> None:
    """Print a text for people on stdout; say on stderr if stdout cannot take it.

    Args:
        text: The text, by others in part; what would steer a terminal is shown.
    """
    from prefect_llm_reports.tasks.text.foreign import printable

    def written(encoding: str) -> str:
        shown = printable(text.rstrip("\n"), keep="\n")
        if encoding != "utf8":
            return shown.encode(encoding, "backslashreplace").decode(encoding)
        return shown

    _print(written, AGAIN)


def _print(written: Callable[[str], str], elsewhere: str) -> None:
    """Print a text on stdout in its encoding; where that is impossible, say where the text is."""
    out = sys.stdout
    try:
        if out is None:  # pyright: ignore[reportUnnecessaryComparison] - started without stdout
            raise OSError("it is closed")
        encoding = (getattr(out, "encoding", None) or "ascii").lower().replace("-", "")
        out.write(written(encoding) + "\n")
        out.flush()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        sys.stderr.write(f"stdout cannot take the result ({why}); {elsewhere}\n")
        sys.stdout = cast("TextIO", Lenient(None))  # else Python tries again at exit, and fails
