"""The fake endpoint does what the other tests rely on; all over real sockets."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import ssl
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.harness import ROOT, answers, faults
from tests.harness.endpoint import Endpoint, Reply, Request
from tests.harness.faults import CRITIQUES
from tests.harness.pace import PATIENCE_S

SCHEMA = {"type": "json_schema", "json_schema": {"name": "critique", "schema": {"type": "object"}}}
PATH = "/chat/completions"


@pytest.fixture(scope="module")
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(trust_env=False, timeout=PATIENCE_S) as client:
        yield client


def ask(*blocks: tuple[str, str], **fields: Any) -> dict[str, Any]:
    """A request as the project writes it: tags on their own lines in the last user message."""
    text = "\n".join(f"<{tag}>\n{value}\n</{tag}>" for tag, value in blocks)
    return {
        "model": "fake-large",
        "messages": [
            {"role": "system", "content": "You write reports."},
            {"role": "user", "content": f"Please help.\n\n{text}\n"},
        ],
        **fields,
    }


def draft_of(topic: str = "Rust") -> dict[str, Any]:
    return ask(("topic", topic))


def text_of(response: httpx2.Response) -> str:
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["content"]


def test_a_whole_loop(http: httpx2.Client) -> None:
    """Scores follow the revision marker in the draft: 6, 7, 8, and the last one stays."""
    with Endpoint() as endpoint:
        url = endpoint.base_url + PATH
        text = text_of(http.post(url, json=draft_of()))
        assert "Marker: draft 1" in text
        assert "Rust" in text
        assert 200 < len(text.split()) < 450
        scores: list[int] = []
        for revision in range(1, 5):
            judged = ask(("topic", "Rust"), ("draft", text), response_format=SCHEMA)
            critique = text_of(http.post(url, json=judged))
            scores.append(json.loads(critique)["score"])
            revised = ask(("topic", "Rust"), ("draft", text), ("critique", critique))
            text = text_of(http.post(url, json=revised))
            assert f"Revision: {revision}" in text.splitlines()
        summary = text_of(http.post(url, json=ask(("topic", "Rust"), ("report", text))))
        assert scores == [6, 7, 8, 8]
        assert len(summary.split("\n\n")) == 2
        steps = [r.step for r in endpoint.requests]
        assert steps == ["draft", *["critique", "revise"] * 4, "summary"]
        assert [r.iteration for r in endpoint.requests] == [1, 1, 1, 2, 2, 3, 3, 4, 4, 5]
        assert {r.topic for r in endpoint.requests} == {"Rust"}
        assert endpoint.count(step="critique", topic="Ru") == 4


def test_equal_requests_get_equal_bytes(http: httpx2.Client) -> None:
    """An answer depends on the request only: not on order, repeats or the endpoint."""
    seen: list[bytes] = []
    for first in ("Rust", "Tides"):
        with Endpoint() as endpoint:
            for topic in (first, "Rust", "Rust"):
                response = http.post(endpoint.base_url + PATH, json=draft_of(topic))
            seen.append(response.content)
            *_, last = endpoint.requests
            assert response.headers["x-request-id"] == last.request_id
    assert seen[0] == seen[1]
    completion = json.loads(seen[0])
    usage = completion["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 300
    assert completion["created"] == answers.CREATED


def test_the_key() -> None:
    """The key changes with model, messages, format and seed, and with nothing else."""
    plain = draft_of()
    assert answers.key(plain) == answers.key({**plain, "temperature": 1, "max_tokens": 9})
    others = [{**plain, "seed": 1}, {**plain, "model": "m"}, {**plain, "response_format": SCHEMA}]
    assert len({answers.key(body) for body in [plain, draft_of("Go"), *others]}) == 5


@pytest.mark.parametrize(
    ("body", "step", "topic"),
    [
        (ask(("topic", "C &amp; D\nE")), "draft", "C &amp; D\nE"),
        (
            ask(("topic", "T"), ("draft", "x"), response_format={"type": "json_object"}),
            "critique",
            "T",
        ),
        (ask(("report", "# Tidal power\n\ntext")), "summary", "Tidal power"),
        (ask(("topic", "T"), ("draft", "<topic>\nnot me\n</topic>")), "other", "T"),
        (ask(), "other", ""),
        ({"messages": 5}, "other", ""),
        (None, "other", ""),
    ],
)
def test_recognition(body: Any, step: str, topic: str) -> None:
    """Step and topic come from the outermost tags, whatever the data hold."""
    assert answers.recognise(body)[:2] == (step, topic)


def test_a_second_asking_is_the_same_step() -> None:
    """Messages after the tagged one do not hide it."""
    body = ask(("topic", "T"), ("draft", "Revision: 1\n"), response_format=SCHEMA)
    body["messages"] += [
        {"role": "assistant", "content": "8"},
        {"role": "user", "content": "That was no JSON."},
    ]
    assert answers.recognise(body) == ("critique", "T", 2)


def test_any_schema_gets_an_instance(http: httpx2.Client) -> None:
    """Another schema is filled field by field, references and recursion included."""
    leaf = {"enum": ["low", "high"]}
    node = {
        "type": "object",
        "properties": {
            "label": {"type": "string"},
            "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
            "parent": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/Node"}]},
        },
    }
    schema = {
        "$defs": {"Leaf": leaf, "Node": node},
        "type": "object",
        "properties": {
            "answer": {"type": "string"},
            "count": {"type": "integer", "minimum": 3},
            "share": {"type": "number"},
            "sure": {"type": "boolean"},
            "level": {"$ref": "#/$defs/Leaf"},
            "tree": {"$ref": "#/$defs/Node"},
            "tags": {"type": "array", "items": {"type": ["null", "string"]}, "minItems": 2},
        },
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "Verdict", "schema": schema}}
    with Endpoint() as endpoint:
        body = ask(("topic", "T"), response_format=wanted)
        found = json.loads(text_of(http.post(endpoint.base_url + PATH, json=body)))
    assert list(found) == list(schema["properties"])
    assert (found["count"], found["share"], found["sure"]) == (3, 1.0, True)
    assert found["level"] == "low"
    assert isinstance(found["tree"]["label"], str)
    assert len(found["tags"]) == 2


def is_error(status: int, **expected: Any) -> Callable[[httpx2.Response], bool]:
    def check(response: httpx2.Response) -> bool:
        found = response.json()["error"]
        return response.status_code == status and all(found[k] == v for k, v in expected.items())

    return check


def has_header(status: int, **expected: str) -> Callable[[httpx2.Response], bool]:
    wanted = {name.replace("_", "-"): value for name, value in expected.items()}
    return lambda r: r.status_code == status and wanted.items() <= dict(r.headers).items()


def first_choice(check: Callable[[dict[str, Any]], bool]) -> Callable[[httpx2.Response], bool]:
    return lambda r: r.status_code == 200 and check(r.json()["choices"][0])


NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
WHOLE: dict[str, tuple[Reply, Callable[[httpx2.Response], bool]]] = {
    "503": (faults.status(503), is_error(503, type="server_error")),
    "529": (faults.status(529), is_error(529, message="Overloaded")),
    "408": (faults.status(408), is_error(408)),
    "429": (faults.rate_limited(), is_error(429, code="rate_limit_exceeded")),
    "429 seconds": (faults.rate_limited(7), has_header(429, retry_after="7")),
    "429 ms": (faults.rate_limited(retry_after_ms=20), has_header(429, retry_after_ms="20")),
    "429 date": (
        faults.rate_limited(NOON),
        has_header(429, retry_after="Tue, 01 Jan 2030 12:00:00 GMT"),
    ),
    "429 limits": (
        faults.rate_limited(limits={"remaining-requests": 0}),
        has_header(429, x_ratelimit_remaining_requests="0"),
    ),
    "quota in code": (
        faults.quota(where="code"),
        is_error(429, code="insufficient_quota", type="billing_error"),
    ),
    "quota in type": (
        faults.quota("credit_balance_exhausted", where="type"),
        is_error(429, code=None, type="credit_balance_exhausted"),
    ),
    "401": (faults.unauthorized(), is_error(401, code="invalid_api_key")),
    "403": (faults.forbidden(), is_error(403)),
    "404": (faults.model_not_found(), is_error(404, code="model_not_found")),
    "context": (faults.context_length_exceeded(), is_error(400, code="context_length_exceeded")),
    "schema": (faults.schema_unsupported(), is_error(400, param="response_format")),
    "max_tokens": (
        faults.max_completion_tokens_unsupported(),
        is_error(400, code="unsupported_parameter"),
    ),
    "error in 200": (faults.error_in_200(), is_error(200, code=502)),
    "html": (faults.html(), lambda r: r.status_code == 200 and r.text.startswith("<!doctype")),
    "html 502": (faults.html(502), has_header(502, content_type="text/html; charset=utf-8")),
    "not JSON": (faults.not_json(), lambda r: r.content.endswith(b'"content": ')),
    "no UTF-8": (faults.invalid_utf8(), lambda r: b"\xff" in r.content),
    "redirect": (
        faults.redirect("http://a.invalid/"),
        has_header(307, location="http://a.invalid/"),
    ),
    "redirect 302": (faults.redirect("/login", 302), has_header(302, location="/login")),
    "no choices": (faults.no_choices(), lambda r: r.json()["choices"] == []),
    "null": (faults.null_content(), first_choice(lambda c: c["message"]["content"] is None)),
    "parts": (
        faults.content_parts(),
        first_choice(lambda c: isinstance(c["message"]["content"], list)),
    ),
    "length": (
        faults.cut_off(),
        first_choice(
            lambda c: c["finish_reason"] == "length" and "Conclusion" not in c["message"]["content"]
        ),
    ),
    "filter": (faults.filtered(), first_choice(lambda c: c["finish_reason"] == "content_filter")),
    "refusal": (faults.refusal("No."), first_choice(lambda c: c["message"]["refusal"] == "No.")),
    "no usage": (faults.no_usage(), lambda r: "usage" not in r.json()),
    "usage": (faults.usage(10, 5), lambda r: r.json()["usage"]["total_tokens"] == 15),
    "text": (faults.answer("so"), first_choice(lambda c: c["message"]["content"] == "so")),
    "critique": (
        faults.critique("8", summary="x"),
        first_choice(lambda c: '"score": "8"' in c["message"]["content"]),
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_replies(name: str, http: httpx2.Client) -> None:
    """Each fault that is an HTTP answer arrives as it says, and counts as answered."""
    reply, check = WHOLE[name]
    with Endpoint(script=lambda _: reply) as endpoint:
        response = http.post(endpoint.base_url + PATH, json=draft_of())
        endpoint.wait_until(lambda: endpoint.requests[0].answered is not None)
        assert check(response), response.text
        assert endpoint.count(status=reply.status) == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (faults.reset(), httpx2.ReadError),
        (faults.reset(midway=True), httpx2.ReadError),
        (faults.disconnect(), httpx2.RemoteProtocolError),
        (faults.truncated(), httpx2.RemoteProtocolError),
        (faults.hang(), httpx2.ReadTimeout),
        (faults.stall(), httpx2.ReadTimeout),
        (faults.slow(60), httpx2.ReadTimeout),
    ],
    ids=lambda value: getattr(value, "delivery", ""),
)
def test_broken_replies(reply: Reply, error: type[Exception], http: httpx2.Client) -> None:
    """Each fault of the socket breaks the call as it says, and never counts as answered."""
    with Endpoint() as endpoint:
        endpoint.fail(reply)
        url = endpoint.base_url + PATH
        patience = 0.05 if error is httpx2.ReadTimeout else PATIENCE_S
        with pytest.raises(error):
            http.post(url, json=draft_of(), timeout=httpx2.Timeout(PATIENCE_S, read=patience))
        assert endpoint.requests[0].answered is None
        assert text_of(http.post(url, json=draft_of()))
        assert endpoint.count() == 2
        sent = reply.delivery in ("cut", "truncated", "stall")
        assert (endpoint.requests[0].input_tokens > 0) == sent


def test_a_dripped_body(http: httpx2.Client) -> None:
    """A dripped answer comes byte by byte, each after its interval, and whole in the end.

    How many bytes a busy reader finds at once says nothing of how they were sent, unless the next
    one is an hour away.
    """
    with Endpoint(words=20) as endpoint:
        endpoint.fail(faults.drip(3600))
        with http.stream("POST", endpoint.base_url + PATH, json=draft_of()) as response:
            assert next(response.iter_raw()) == b"{"
            assert endpoint.requests[0].answered is None
        endpoint.fail(faults.drip(0.001))
        began = time.monotonic()
        with http.stream("POST", endpoint.base_url + PATH, json=draft_of()) as response:
            body = response.read()
        assert time.monotonic() - began >= 0.001 * (len(body) - 1)
        assert json.loads(body)["choices"]
        endpoint.wait_until(lambda: endpoint.requests[1].answered is not None)


def test_bodies_without_end(http: httpx2.Client) -> None:
    """An endless body goes on past any cap, and the gzip one grows a thousandfold when decoded."""
    with Endpoint() as endpoint:
        endpoint.fail(faults.endless())
        endpoint.fail(faults.gzip_bomb())
        url = endpoint.base_url + PATH
        with http.stream("POST", url, json=draft_of()) as response:
            pieces = response.iter_raw(2**16)
            assert sum(len(next(pieces)) for _ in range(4)) == 2**18
        with http.stream("POST", url, json=draft_of()) as response:
            assert response.headers["content-encoding"] == "gzip"
            unpack = zlib.decompressobj(wbits=31)
            raw = size = 0
            for piece in response.iter_raw():
                raw += len(piece)
                size += len(unpack.decompress(piece))
                if size > 2**24:
                    break
        assert size > 500 * raw
        assert endpoint.billed_usd(1, 1) == 0


def test_rules_are_used_up(http: httpx2.Client) -> None:
    """A rule takes the requests it names, as often as it says; then the default answers."""
    with Endpoint() as endpoint:
        endpoint.fail(faults.status(500), step="draft", topic="Rust", times=2)
        endpoint.fail(faults.status(503), topic="Tides", times=None)
        endpoint.fail(faults.status(409), when=lambda request: request.occurrence == 4)
        url = endpoint.base_url + PATH
        found = [http.post(url, json=draft_of("On Rust")).status_code for _ in range(5)]
        assert found == [500, 500, 200, 409, 200]
        assert {http.post(url, json=draft_of("Tides")).status_code for _ in range(3)} == {503}
        assert endpoint.count(topic="Tides", status=503) == 3


def test_older_servers(http: httpx2.Client) -> None:
    """The two scripts reject only requests that use what they do not know."""
    body = draft_of()
    with Endpoint(script=faults.no_json_schema) as endpoint:
        url = endpoint.base_url + PATH
        assert http.post(url, json={**body, "response_format": SCHEMA}).status_code == 400
        mode = {"response_format": {"type": "json_object"}}
        judged = {**ask(("topic", "T"), ("draft", "x")), **mode}
        assert json.loads(text_of(http.post(url, json=judged)))["score"] == 6
    with Endpoint(script=faults.no_max_completion_tokens) as endpoint:
        url = endpoint.base_url + PATH
        assert http.post(url, json={**body, "max_completion_tokens": 9}).status_code == 400
        assert http.post(url, json={**body, "max_tokens": 9}).status_code == 200


def test_a_script_that_raises(http: httpx2.Client) -> None:
    """A mistake in a script fails the test that holds the endpoint."""

    def script(request: Request) -> Reply | None:
        raise LookupError(request.topic)

    with (
        pytest.raises(LookupError, match="Rust"),
        Endpoint(script=script) as endpoint,
        pytest.raises(httpx2.HTTPError),
    ):
        http.post(endpoint.base_url + PATH, json=draft_of())


def test_capacity_and_peak(http: httpx2.Client) -> None:
    """Requests beyond the capacity get a 429 at once; the peak counts all that were under way."""
    with (
        Endpoint(capacity=2, retry_after=3, script=lambda _: faults.held()) as endpoint,
        ThreadPoolExecutor() as pool,
    ):
        url = endpoint.base_url + PATH
        held = [pool.submit(http.post, url, json=draft_of(str(n))) for n in range(2)]
        endpoint.wait_until(lambda: endpoint.count() == 2)
        refused = http.post(url, json=draft_of())
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "3")
        endpoint.release()
        assert [f.result().status_code for f in held] == [200, 200]
        assert http.post(url, json=draft_of()).status_code == 200
        assert endpoint.peak == 3


def test_billing(http: httpx2.Client) -> None:
    """The bill holds answers with usage, whole or cut off, and no failures."""
    with Endpoint(script=lambda _: faults.usage(1000, 100)) as endpoint:
        url = endpoint.base_url + PATH
        endpoint.fail(faults.status(500))
        endpoint.fail(faults.no_usage())
        for _ in range(4):
            http.post(url, json=draft_of())
        assert endpoint.billed_usd("2.5", 10) == Decimal("0.007")


def test_other_paths(http: httpx2.Client) -> None:
    """Models are listed, a body that is no JSON is a 400, and any other path a 404."""
    with Endpoint() as endpoint:
        models = http.get(endpoint.base_url + "/models").json()["data"]
        assert [m["id"] for m in models] == ["fake-large", "fake-small"]
        assert http.post(endpoint.base_url + PATH, content=b"{").status_code == 400
        assert http.get(endpoint.base_url + "/files").status_code == 404
        assert [r.step for r in endpoint.requests] == ["models", "other", "other"]


def test_many_connections_at_once() -> None:
    """Three hundred calls are held open together, each on its own connection."""

    async def run(endpoint: Endpoint) -> list[int]:
        url = httpx2.URL(endpoint.base_url)
        body = json.dumps(draft_of()).encode()
        head = (
            f"POST /v1{PATH} HTTP/1.1\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )

        async def call() -> int:
            reader, writer = await asyncio.open_connection(url.host, url.port)
            writer.write(head.encode() + body)
            status = (await reader.read()).split(b" ", 2)[1]
            writer.close()
            await writer.wait_closed()
            return int(status)

        calls = asyncio.gather(*(call() for _ in range(300)))
        await asyncio.to_thread(endpoint.wait_until, lambda: endpoint.peak == 300)
        endpoint.release()
        return await calls

    with Endpoint(script=lambda _: faults.held()) as endpoint:
        assert set(asyncio.run(run(endpoint))) == {200}


def test_the_log_tells_answered_calls_from_others(http: httpx2.Client, tmp_path: Path) -> None:
    """The log has a line when a call arrives, and one more only if it was fully answered."""
    log = tmp_path / "calls.jsonl"
    with Endpoint(log=log) as endpoint:
        url = endpoint.base_url + PATH
        http.post(url, json=draft_of())
        endpoint.fail(faults.truncated())
        with pytest.raises(httpx2.RemoteProtocolError):
            http.post(url, json=draft_of("Tides"))
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(e["event"], e["number"]) for e in events] == [
        ("asked", 1),
        ("answered", 1),
        ("asked", 2),
    ]
    assert events[0]["key"] == events[1]["key"] == answers.key(draft_of())
    assert (events[1]["status"], events[1]["step"], events[1]["topic"]) == (200, "draft", "Rust")


def test_close_frees_hanging_clients(http: httpx2.Client) -> None:
    """Closing the endpoint ends calls that hang; from then on the port refuses."""
    with Endpoint(script=lambda _: faults.hang()) as endpoint, ThreadPoolExecutor() as pool:
        url = endpoint.base_url + PATH
        call = pool.submit(http.post, url, json=draft_of())
        endpoint.wait_until(lambda: endpoint.count() == 1)
        endpoint.close()
        assert isinstance(call.exception(), httpx2.TransportError)
        with pytest.raises(httpx2.ConnectError):
            http.post(url, json=draft_of())


def test_tls_that_nobody_trusts(http: httpx2.Client) -> None:
    """The https form answers, but only to a client that does not check certificates."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with Endpoint(tls=True) as endpoint:
        assert endpoint.base_url.startswith("https://")
        with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            http.post(endpoint.base_url + PATH, json=draft_of())
        with httpx2.Client(trust_env=False, verify=trusting) as client:
            assert text_of(client.post(endpoint.base_url + PATH, json=draft_of()))
        assert endpoint.count() == 1


