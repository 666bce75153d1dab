"""What follows a failed request, without Prefect: against a real HTTP server."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from prefect_llm_reports.tasks.contract.calls import Answer
from prefect_llm_reports.tasks.contract.errors import (
    AttemptsExhausted,
    CallError,
    CallTimedOut,
    EndpointDown,
    QuotaExhausted,
)
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.llm import absence
from prefect_llm_reports.tasks.llm.endpoint import Endpoint as Address
from prefect_llm_reports.tasks.llm.session import Session
from tests.boundary.llm.test_line import KEY, answered, one_session, question
from tests.harness import answers, faults
from tests.harness.endpoint import Endpoint, Reply


async def crowd(
    session: Session, url: str, count: int, *, chain: int = 1
) -> list[Answer | BaseException]:
    """Ask chains of questions, all at once."""

    async def one(number: int) -> Answer:
        answer: Answer | None = None
        for step in range(chain):
            answer = await answered(session, question(url, variant=f"{number}-{step}"))
        assert answer is not None
        return answer

    return await asyncio.gather(*(one(n) for n in range(count)), return_exceptions=True)


def ask_all(
    endpoint: Endpoint, count: int, *, chain: int = 1, **options: Any
) -> list[Answer | BaseException]:
    async def main() -> list[Answer | BaseException]:
        async with one_session(endpoint, **options) as session:
            return await crowd(session, endpoint.base_url, count, chain=chain)

    return asyncio.run(main())


def lost(outcomes: list[Answer | BaseException]) -> list[BaseException]:
    return [one for one in outcomes if isinstance(one, BaseException)]


THROTTLES: dict[str, Reply] = {
    "429": faults.rate_limited(),
    "429 with a wait": faults.rate_limited(retry_after_ms=5),
    "498": faults.error(498, "Capacity exceeded", kind="capacity_exceeded"),
    "resource unavailable": faults.error(429, "Resource unavailable", code="resource_unavailable"),
    "in words": faults.error(429, "Slow down. Please try again in 20ms."),
    "quota in name only": faults.error(
        429, "Requests rate limit exceeded", code="insufficient_quota", kind="insufficient_quota"
    ),
}


@pytest.mark.parametrize("name", THROTTLES)
def test_a_throttle_uses_up_no_attempt(name: str) -> None:
    """However often a call is refused by the account's limits, it is answered in the end."""
    times = 1 if "quota" in name else 6
    with Endpoint(latency=0.01) as endpoint:
        first = question(endpoint.base_url, variant="first")

        async def main() -> list[Answer | BaseException]:
            async with one_session(endpoint, concurrency=4) as session:
                await answered(session, first)
                endpoint.fail(THROTTLES[name], times=times)
                return await crowd(session, endpoint.base_url, 3)

        assert lost(asyncio.run(main())) == []
        assert len(endpoint.requests) == 4 + times


def test_a_quota_that_is_named_again_without_an_answer_is_used_up() -> None:
    """The first refusal may be a throttle; the second without an answer between is the truth."""
    with Endpoint() as endpoint:

        async def main() -> list[Answer | BaseException]:
            async with one_session(endpoint) as session:
                await answered(session, question(endpoint.base_url, variant="first"))
                endpoint.fail(THROTTLES["quota in name only"], times=None)
                return await crowd(session, endpoint.base_url, 1)

        [error] = asyncio.run(main())
        assert isinstance(error, QuotaExhausted)
        assert len(endpoint.requests) == 3


def test_a_server_that_answers_one_at_a_time_answers_all() -> None:
    """Time in the server's own queue is no fault: what timed out there is asked again."""
    with one_at_a_time(0.2) as url:

        async def main() -> list[Answer | BaseException]:
            address = Address(url, SecretStr(KEY))
            options = ReportOptions(deadline_s=1, concurrency=8)
            async with Session([address], options, backoff_s=0) as session:
                return await crowd(session, url, 8, chain=2)

        assert lost(asyncio.run(main())) == []


