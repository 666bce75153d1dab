"""Sentences, items and rows claim something; headings, code, quotes and questions do not."""

from __future__ import annotations

from prefect_llm_reports.tasks.citations.statements import statements_of

DRAFT = """# Title

Intro claims something.[^1] No note here. Is it so? Three things matter:

- Item one is good.[^2] Really good it is.
- Item two here[^9]

**A bold title**

## Costs of it

| a | b |
|---|---|
| x | 12[^1] |
| y is | 13 |

> quoted text of another.

> quoted with a note.[^1]

```
code [^1] here, it is code.
```

[^1]: s1-2 "words here *are* good"
[^2]: s1-3: "more
    words"

    second paragraph
[^3]: own
[^3]: twice
"""


def test_a_draft_is_read_into_claims_and_notes() -> None:
    """Each claim has its heading and the notes that it mentions, also those that are not there."""
    found = statements_of(DRAFT)
    assert [(one.text, one.section, one.labels) for one in found.claims] == [
        ("Intro claims something.", "Title", ("1",)),
        ("No note here.", "Title", ()),
        ("Item one is good.", "Title", ("2",)),
        ("Really good it is.", "Title", ()),
        ("Item two here", "Title", ("9",)),
        ("x | 12", "Costs of it", ("1",)),
        ("y is | 13", "Costs of it", ()),
        ("quoted with a note.", "Costs of it", ("1",)),
    ]
    assert {label: note.text for label, note in found.notes.items()} == {
        "1": 's1-2 "words here *are* good"',
        "2": '`s1-3:` "more\nwords"\nsecond paragraph',
        "3": "own\ntwice",
    }
    lines = found.text.split("\n")
    assert [lines[at[-1]].strip() for at in found.places.values()] == [
        '[^1]: s1-2 "words here *are* good"',
        "second paragraph",
        "[^3]: twice",
    ]


def test_a_text_too_tangled_to_be_parsed_claims_nothing() -> None:
    """It is published as code, and nothing in it is checked."""
    assert statements_of("[^1] x *" * 30_000).claims == ()


def test_a_whole_answer_in_a_fence_is_read() -> None:
    """The fence around an answer is taken off, as for publication."""
    found = statements_of("```markdown\n# T\n\nIt is so.[^1]\n\n[^1]: own\n```")
    assert [one.labels for one in found.claims] == [("1",)]
    assert found.notes["1"].own
