"""Evidence is proved again from evidence.json alone; whatever does not hold is named."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_llm_reports.tasks.citations.checking import checked
from prefect_llm_reports.tasks.contract.evidence import Evidence, Passage
from prefect_llm_reports.tasks.contract.records import digest
from prefect_llm_reports.tasks.results.evidence import proved

TEXTS = {
    "s1-1": "Sales were 120 million euros in 2023, up from 100 million a year before.",
    "s1-2": "The plant in Hull employs 3,400 people and runs on tidal power since 2019.",
}
DRAFT = """# Title

Sales were high.[^1] The plant runs.[^2] It never ran.[^3] It is.[^4]

[^1]: s1-1 "Sales were 120 million euros"
[^2]: s1-1 "runs on tidal power since"
[^3]: s1-2 "never runs on tidal power"
[^4]: s9-9 "The plant in Hull employs"
"""


def evidence() -> Evidence:
    passages = tuple(
        Passage(id=id, source="s1", text=text, sha256=digest(text)) for id, text in TEXTS.items()
    )
    found = checked(DRAFT, passages)
    return Evidence(
        slug="s", sources=(), passages=passages, claims=found.claims, counts=found.counts
    )


def changed(at: int, **values: Any) -> Evidence:
    """The evidence with one claim altered."""
    found = evidence()
    claims = [*found.claims]
    claims[at] = claims[at].model_copy(update=values)
    return found.model_copy(update={"claims": tuple(claims)})


def test_true_evidence_holds() -> None:
    """Every quotation is looked for; claims that are recorded as doubtful are no problem."""
    found = evidence()
    proof = proved(found, found.counts)
    assert (proof.quotations, proof.doubtful, proof.problems) == (4, 3, ())


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (changed(0, quote="Sales were 121 million euros"), "it does not stand in s1-1"),
        (changed(0, start=3), "it stands elsewhere in s1-1"),
        (changed(0, passage="s7-7"), "passage s7-7 is not there"),
        (changed(2, quote="runs on tidal power since"), "yet is recorded as absent"),
        (changed(1, passage="s1-2"), "yet is recorded as misattributed"),
        (changed(3, found_in="s1-1"), "it does not stand in s1-1"),
        (changed(2, verdict="own"), "not those that it counts"),
        (
            evidence().model_copy(
                update={"passages": (evidence().passages[0].model_copy(update={"text": "x"}),)}
            ),
            "not the one that its SHA-256 is of",
        ),
    ],
)
def test_what_does_not_hold_is_named(found: Evidence, problem: str) -> None:
    """A changed quotation, place, verdict, count or passage is a problem."""
    said = proved(found, evidence().counts).problems
    assert any(problem in one for one in said), said
    assert proved(evidence(), None).problems == ("its counts are not those of the manifest",)


def test_other_rules_of_comparison_accuse_no_record() -> None:
    """What later rules find in more places than those of the record is no fault of the record."""
    text = f"Sales were 1 % in 2023. {TEXTS['s1-1']}"
    other = Passage(id="s1-1", source="s1", text=text, sha256=digest(text))
    found = evidence()
    first, *rest = found.claims
    later = first.model_copy(update={"start": text.index("Sales were 120"), "end": len(text)})
    refused = first.model_copy(update={"verdict": "absent"})
    for claim in (later, refused):
        update = {"claims": (claim, *rest), "passages": (other, found.passages[1])}
        now = found.model_copy(update=update)
        before = now.model_copy(update={"comparison": 0})
        assert [said for said in proved(now, now.counts).problems if "claim 1" in said]
        assert not [said for said in proved(before, before.counts).problems if "claim 1" in said]
