"""The embedded engine behind `--model offline`: an endpoint without a network or a language model.

Here: the in-process transport that stands in for an endpoint, recognising what a request asks for,
the first draft, the summary. Not here: measuring and revising (`offline.rules`), answers to a
JSON Schema (`offline.filling`), the words (`offline.phrases`), prompts, retries, prices.
A reply depends on the request alone.
"""

from __future__ import annotations

import html
import json
import re
from itertools import islice
from typing import Any, cast

import httpx2

from prefect_llm_reports.tasks.contract.records import OFFLINE, canonical_json, digest
from prefect_llm_reports.tasks.contract.reports import Critique
from prefect_llm_reports.tasks.offline.filling import Form, Json, mapping
from prefect_llm_reports.tasks.offline.phrases import (
    NOTICE,
    REVISED_NOTICE,
    TOPICAL,
    Voice,
    one_line,
    opening,
    section,
    shorten,
)
from prefect_llm_reports.tasks.offline.rules import (
    critique,
    keywords,
    parts_of,
    revise,
    sentences_of,
)

_TAGS = "topic|guidance|draft|critique|report|setbacks|query|schema|variant|candidate|input"
_CANDIDATE = re.compile(r"^<candidate>\n(.*?)\n</candidate>$", re.MULTILINE | re.DOTALL)
_ESCAPED = re.compile(rf"&lt;(/?(?:{_TAGS})>)")
_MARKUP = re.compile(r"(?<!\\)(?:\*{1,3}|`+|~~)|!?\[(?=[^\[\]]*\]\()|\]\([^()\s]*\)")
_BACKSLASH = re.compile(r"\\([!-/:-@\[-`{-~])")


class OfflineTransport(httpx2.AsyncBaseTransport):
    """Answers chat completions in this process; give it to the client in place of a network."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer as an OpenAI-compatible endpoint would.

        Args:
            request: A POST to `.../chat/completions`; anything else is not found.
        """
        if request.method != "POST" or not request.url.path.endswith("/chat/completions"):
            asked = f"{request.method} {request.url.path}"
            return _refused(404, f"the offline engine answers chat completions only, not {asked}")
        sent = await request.aread()
        try:
            body: Any = json.loads(sent)
        except ValueError as e:
            return _refused(400, f"the request body is not JSON: {e}")
        body = mapping(body)
        if not isinstance(body.get("messages"), list):
            return _refused(400, "the request body has no list of messages", "messages")
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
    message = {"role": "assistant", "content": content, "refusal": None}
    return {
        "id": f"chatcmpl-offline-{digest(canonical_json(body))[:16]}",
        "object": "chat.completion",
        "created": 0,
        "model": OFFLINE,
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": _tokens(content),
            "total_tokens": prompt + _tokens(content),
        },
    }


def _text(message: Any) -> str:
    """A chat message's text, whether sent as one string or as parts."""
    said: Any = mapping(message).get("content")
    if isinstance(said, list):
        return "\n".join(str(mapping(p).get("text", "")) for p in cast(list[Any], said))
    return said if isinstance(said, str) else ""


def _block(said: str, tag: str) -> str | None:
    """What stands between a tag and its end, each on a line of its own; None: no such block."""
    opened = f"\n<{tag}>\n"
    start = f"\n{said}".find(opened)
    if start < 0:
        return None
    start += len(opened) - 2
    end = said.find(f"\n</{tag}>", start)
    return None if end < 0 else _ESCAPED.sub(r"<\1", said[start + 1 : end])


def reply(body: Json) -> str:
    """The answer's text for one Chat Completions request.

    Args:
        body: The request as the API defines it; model, temperature and limits do not matter.
    """
    messages = cast(list[Any], body.get("messages") or [])
    users = [m for m in messages if mapping(m).get("role") == "user"]
    said = _text(users[-1]).rstrip() if users else ""
    variant = ""
    if said.endswith("</variant>"):
        said, _, variant = said.rpartition("<variant>")
    topic, guidance = _block(said, "topic") or "", _block(said, "guidance") or ""
    draft, report, judged = (_block(said, tag) for tag in ("draft", "report", "critique"))
    seed = json.dumps([topic, guidance, body.get("seed"), variant])
    voice = Voice(topic or _title(draft or report or ""), seed)
    name, schema = _wanted(body, [_text(m) for m in messages])
    if draft is not None and judged is None and (name == "critique" or schema is None):
        return json.dumps(critique(draft, topic, guidance).model_dump())
    if name == "verdict" and schema is not None:
        return json.dumps(verdict(said, topic or _block(said, "query") or ""))
    if schema is not None:
        query = _block(said, "query") or said
        form = Form(schema, shorten(one_line(query), 80), seed + digest(query))
        return json.dumps(form.filled())
    if draft is not None:
        return revise(draft, voice, guidance, _improvements(judged or ""))
    if report is not None:
        return summary(report)
    if topic:
        return first_draft(voice, guidance)
    query = shorten(one_line(_block(said, "query") or said), 200)
    return (
        "The offline rule-based engine answers without a language model and has no facts to answer "
        f"“{query}” with. Choose another model for a researched answer."
    )


