"""What the fake endpoint says when nothing is scripted: a pure function of the request's body.

What lives here: recognising the step and topic of a prompt, the key of a request, the default
texts, and an instance for any JSON Schema. What does not: faults (`harness.faults`) and the server
(`harness.endpoint`).

Text by this module carries its place in the loop on a line of its own: `Marker: draft 1` for a
first draft, `Revision: 2` for a text revised twice.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from prefect_llm_reports.tasks.contract.tags import Tag, enclosed

CREATED = 1_750_000_000
_TELLING = {Tag.TOPIC, Tag.DRAFT, Tag.CRITIQUE, Tag.REPORT}
_REVISION = re.compile(r"^Revision: (\d+)\s*$", re.MULTILINE)
_SCHEMA_FOLLOWS = "fit this JSON Schema:"
_HEADING = re.compile(r"^# (.+)$", re.MULTILINE)
_SENTENCES = (
    "Costs fall as the supply chain matures and the tooling settles.",
    "Early users report shorter lead times and fewer surprises in operation.",
    "The main risk is not the technique but the skills needed to run it.",
    "Independent measurements differ, so each figure here names its conditions.",
    "A small pilot with a clear end date tells more than a long study.",
    "Regulation is moving slowly and differs from one region to the next.",
    "Where the data are thin, the text says so and does not guess.",
)
_SECTIONS = ("Background", "Present state", "Examples", "Risks", "Conclusion")


def key(body: Any) -> str:
    """SHA-256 over what decides the answer: model, messages, response_format and seed."""
    asked = body if isinstance(body, dict) else {}
    kept = {name: asked.get(name) for name in ("model", "messages", "response_format", "seed")}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def recognise(body: Any) -> tuple[str, str, int]:
    """The step, the topic and the number of the draft at hand (1: not yet revised)."""
    blocks = next((found for text in _user_texts(body) if (found := _blocks(text))), {})
    draft = blocks.get("draft") or blocks.get("report") or ""
    topic = blocks.get("topic", "").strip()
    if not topic and (heading := _HEADING.search(draft)):
        topic = heading[1].strip()
    revisions = _REVISION.findall(draft)
    iteration = int(revisions[-1]) + 1 if revisions else 1
    return _step(_format(body), blocks.keys()), topic, iteration


def completion(
    body: Any, digest: str, *, words: int, scores: Sequence[int], text: str | None = None
) -> dict[str, Any]:
    """The chat completion for a request; `text` replaces the default content."""
    asked = body if isinstance(body, dict) else {}
    step, topic, iteration = recognise(body)
    if text is None:
        text = _text(asked, digest, step, topic, iteration, words, scores)
    prompt = 3 + sum(4 + len(part) // 4 for part in _texts(body))
    answer = 1 + len(text) // 4
    return {
        "id": f"chatcmpl-{digest[:24]}",
        "object": "chat.completion",
        "created": CREATED,
        "model": asked.get("model", "fake"),
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": answer,
            "total_tokens": prompt + answer,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
    }


def instance(schema: Any, root: Any, name: str, mark: str, depth: int = 0) -> Any:
    """A simple value that fits a JSON Schema; `mark` tells equal fields of two requests apart."""
    if not isinstance(schema, dict):
        return None
    if isinstance(ref := schema.get("$ref"), str):
        target = root
        for part in ref.removeprefix("#").strip("/").split("/") if ref != "#" else ():
            target = target[part]
        return instance(target, root, name, mark, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    if options := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        null = {"type": "null"}
        chosen = null if depth > 6 and null in options else next(o for o in options if o != null)
        return instance(chosen, root, name, mark, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "null")
    match kind:
        case "object":
            fields = schema.get("properties", {}).items()
            return {k: instance(sub, root, k, mark, depth + 1) for k, sub in fields}
        case "array":
            size = schema.get("minItems", 0 if depth > 6 else 1)
            item = schema.get("items", {})
            return [instance(item, root, name, mark, depth + 1) for _ in range(size)]
        case "integer" | "number":
            value = max(schema.get("minimum", 1), schema.get("exclusiveMinimum", 0) + 1)
            value = min(value, schema.get("maximum", value))
            return int(value) if kind == "integer" else float(value)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            text = f"A value for {name} ({mark})."
            return text[: schema.get("maxLength", len(text))].ljust(schema.get("minLength", 0), ".")


def _messages(body: Any) -> list[dict[str, Any]]:
    messages = body.get("messages") if isinstance(body, dict) else None
    return [m for m in messages if isinstance(m, dict)] if isinstance(messages, list) else []


def _plain(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(p.get("text", "")) for p in content if isinstance(p, dict))
    return content if isinstance(content, str) else ""


def _texts(body: Any) -> Iterator[str]:
    return (_plain(m.get("content")) for m in _messages(body))


def _user_texts(body: Any) -> Iterator[str]:
    return (_plain(m.get("content")) for m in _messages(body) if m.get("role") == "user")


def _blocks(text: str) -> dict[str, str]:
    return {tag: block for tag, block in reversed(enclosed(text)) if tag in _TELLING}


def _format(body: Any) -> dict[str, Any]:
    """The form that is asked for, as `response_format` has it or as a schema in words."""
    wanted = body.get("response_format") if isinstance(body, dict) else None
    if isinstance(wanted, dict) and wanted.get("type") != "json_object":
        return wanted
    for text in _texts(body):
        _, found, schema = text.partition(_SCHEMA_FOLLOWS)
        if found:
            with suppress(ValueError):
                return {"schema": json.JSONDecoder().raw_decode(schema.lstrip())[0]}
    return wanted or {}


def _step(wanted: dict[str, Any], tags: Any) -> str:
    if wanted.get("type") == "json_schema":
        named = wanted.get("json_schema")
        name = named.get("name") if isinstance(named, dict) else None
        return name if name in ("critique", "support") else "other"
    if wanted:  # JSON mode or a schema in words: its name is not sent
        return "critique" if "draft" in tags and "critique" not in tags else "other"
    if {"draft", "critique"} <= tags:
        return "revise"
    if "report" in tags:
        return "summary"
    return "draft" if tags == {"topic"} else "other"


def _text(
    asked: dict[str, Any],
    digest: str,
    step: str,
    topic: str,
    iteration: int,
    words: int,
    scores: Sequence[int],
) -> str:
    title = " ".join(topic.split()) or "an unnamed topic"
    match step:
        case "draft":
            return _report(title, "Marker: draft 1", digest, words)
        case "revise":
            return _report(title, f"Revision: {iteration}", digest, words)
        case "critique":
            judgement = {
                "score": scores[min(iteration, len(scores)) - 1],
                "strengths": [f"Draft {iteration} keeps to {title}."],
                "improvements": ["Name a source for each figure.", "Shorten the background."],
                "summary": f"Draft {iteration} reads well and needs evidence.",
            }
            return json.dumps(judgement)
        case "summary":
            return f"In brief, {title} is promising. {_SENTENCES[0]}\n\n{_SENTENCES[4]}"
        case _:
            wanted = _format(asked)
            schema = wanted.get("json_schema", wanted)
            if isinstance(schema, dict) and isinstance(shape := schema.get("schema"), dict):
                return json.dumps(instance(shape, shape, "answer", digest[:8]))
            if wanted:
                return json.dumps({"answer": f"An answer ({digest[:8]})."})
            return f"An answer ({digest[:8]})."


def _report(title: str, marker: str, digest: str, words: int) -> str:
    parts = [f"# {title}", marker, f"Sample {digest[:8]} of a report on {title}."]
    each, turn = max(1, words // len(_SECTIONS)), int(digest[:4], 16)
    for section in _SECTIONS:
        sentences: list[str] = []
        count = 0
        while count < each:
            sentences.append(_SENTENCES[turn % len(_SENTENCES)])
            count += sentences[-1].count(" ") + 1
            turn += 1
        parts += [f"## {section}", " ".join(sentences)]
    return "\n\n".join(parts) + "\n"
