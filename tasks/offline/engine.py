"""The embedded engine behind `--model offline`: an endpoint without a network or a language model.

Here: transport in place of an endpoint, recognition of requests, first draft, summary. A reply
depends on the request alone. Not here: revising (`rules`), JSON (`filling`), words (`phrases`).
"""

from __future__ import annotations

import html
import json
import re
from typing import Any, cast

import httpx2

from prefect_llm_reports.tasks.contract.records import OFFLINE, canonical_json, digest
from prefect_llm_reports.tasks.contract.reports import Critique
from prefect_llm_reports.tasks.contract.tags import Tag, enclosed
from prefect_llm_reports.tasks.offline import phrases, quoting, rules
from prefect_llm_reports.tasks.offline.filling import Form, Json, mapping
from prefect_llm_reports.tasks.offline.phrases import NOTICE, Voice, one_line

_TITLE = re.compile(r"^# (.+)", re.MULTILINE)
_COMPLETE = re.compile(r"[.!?…。\uff01\uff1f][\"'”\u2019)*_]{0,4}$")
_MARKUP = re.compile(r"(?<!\\)(?:\*{1,3}|`+|~~)|!?\[(?=[^\[\]]*\]\()|\]\([^()\s]*\)")


class OfflineTransport(httpx2.AsyncBaseTransport):
    """Answers chat completions in this process; give it to the client in place of a network."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a POST to `.../chat/completions` as an OpenAI-compatible endpoint would."""
        if request.method != "POST" or not request.url.path.endswith("/chat/completions"):
            asked = f"{request.method} {request.url.path}"
            return _refused(404, f"the offline engine answers chat completions only, not {asked}")
        body = _read(await request.aread())
        if not isinstance(body.get("messages"), list):
            return _refused(400, "the body is not JSON with a list of messages", "messages")
        if body.get("stream"):
            return _refused(400, "the offline engine does not stream; leave stream out", "stream")
        if body.get("n") not in (None, 1):
            return _refused(400, f"the offline engine gives one choice, not {body['n']}", "n")
        return _response(200, _completion(body))


def _response(status: int, answer: Json) -> httpx2.Response:
    """JSON in ASCII, so that no text can fail to be encoded; the id follows from the answer."""
    sent = json.dumps(answer)
    headers = {"content-type": "application/json", "x-request-id": f"offline-{digest(sent)[:16]}"}
    return httpx2.Response(status, content=sent.encode(), headers=headers)


def _refused(status: int, message: str, param: str | None = None) -> httpx2.Response:
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return _response(status, {"error": error})