@contextmanager
def one_at_a_time(seconds: float) -> Iterator[str]:
    """A server with one worker, that also works for clients who have gone."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            time.sleep(seconds)
            body = json.loads(raw)
            said = json.dumps(
                answers.completion(body, answers.key(body), words=50, scores=(8,))
            ).encode()
            try:
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)
            except OSError:
                pass

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output clean."""

    class Server(HTTPServer):
        request_queue_size = 100

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


def test_a_request_that_hangs_is_asked_once_more() -> None:
    """One stuck request costs its deadline and nothing else; a second one ends the call."""
    with Endpoint() as endpoint:

        async def main() -> list[Answer | BaseException]:
            async with one_session(endpoint, deadline_s=1.5) as session:
                await answered(session, question(endpoint.base_url, variant="first"))
                endpoint.fail(faults.hang(), times=1)
                once = await crowd(session, endpoint.base_url, 1)
                endpoint.fail(faults.hang(), times=2)
                ask = question(endpoint.base_url, variant="stuck")
                return [
                    *once,
                    *await asyncio.gather(answered(session, ask), return_exceptions=True),
                ]

        once, twice = asyncio.run(main())
        assert isinstance(once, Answer)
        assert isinstance(twice, CallTimedOut)
        assert twice.attempts == 2
        assert len(endpoint.requests) == 1 + 2 + 2


# Away --------------------------------------------------------------------------------------------


def port_of(endpoint: Endpoint) -> int:
    return int(endpoint.base_url.split(":")[2].split("/")[0])


@contextmanager
def away_after(requests: int, seconds: float | None = None) -> Iterator[Endpoint]:
    """An endpoint whose process ends after so many requests; it is there again later, or not."""
    with Endpoint(latency=0.05) as first:
        back = Endpoint(latency=0.01, port=port_of(first))

        def restart() -> None:
            first.wait_until(lambda: len(first.requests) >= requests)
            first.close()
            if seconds is not None:
                threading.Event().wait(seconds)
                back.__enter__()

        thread = threading.Thread(target=restart)
        thread.start()
        try:
            yield first
        finally:
            thread.join()
            back.close()


def test_an_endpoint_that_restarts_loses_nothing() -> None:
    """Calls wait while an endpoint that has answered is away, one probe at a time."""
    with away_after(10, 1.0) as endpoint:
        assert lost(ask_all(endpoint, 8, chain=4, concurrency=8, patience_s=60)) == []


def test_patience_ends() -> None:
    """An endpoint that does not come back ends the batch, with what was seen and what to do."""
    with away_after(10) as endpoint:
        errors = lost(ask_all(endpoint, 4, chain=10, patience_s=0.5))
    assert errors
    assert any(isinstance(one, EndpointDown) and "has been away" in str(one) for one in errors)


def test_a_fallback_serves_while_the_first_endpoint_is_away() -> None:
    """Nobody waits for an endpoint while another one can serve."""
    with away_after(6, 2.0) as first, Endpoint() as second:

        async def main() -> list[Answer | BaseException]:
            addresses = [Address(e.base_url, SecretStr(KEY)) for e in (first, second)]
            options = ReportOptions(concurrency=4, patience_s=60)
            async with Session(addresses, options, backoff_s=0) as session:
                return await crowd(session, first.base_url, 4, chain=10)

        assert lost(asyncio.run(main())) == []
        assert second.requests


GONE: dict[str, Reply] = {
    "502 page": faults.html(502),
    "503 page": faults.html(503),
    "504 page": faults.html(504),
    "521 page": faults.html(521),
    "530 page": faults.html(530),
    "loading": faults.error(503, "Loading model", kind="unavailable_error"),
    "loading, with its name": faults.error(503, "Model m is currently loading"),
    "waking": faults.error(503, "The endpoint is waking up, it was scaled to zero"),
}


