"""The process in which files are read: limited in memory and time, without the run's secrets.

It reads one file after the other from its parent (`readers`), and writes their passages back in
parts, so that a large file takes little memory. A frame is four bytes of length, and JSON or bytes.
"""

from __future__ import annotations

import contextlib
import csv
import json
import logging
import resource
import signal
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

from prefect_llm_reports.tasks.sources.cutting import Cut, cut
from prefect_llm_reports.tasks.sources.pieces import Unreadable
from prefect_llm_reports.tasks.sources.reading import read

PART = 200
"""Passages in a frame."""
LONGEST_CELL = 10_000_000
"""Characters in a cell of CSV; the limit is of the whole process, hence set here alone."""
_GRACE_S = 5


def write_frame(stream: BinaryIO, body: bytes) -> None:
    """Write a frame.

    Args:
        stream: A pipe.
        body: What it holds.
    """
    stream.write(len(body).to_bytes(4, "big") + body)


def read_frame(stream: BinaryIO) -> bytes | None:
    """Read a frame; None: the other side has ended.

    Args:
        stream: A pipe.
    """
    head = stream.read(4)
    if len(head) < 4:
        return None
    size = int.from_bytes(head, "big")
    body = stream.read(size)
    return body if len(body) == size else None


def answers(name: str, raw: bytes) -> Iterator[dict[str, Any]]:
    """What is found in a file: passages in parts, then its end or the reason why it has none.

    Args:
        name: The file's name.
        raw: Its bytes.
    """
    part: list[Cut] = []
    try:
        reading = read(name, raw)
        for one in cut(reading.pieces):
            part.append(one)
            if len(part) == PART:
                yield {"cuts": part}
                part = []
        yield {"cuts": part, "skipped": reading.skipped}
    except Unreadable as error:
        yield {"unreadable": str(error)}
    except MemoryError:
        part.clear()
        yield {"unreadable": "needs too much memory to be read; divide it into smaller files"}
    except RecursionError:
        yield {"unreadable": "too deeply nested to be read; simplify it"}
    except Exception as error:  # whatever a damaged file makes a reader do
        yield {"unreadable": f"not readable ({type(error).__name__}); save it again"}


def main(memory_mb: int, seconds: int) -> None:
    """Read files until the parent ends.

    Args:
        memory_mb: Memory that this process may take.
        seconds: Time for one file; the parent ends this process before.
    """
    limit = memory_mb * 1_000_000
    with contextlib.suppress(ValueError, OSError):  # a lower limit is set already
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    csv.field_size_limit(LONGEST_CELL)
    logging.disable()  # what libraries say of a damaged file is in the answer, if it matters
    given, told = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # a library that prints must not print into the answers
    while (head := read_frame(given)) is not None:
        raw = read_frame(given)
        if raw is None:
            return
        signal.alarm(seconds + _GRACE_S)
        for answer in answers(head.decode("utf-8", "surrogateescape"), raw):
            write_frame(told, json.dumps(answer).encode())
            told.flush()
        signal.alarm(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