def _tokens(text: str) -> int:
    """About four characters a token, rounded up."""
    return -(-len(text) // 4)


def _completion(body: Json) -> Json:
    content, finish = reply(body), "stop"
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if isinstance(limit, int) and _tokens(content) > limit:
        content, finish = content[: limit * 4], "length"
    prompt = sum(_tokens(_text(message)) for message in body["messages"])
    given = _tokens(content)
    usage = {"prompt_tokens": prompt, "completion_tokens": given, "total_tokens": prompt + given}
    message = {"role": "assistant", "content": content, "refusal": None}
    return {
        "id": f"chatcmpl-offline-{digest(canonical_json(body))[:16]}",
        "object": "chat.completion",
        "created": 0,
        "model": OFFLINE,
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        "usage": usage,
    }


def _text(message: Any) -> str:
    """A chat message's text, whether sent as one string or as parts."""
    said: Any = mapping(message).get("content")
    if isinstance(said, list):
        return "\n".join(str(mapping(p).get("text", "")) for p in cast(list[Any], said))
    return said if isinstance(said, str) else ""


def reply(body: Json) -> str:
    """The answer's text for one request; its model, temperature and limits do not matter."""
    messages = cast(list[Any], body.get("messages") or [])
    said = next((_text(m) for m in reversed(messages) if mapping(m).get("role") == "user"), "")
    blocks = enclosed(said)
    given, passages = dict(reversed(blocks)), [text for tag, text in blocks if tag == Tag.PASSAGE]
    topic, guidance = given.get(Tag.TOPIC, ""), given.get(Tag.GUIDANCE, "")
    draft, report = given.get(Tag.DRAFT), given.get(Tag.REPORT)
    seed = digest(json.dumps([said, body.get("seed")]))
    title = _TITLE.search(draft or report or "")
    voice = Voice(topic or (_plain(title[1]) if title else ""), seed)
    query = one_line(given.get(Tag.QUERY, said), 80)

    asked = mapping(body.get("response_format"))
    form = mapping(asked.get("json_schema"))
    schema = mapping(form.get("schema")) or _read(given.get(Tag.SCHEMA, ""))
    judging = set(schema.get("properties", Critique.model_fields)) == set(Critique.model_fields)
    if draft is not None and Tag.CRITIQUE not in given and judging:
        return json.dumps(rules.critique(draft, topic, guidance).model_dump())
    if form.get("name") == "verdict":
        task = topic or given.get(Tag.QUERY, "")
        found = [rules.critique(text, task, "") for tag, text in blocks if tag == Tag.CANDIDATE]
        scores = ({"reason": each.summary, "score": each.score} for each in found)
        return json.dumps({f"candidate_{n}": score for n, score in enumerate(scores, start=1)})
    if asked.get("type") in ("json_schema", "json_object"):
        schema = schema or {"properties": {"answer": {"type": "string"}}}
        return json.dumps(Form(schema, query, seed).filled())
    if draft is not None:
        points = cast(list[Any], _read(given.get(Tag.CRITIQUE, "")).get("improvements") or [])
        revised = rules.revise(draft, voice, guidance, [str(point) for point in points])
        return quoting.noted(revised) if passages else revised
    if report is not None:
        return _summary(quoting.NOTE.sub("", report))
    if topic:
        return quoting.quoted(voice, passages) if passages else _first_draft(voice, guidance)
    return f"The offline engine has no language model and no facts on “{query}”; choose a model."


def _read(text: str | bytes) -> Json:
    """A JSON object; anything else is read as an empty one."""
    try:
        return mapping(json.loads(text))
    except ValueError:
        return {}


def _first_draft(voice: Voice, guidance: str) -> str:
    """A paper without conclusion, example and table, and for some topics with fewer sections."""
    topical = voice.topical()[: 2 + phrases.number(voice.seed, 2)]
    parts = [f"# {voice.heading}", f"> {NOTICE}", voice.section("opening")[1]]
    if points := ", ".join(map(phrases.escaped, rules.keywords(guidance))):
        parts.append(f"The request asks for these points: {points}.")
    parts += ["## " + "\n\n".join(voice.section(n)) for n in ("frame", "questions", *topical)]
    return "\n\n".join(parts) + "\n"


def _summary(report: str) -> str:
    """Two paragraphs of the report's own sentences, the first of each section, as plain text."""
    head, parts = rules.sections_of(report)
    bodies = (head, *(body for _, body in parts))
    leads = [said[0] for body in bodies if (said := _complete(body))][:8]
    leads = leads if len(leads) > 1 else _complete(report)[:6]
    half = (len(leads) + 1) // 2
    first = " ".join(leads[:half]) or "The report has no running text that could be summarized."
    second = " ".join(leads[half:]) or "The offline rule-based engine adds nothing to it."
    return f"{first}\n\n{second}" + (f" {NOTICE}" if NOTICE in report else "")


def _complete(text: str) -> list[str]:
    """The complete sentences of a text without markup and without our own notice."""
    said = filter(_COMPLETE.search, rules.sentences_of(text))
    plain = (_plain(sentence) for sentence in said if len(rules.words_of(sentence)) > 3)
    return [sentence for sentence in plain if sentence not in phrases.NOTICES]


def _plain(markdown: str) -> str:
    """One sentence without Markdown, of at most 400 characters."""
    bare = _MARKUP.sub("", one_line(markdown, 400))
    return html.unescape(bare.replace("\\", "")).lstrip("#>-*+| ")
