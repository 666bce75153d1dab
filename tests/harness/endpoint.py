"""A scriptable OpenAI-compatible endpoint on a loopback socket; all tests speak to this one.

What lives here: the server, its record of requests, its rules and the process form. What does not:
the texts it answers with (`harness.answers`), the faults (`harness.faults`) and how replies go onto
the wire (`harness.wire`).

In a test, on a thread and an event loop of its own:

    with Endpoint(scores=[6, 7, 8]) as endpoint:
        endpoint.fail(faults.status(503), step="critique", topic="Rust", times=2)
        ...  # OPENAI_BASE_URL=endpoint.base_url
        assert endpoint.count(step="critique") == 5

As a process, for tests that kill the other side:

    python -m tests.harness.endpoint --log FILE --latency 0.05 --max-seconds 600

It prints one JSON line, {"base_url": ...}, when it listens, and ends on SIGTERM or by itself. The
log holds {"event": "asked", ...} on arrival and {"event": "answered", ...} once the kernel has
taken the whole answer; a client killed just then may not have read it.

A request is answered by the first of: a full house (`capacity`), a rule (`fail`), the script, the
default answer, which is a pure function of the request's body.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from tests.harness import answers, faults, wire
from tests.harness.faults import Reply
from tests.harness.limits import Limits
from tests.harness.pace import PATIENCE_S

__all__ = ["Endpoint", "Reply", "Request"]

_MODELS = json.dumps(
    {
        "object": "list",
        "data": [
            {"id": name, "object": "model", "created": answers.CREATED, "owned_by": "tests"}
            for name in ("fake-large", "fake-small")
        ],
    }
).encode()


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request as it arrived, and what became of it.

    Attributes:
        iteration: Number of the draft at hand, 1-based; a text revised twice is draft 3.
        occurrence: How often this key has arrived so far, this time included.
        arrived: Monotonic seconds.
        answered: Monotonic seconds; None: not, or not fully, answered.
        status: HTTP status sent; None: none so far.
        input_tokens: Tokens a provider would charge for: a completion was sent, if only in part.
        output_tokens: As `input_tokens`.
    """

    number: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    key: str
    step: str
    topic: str
    iteration: int
    occurrence: int
    arrived: float
    answered: float | None = None
    status: int | None = None
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def request_id(self) -> str:
        """The x-request-id this request is answered with."""
        return f"req_{self.key[:24]}"


@dataclass(kw_only=True)
class _Rule:
    reply: Reply
    step: str | None
    topic: str | None
    left: float
    when: Callable[[Request], bool] | None

    def takes(self, request: Request) -> bool:
        return (
            self.left > 0
            and _matches(request, self.step, self.topic)
            and (self.when is None or self.when(request))
        )


