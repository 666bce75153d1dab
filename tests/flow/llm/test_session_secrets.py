"""The API key is found nowhere, whatever fails and however much is logged."""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.logging.handlers import APILogHandler
from prefect.settings import get_current_settings

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.llm import line as exchange
from prefect_llm_reports.tasks.llm.blocks import LLMEndpoint
from prefect_llm_reports.tasks.reports import refining
from tests.flow.conftest import Bench
from tests.harness import faults
from tests.harness.endpoint import Endpoint, Reply

KEY = "canary-7Qz9vK2mX4tR8wL1"
"""Does not look like any provider's key: it is hidden because it is the key."""

FAULTY, OTHER = "Tidal power", "Heat pumps"


def spellings(secret: str) -> list[bytes]:
    """The secret in clear and inside base64, at each of its three alignments."""
    return [secret.encode()] + [
        encode(b"\0" * shift + secret.encode())[4 if shift else 0 : -4]
        for shift in range(3)
        for encode in (base64.b64encode, base64.urlsafe_b64encode)
    ]


class _Listener(logging.Handler):
    """Keeps every record as text, its traceback included."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{self.format(record)} {record.args!r} {record.exc_info!r}")


@pytest.fixture
def everything_logged() -> Iterator[_Listener]:
    """All loggers at DEBUG, and what they say."""
    listener = _Listener()
    names = [
        None,
        *("openai", "httpx2", "httpcore2", "httpx", "httpcore", "prefect_llm_reports", "asyncio"),
        *(name for name in logging.root.manager.loggerDict if name.startswith("prefect")),
    ]
    before: list[tuple[logging.Logger, int]] = []
    for logger in map(logging.getLogger, names):
        before.append((logger, logger.level))
        logger.setLevel(logging.DEBUG)
        if logger is logging.root or not logger.propagate:
            logger.addHandler(listener)
    yield listener
    for logger, level in before:
        logger.setLevel(level)
        logger.removeHandler(listener)


def database() -> Path:
    """The file of the Prefect server's database."""
    url = get_current_settings().server.database.connection_url
    assert url is not None
    return Path(re.sub(r"^sqlite\+aiosqlite:/+", "/", url.get_secret_value()))


def files_written(since: float, *folders: Path) -> Iterator[Path]:
    """The files under these folders that have been written since then."""
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and path.stat().st_mtime >= since - 1:
                yield path


FATAL: dict[str, Reply] = {
    "401": faults.error(401, f"Incorrect API key provided: {KEY}", code="invalid_api_key"),
    "html": faults.html(),
    "redirect": faults.redirect(f"https://sso.invalid/{KEY}/login"),
}
ITEM: dict[str, Reply] = {
    "500": faults.error(500, f"while serving {KEY}", headers={"x-request-id": f"req-{KEY}"}),
    "400": faults.error(400, f"Bad request with Authorization: Bearer {KEY}"),
    "hang": faults.hang(),
    "reset": faults.reset(),
    "broken": faults.not_json(),
    "answer": faults.answer(f"# Report\n\nYour key is {KEY}.\n"),
    "refusal": faults.refusal(f"I refuse to serve {KEY}"),
}


def test_the_key_is_found_nowhere(
    bench: Bench,
    everything_logged: _Listener,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Not in files, database, results, logs at DEBUG or output, in clear or base64."""
    since = time.time()
    results: list[str] = []

    def run(endpoint: Endpoint, *topics: str, **options: Any) -> None:
        result = bench.run(endpoint, [*topics, OTHER], key=KEY, options=options)
        results.append(result.model_dump_json())

    with Endpoint(scores=(8,), words=40) as endpoint:
        for name, reply in ITEM.items():
            endpoint.fail(reply, topic=f"On {name}.", times=None)
        run(endpoint, *(f"On {name}." for name in ITEM), deadline_s=2)
        assert {r.headers["authorization"] for r in endpoint.requests} == {f"Bearer {KEY}"}
    for reply in FATAL.values():
        with Endpoint(scores=(8,), words=40) as endpoint:
            endpoint.fail(reply, topic=FAULTY, times=None)
            run(endpoint, FAULTY)
    run(endpoint, FAULTY)  # it is closed by now: refused

    def unforeseen(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("unforeseen")

    for owner, name in ((refining, "refine"), (exchange, "read_reply")):
        with Endpoint(scores=(8,), words=40) as endpoint, monkeypatch.context() as patch:
            patch.setattr(owner, name, unforeseen)
            run(endpoint, FAULTY, store=str(tmp_path / name))
    saved = LLMEndpoint(base_url=endpoint.base_url, api_key=KEY)  # pyright: ignore
    asyncio.run(saved.asave("canary", overwrite=True))
    asyncio.run(_flush())

    logged = "\n".join(everything_logged.lines)
    written = capfd.readouterr()
    home = get_current_settings().home
    storage = get_current_settings().results.local_storage_path
    searched = {
        str(path): path.read_bytes()
        for path in files_written(since, tmp_path, home, storage, database().parent)
    }
    texts = {"log": logged, "out": written.out, "err": written.err, "results": "".join(results)}
    searched |= {name: text.encode() for name, text in texts.items()}

    # the search sees what it should: logs reached the database, and all was logged
    assert b"key rejected" in b"".join(
        v for k, v in searched.items() if k.startswith(str(database()))
    )
    assert re.search(r"HTTP Response: POST .*401", logged)
    assert "send_request_headers" in logged
    assert any(name.endswith("report.md") for name in searched)
    assert "ZeroDivisionError" in logged
    kinds = ("attempts_exhausted", "call_timed_out", "call_rejected", "answer_refused")
    for kind in (*kinds, "key_rejected", "not_an_endpoint", "endpoint_down", "unexpected"):
        assert f'"kind":"{kind}"' in texts["results"]
    for name, content in searched.items():
        for spelling in spellings(KEY):
            assert spelling not in content, f"the key is in {name}"


async def _flush() -> None:
    pending: Any = APILogHandler.aflush()
    if pending is not None:
        await pending


@pytest.mark.parametrize("around", ["{}\n", "  {}\r\n", "\t{}"])
def test_blanks_around_a_key_do_no_harm(bench: Bench, endpoint: Endpoint, around: str) -> None:
    """A key read from a file with its line end is sent without it."""
    result = bench.run(endpoint, [OTHER], key=around.format(KEY), max_iterations=1)

    assert result.status == "complete"
    assert {r.headers["authorization"] for r in endpoint.requests} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("make", [lambda key: f"{key[:9]}\n{key[9:]}", lambda key: f"{key}…"])
def test_a_key_that_cannot_be_sent_is_refused_without_being_quoted(
    bench: Bench, endpoint: Endpoint, make: Callable[[str], str]
) -> None:
    """A broken or mangled key is bad input, named but not shown."""
    with pytest.raises(BadInput, match="copy it again") as caught:
        bench.run(endpoint, [OTHER], key=make(KEY))

    assert KEY[:9] not in str(caught.value)
    assert KEY[9:] not in str(caught.value)
    assert endpoint.requests == []