@pytest.mark.parametrize("name", GONE)
def test_a_gateway_before_an_absent_server_loses_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of a gateway, and a model that loads, are an absence like a refused connection."""
    monkeypatch.setattr(absence, "LONGEST_PROBE_S", absence.FIRST_PROBE_S)
    with Endpoint() as endpoint:

        async def main() -> list[Answer | BaseException]:
            async with one_session(endpoint, concurrency=2) as session:
                await answered(session, question(endpoint.base_url, variant="first"))
                endpoint.fail(GONE[name], times=7)  # more than two calls have attempts
                return await crowd(session, endpoint.base_url, 2)

        assert lost(asyncio.run(main())) == []


def test_a_prompt_that_breaks_connections_fails_alone() -> None:
    """The endpoint is there, as a request that costs nothing shows: three attempts, no waiting."""
    with Endpoint() as endpoint:

        async def main() -> BaseException | Answer:
            async with one_session(endpoint, patience_s=60) as session:
                await answered(session, question(endpoint.base_url, variant="first"))
                endpoint.fail(faults.reset(), times=None, when=lambda r: r.method == "POST")
                [error] = await crowd(session, endpoint.base_url, 1)
                return error

        error = asyncio.run(main())
        assert isinstance(error, AttemptsExhausted)
        assert error.attempts == 3


def test_a_first_contact_that_fails_is_fatal_at_once() -> None:
    """Nothing listens: patience is for endpoints that have answered."""
    with Endpoint() as endpoint:
        pass
    [error] = ask_all(endpoint, 1, patience_s=60)
    assert isinstance(error, CallError)
    assert "first contact failed" in str(error)


# Connections -------------------------------------------------------------------------------------


@contextmanager
def closing_server() -> Iterator[str]:
    """A server that closes each connection with its response, without saying so.

    With, and not after it: of a request that arrives before the close nobody knows whether it was
    read.
    """

    def serve(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader:
            length = 0
            while (line := reader.readline().strip()) != b"":
                if line.lower().startswith(b"content-length"):
                    length = int(line.split(b":")[1])
            if not length:
                return
            body = json.loads(reader.read(length))
            said = json.dumps(
                answers.completion(body, answers.key(body), words=50, scores=(8,))
            ).encode()
            head = (
                f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(said)}"
            )
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)  # until the close
            connection.sendall(head.encode() + b"\r\n\r\n" + said)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    listener = socket.create_server(("127.0.0.1", 0), backlog=200)
    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_connections_that_the_server_closes_use_up_no_attempt() -> None:
    """A server that closes after each response loses nothing, and no request counts twice."""
    with closing_server() as url:

        async def main() -> list[Answer | BaseException]:
            address = Address(url, SecretStr(KEY))
            async with Session([address], ReportOptions(concurrency=8), backoff_s=0) as session:
                return await crowd(session, url, 8, chain=10)

        outcomes = asyncio.run(main())
    assert lost(outcomes) == []
    assert {one.attempts for one in outcomes if isinstance(one, Answer)} == {1}


@pytest.mark.parametrize("name", ["reset", "close"])
def test_a_request_that_the_server_has_read_uses_up_an_attempt(name: str) -> None:
    """A server that reads a request and then ends the connection has had it, and may bill it."""
    reply = faults.reset() if name == "reset" else faults.disconnect()
    with Endpoint() as endpoint:

        async def main() -> Answer:
            async with one_session(endpoint) as session:
                await answered(session, question(endpoint.base_url, variant="first"))
                endpoint.fail(reply, times=2)
                return await answered(session, question(endpoint.base_url, variant="second"))

        assert asyncio.run(main()).attempts == 3
        assert len(endpoint.requests) == 4


@pytest.mark.parametrize(
    "wait", ["9" * 11, "9" * 400, "1e30", "Fri, 31 Dec 9999 23:59:59 GMT", "99999999 days"]
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_huge_wait_ends_in_a_sentence(wait: str, status: int) -> None:
    """A wait without end is no traceback: the call ends, or is made again if it is no number."""
    with Endpoint() as endpoint:
        endpoint.fail(faults.error(status, "later", headers={"Retry-After": wait}), times=1)
        (outcome,) = ask_all(endpoint, 1)
    if isinstance(outcome, CallError):
        assert "run the same command again" in str(outcome) or "resume after" in str(outcome)
    else:
        assert isinstance(outcome, Answer)