class Endpoint:
    """The server; a context manager that listens from entry to exit.

    Args:
        script: Asked for every request; None from it means the default answer.
        scores: Score of the first draft, of the text revised once, and so on; the last one stays.
        words: About how long drafts are.
        latency: Seconds before an ordinary answer.
        capacity: More requests than this under way: 429.
        retry_after: Seconds in the Retry-After header of these 429s; None: no header.
        limits: The account's limits on requests and tokens; None: none.
        log: JSON lines are appended to this file.
        tls: Serve https with a certificate nobody trusts.
        port: 0: any free one.
    """

    def __init__(
        self,
        *,
        script: Callable[[Request], Reply | None] | None = None,
        scores: Sequence[int] = (6, 7, 8),
        words: int = 300,
        latency: float = 0.0,
        capacity: int | None = None,
        retry_after: float | None = None,
        limits: Limits | None = None,
        log: Path | str | None = None,
        tls: bool = False,
        port: int = 0,
    ) -> None:
        """Prepare; entering the context starts it."""
        self.base_url = ""
        self.peak = 0
        self._script, self._scores, self._words = script, scores, words
        self._latency, self._capacity, self._retry_after = latency, capacity, retry_after
        self._limits = limits
        self._log_path, self._tls, self._port = log, tls, port
        self._log: TextIO | None = None
        self._requests: list[Request] = []
        self._seen: Counter[str] = Counter()
        self._rules: list[_Rule] = []
        self._under_way = 0
        self._changed = threading.Condition()
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    # For tests

    def __enter__(self) -> Self:
        """Listen, on a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="endpoint", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure:
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Close, and raise what a script raised."""
        self.close()
        if self._failure and error is None:
            raise self._failure

    def close(self) -> None:
        """Stop listening and drop every connection; from then on `base_url` refuses."""
        if self._thread:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout=30)

    @property
    def requests(self) -> list[Request]:
        """Every request so far, in order of arrival."""
        with self._changed:
            return list(self._requests)

    def count(
        self, *, step: str | None = None, topic: str | None = None, status: int | None = None
    ) -> int:
        """How many requests of this step, about a topic with this in it, got this status."""
        found = (r for r in self.requests if _matches(r, step, topic))
        return sum(status is None or r.status == status for r in found)

    def fail(
        self,
        reply: Reply,
        *,
        step: str | None = None,
        topic: str | None = None,
        times: int | None = 1,
        when: Callable[[Request], bool] | None = None,
    ) -> None:
        """Answer the next `times` matching requests (None: all) with this reply.

        Of several rules, the first registered that matches and is not used up wins.
        """
        left = float("inf") if times is None else times
        with self._changed:
            self._rules.append(_Rule(reply=reply, step=step, topic=topic, left=left, when=when))

    def wait_until(self, true: Callable[[], bool], timeout: float = PATIENCE_S) -> None:
        """Wait until this holds; it is asked again whenever a request arrives or is answered.

        A TimeoutError after `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(true, timeout):
                raise TimeoutError(f"not true after {timeout} s and {len(self._requests)} requests")

    def release(self) -> None:
        """Answer all requests that got `faults.held()`, and the ones still to come."""
        self._loop.call_soon_threadsafe(self._released.set)

    def billed_usd(
        self, input_per_million: Decimal | str | float, output_per_million: Decimal | str | float
    ) -> Decimal:
        """What a provider would charge: completions with usage, sent whole or cut off."""
        tokens_in = sum(r.input_tokens for r in self.requests)
        tokens_out = sum(r.output_tokens for r in self.requests)
        prices = Decimal(str(input_per_million)), Decimal(str(output_per_million))
        return (tokens_in * prices[0] + tokens_out * prices[1]) / 1_000_000

    # The server

    def _run(self) -> None:
        try:
            asyncio.run(self.serve(self._ready.set))
        except BaseException as error:  # raised again in the test's thread
            self._failure = error
        finally:
            self._ready.set()

    async def serve(self, ready: Callable[[], object]) -> None:
        """Listen until told to stop; `ready` is called once `base_url` answers."""
        self._loop = loop = asyncio.get_running_loop()
        self._stop, self._released = asyncio.Event(), asyncio.Event()

        def connected() -> asyncio.StreamReaderProtocol:
            return asyncio.StreamReaderProtocol(wire.Reader(loop), self._connected, loop=loop)

        with contextlib.ExitStack() as stack:
            if self._log_path:
                self._log = stack.enter_context(_appending(self._log_path))
            server = await loop.create_server(
                connected,
                "127.0.0.1",
                self._port,
                ssl=wire.untrusted() if self._tls else None,
                backlog=1024,
            )
            stack.callback(server.close)
            port = server.sockets[0].getsockname()[1]
            self.base_url = f"{'https' if self._tls else 'http'}://127.0.0.1:{port}/v1"
            ready()
            await self._stop.wait()
            server.close()
            await asyncio.sleep(0)  # connections just made get their task
            tasks = list(self._connections)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)  # let aborted transports close their sockets

    def stop(self) -> None:
        """Stop, from inside the event loop."""
        self._stop.set()

    async def _connected(self, reader: Any, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        writer.transport.set_write_buffer_limits(high=0)  # drain() means: the kernel has it all
        try:
            while await self._exchange(reader, writer):
                pass
            writer.close()
        except (OSError, EOFError, asyncio.CancelledError):
            writer.transport.abort()
        except Exception as error:  # a script's or our own mistake: the test must see it
            self._failure = self._failure or error
            writer.transport.abort()
        finally:
            del self._connections[task]

    async def _exchange(self, reader: wire.Reader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head[:-4].split("\r\n")
        method, path, _ = line.split(" ", 2)
        pairs = (field.split(":", 1) for field in fields)
        headers = {name.lower(): value.strip() for name, value in pairs}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        self._under_way += 1
        self.peak = max(self.peak, self._under_way)
        try:
            request = self._arrived(method, path, headers, raw)
            await self._deliver(request, self._choose(request), reader, writer)
        finally:
            self._under_way -= 1
        return headers.get("connection", "").lower() != "close" and not writer.is_closing()

    def _arrived(self, method: str, path: str, headers: dict[str, str], raw: bytes) -> Request:
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = None
        key = answers.key(body)
        step, topic, iteration = answers.recognise(body)
        if method == "GET" and path == "/v1/models":
            step = "models"
        with self._changed:
            self._seen[key] += 1
            request = Request(
                number=len(self._requests) + 1,
                method=method,
                path=path,
                headers=headers,
                body=body,
                key=key,
                step=step,
                topic=topic,
                iteration=iteration,
                occurrence=self._seen[key],
                arrived=time.monotonic(),
            )
            self._requests.append(request)
            self._write("asked", request)
            self._changed.notify_all()
        return request

    def _update(self, request: Request, *, done: bool = False, **changes: Any) -> None:
        with self._changed:
            changed = replace(self._requests[request.number - 1], **changes)
            self._requests[request.number - 1] = changed
            if done:
                self._write("answered", changed)
            self._changed.notify_all()

    def _write(self, event: str, request: Request) -> None:
        if self._log:
            kept = ("number", "key", "path", "step", "topic", "iteration", "occurrence", "status")
            fields = {name: getattr(request, name) for name in kept}
            at = request.arrived if request.answered is None else request.answered
            self._log.write(json.dumps({"event": event, **fields, "at": at}) + "\n")
            self._log.flush()

    def _choose(self, request: Request) -> Reply:
        if self._capacity is not None and self._under_way > self._capacity:
            return replace(faults.rate_limited(self._retry_after), latency=0.0)
        if self._limits and request.step != "models":
            return self._limited(request, self._limits)
        with self._changed:
            for rule in self._rules:
                if rule.takes(request):
                    rule.left -= 1
                    return rule.reply
        if self._script and (reply := self._script(request)) is not None:
            return reply
        if request.step == "models":
            return Reply(body=_MODELS)
        if request.path != "/v1/chat/completions" or request.method != "POST":
            return faults.error(404, f"Invalid URL ({request.method} {request.path})")
        if not isinstance(request.body, dict):
            return faults.error(400, "We could not parse the JSON body of your request.")
        return Reply()

    def _limited(self, request: Request, limits: Limits) -> Reply:
        """The answer within the account's limits, or a refusal, with what it says of them."""
        _, usage = self._render(request, Reply())
        if limits.take(usage):
            return Reply(headers=limits.headers())
        refused = faults.rate_limited()
        return replace(refused, latency=0.0, headers={**refused.headers, **limits.headers()})

    async def _deliver(
        self, request: Request, reply: Reply, reader: wire.Reader, writer: asyncio.StreamWriter
    ) -> None:
        if latency := self._latency if reply.latency is None else reply.latency:
            await reader.pause(latency)
        if reply.delivery == "reset":
            wire.reset(writer)
        elif reply.delivery == "close":
            writer.close()
        elif reply.delivery == "hang":
            await reader.pause(None)
        else:
            if reply.delivery == "held":
                await self._until_released(reader)
            body, usage = self._render(request, reply)
            self._update(
                request,
                status=reply.status,
                input_tokens=usage.get("prompt_tokens", 0),
                output_tokens=usage.get("completion_tokens", 0),
            )
            head = wire.head(reply, request.request_id, len(body))
            if await wire.send(reply, head, body, reader, writer):
                self._update(request, done=True, answered=time.monotonic())

    def _render(self, request: Request, reply: Reply) -> tuple[bytes, dict[str, int]]:
        if reply.body is not None:
            return reply.body, {}
        completion = answers.completion(
            request.body, request.key, words=self._words, scores=self._scores, text=reply.text
        )
        if reply.edit:
            reply.edit(completion)
            _count_to_the_limit(completion, request.body)
        sent = reply.status == 200 and reply.delivery not in ("endless", "bomb")
        return json.dumps(completion).encode(), completion.get("usage", {}) if sent else {}

    async def _until_released(self, reader: wire.Reader) -> None:
        released = asyncio.ensure_future(self._released.wait())
        try:
            await asyncio.wait([reader.gone, released], return_when=asyncio.FIRST_COMPLETED)
        finally:
            released.cancel()
        await reader.pause(0)