def verdict(said: str, task: str) -> Json:
    """A score with its reason for every candidate in a request.

    Reports are measured as drafts are; other answers by how much they say.

    Args:
        said: The request, with each candidate in a block.
        task: What the candidates answer.
    """
    judged: Json = {}
    for number, text in enumerate(_CANDIDATE.findall(said), start=1):
        if re.search(r"^# ", text, re.MULTILINE):
            found = critique(text, task, "")
            score, reason = found.score, found.summary
        else:
            words, sentences = len(text.split()), len(list(sentences_of(text)))
            score = max(2, min(7, 2 + words // 20))
            reason = f"By rules alone: {words} words in {sentences} sentences; truth is not judged."
        judged[f"candidate_{number}"] = {"reason": reason, "score": score}
    return judged


def _wanted(body: Json, said: list[str]) -> tuple[str, Json | None]:
    """The name and the schema of the structured answer a request asks for, if it does."""
    asked = mapping(body.get("response_format"))
    if asked.get("type") == "json_schema":
        named = mapping(asked.get("json_schema"))
        return str(named.get("name")), mapping(named.get("schema"))
    for block in filter(None, (_block(text, "schema") for text in reversed(said))):
        try:
            schema = mapping(json.loads(block))
        except ValueError:
            continue
        same = set(mapping(schema.get("properties"))) == set(Critique.model_fields)
        return "critique" if same else "", schema
    if asked.get("type") == "json_object":
        return "critique", {"properties": {"answer": {"type": "string"}}}
    return "", None


def _improvements(judged: str) -> list[str]:
    """The critic's points, as far as its answer can be read."""
    try:
        points = mapping(json.loads(judged)).get("improvements")
    except ValueError:
        return []
    return [p for p in cast(list[Any], points) if isinstance(p, str)] if points else []


def _title(text: str) -> str:
    """The text's own title, for a request that does not name a topic."""
    first = text.lstrip().partition("\n")[0]
    return _plain(first) if first.startswith("# ") else ""


def first_draft(voice: Voice, guidance: str) -> str:
    """A working paper without conclusion, example and table, and for some topics less.

    Args:
        voice: Topic and choice of words.
        guidance: Points to cover, which the paper names.
    """
    order = sorted(TOPICAL, key=lambda key: voice.pick(f"order {key}", 1 << 32))
    less = voice.pick("less", 3)
    parts = [
        f"# {voice.heading}",
        f"> {NOTICE}",
        opening(voice, keywords(guidance)),
        section(voice, "frame"),
        section(voice, "questions", lists=less != 1),
        *(section(voice, key, brief=less == 2 and key == order[1]) for key in order[:3]),
    ]
    return "\n\n".join(parts) + "\n"


def summary(report: str) -> str:
    """Two or three paragraphs of the report's own sentences, as plain text.

    Args:
        report: The report in Markdown.
    """
    head, parts = parts_of(report)
    lead = _first(head, 2)
    middle = [said for _, body in parts[:-1] for said in _first(body, 1)][:4]
    last = _first(parts[-1][1], 2) if parts else []
    if bool(lead) + bool(middle) + bool(last) < 2:
        every = _first(report, 6)
        lead, middle, last = every[: (len(every) + 1) // 2], every[(len(every) + 1) // 2 :], []
    said = [" ".join(dict.fromkeys(part)) for part in (lead, middle, last) if part]
    if not said:
        said.append("The report contains no running text that could be summarized.")
    if len(said) < 2:
        said.append("It says no more than this, and the offline rule-based engine adds nothing.")
    if NOTICE in report:
        said[-1] += f" {NOTICE}"
    return "\n\n".join(said)


def _first(text: str, count: int) -> list[str]:
    """The first complete sentences of a text, without markup and without our own notice."""
    plain = (_plain(said) for said in sentences_of(text))
    return list(islice((said for said in plain if said not in (NOTICE, REVISED_NOTICE)), count))


def _plain(markdown: str) -> str:
    """One sentence without Markdown, of at most 400 characters."""
    bare = _MARKUP.sub("", shorten(markdown, 400))
    return html.unescape(_BACKSLASH.sub(r"\1", bare)).lstrip("#>-*+| ")