def test_the_sdk_speaks_to_it() -> None:
    """The OpenAI SDK gets completions, errors by class, and texts as scripted."""

    async def run(endpoint: Endpoint) -> list[str | None]:
        async with openai.AsyncOpenAI(
            base_url=endpoint.base_url, api_key="k", max_retries=0
        ) as client:
            with pytest.raises(openai.RateLimitError) as caught:
                await client.chat.completions.create(**draft_of())
            assert caught.value.code == "insufficient_quota"
            calls = (client.chat.completions.create(**draft_of()) for _ in CRITIQUES)
            return [c.choices[0].message.content for c in await asyncio.gather(*calls)]

    with Endpoint() as endpoint:
        endpoint.fail(faults.quota())
        for text in CRITIQUES.values():
            endpoint.fail(faults.answer(text))
        assert sorted(map(str, asyncio.run(run(endpoint)))) == sorted(CRITIQUES.values())
        assert endpoint.requests[0].headers["authorization"] == "Bearer k"


def test_critique_texts_differ() -> None:
    """Each raw critique text is a fault of its own."""
    assert len(set(CRITIQUES.values())) == len(CRITIQUES)
    with pytest.raises(ValueError, match="Extra data"):
        json.loads(CRITIQUES["two objects"])
    assert [n for n, text in CRITIQUES.items() if re.search(r"\bscore\b.*\bscore\b", text)] == [
        "duplicate keys"
    ]


def start(*options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.harness.endpoint", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True)


def test_the_process_form(http: httpx2.Client, tmp_path: Path) -> None:
    """As a process it prints its address, answers, logs, and ends on SIGTERM."""
    log = tmp_path / "calls.jsonl"
    with start("--log", str(log), "--scores", "[4]", "--max-seconds", "60") as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["base_url"] + PATH
        body = ask(("topic", "T"), ("draft", "x"), response_format=SCHEMA)
        assert json.loads(text_of(http.post(url, json=body)))["score"] == 4
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == ""
        assert process.wait(20) == 0
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events == ["asked", "answered"]


def test_the_process_ends_by_itself() -> None:
    """A process that nobody stops ends after --max-seconds."""
    with start("--max-seconds", "0.01") as process:
        assert process.wait(20) == 0