def _appending(path: Path | str) -> TextIO:
    return Path(path).open("a", encoding="utf-8")


def _count_to_the_limit(completion: dict[str, Any], body: Any) -> None:
    """Give an answer that was cut, and whose tokens are open, as many as the request allows."""
    usage = completion.get("usage") or {}
    if "completion_tokens" in usage and usage["completion_tokens"] is None:
        limit = body.get("max_completion_tokens", body.get("max_tokens", 0))
        usage["completion_tokens"] = limit
        usage["total_tokens"] = usage["prompt_tokens"] + limit


def _matches(request: Request, step: str | None, topic: str | None) -> bool:
    return (step is None or request.step == step) and (topic is None or topic in request.topic)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve as a process of its own, until SIGTERM or `--max-seconds`."""
    from tests.harness.personas import Persona  # which imports this module

    parser = argparse.ArgumentParser(prog="python -m tests.harness.endpoint")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--capacity", type=int)
    parser.add_argument("--rpm", type=float, help="requests a minute")
    parser.add_argument("--tpm", type=float, help="tokens a minute")
    parser.add_argument("--no-hints", action="store_true", help="do not name the limits")
    parser.add_argument("--words", type=int, default=300)
    parser.add_argument("--scores", type=json.loads, default=[6, 7, 8], help="[6, 7, 8]")
    parser.add_argument("--quotations", type=int, help="a writer that quotes so many passages")
    parser.add_argument("--max-seconds", type=float, default=600.0)
    options = vars(parser.parse_args(arguments))
    seconds = options.pop("max_seconds")
    rpm, tpm = options.pop("rpm"), options.pop("tpm")
    limits = Limits(rpm, tpm, hints=not options.pop("no_hints"))
    most = options.pop("quotations")
    writer = Persona("faithful", most=most) if most else None
    endpoint = Endpoint(**options, script=writer, limits=limits if rpm or tpm else None)

    def ready() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, endpoint.stop)
        loop.call_later(seconds, endpoint.stop)
        sys.stdout.write(json.dumps({"base_url": endpoint.base_url}) + "\n")
        sys.stdout.flush()

    asyncio.run(endpoint.serve(ready))


if __name__ == "__main__":
    main()
