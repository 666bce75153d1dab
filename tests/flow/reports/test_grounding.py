"""Reports with sources: what a writer plants is found, told, capped, marked and recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from prefect_llm_reports.tasks.contract.evidence import Evidence
from prefect_llm_reports.tasks.contract.reports import BatchResult
from tests.flow.conftest import Bench
from tests.harness import faults
from tests.harness.endpoint import Endpoint
from tests.harness.personas import BROKEN, INSTRUCTION, LIES, Persona

VERBS = str.split("built moved bought opened tested closed shipped raised leased staffed")
THINGS = str.split("turbine barrage cable harbour sluice reactor station lagoon tunnel pylon")
VERDICT = {
    "absent": "absent", "negated": "absent", "digit": "absent", "tail": "absent",
    "wrong passage": "misattributed", "unknown id": "unknown", "number": "number",
}  # fmt: skip


def source(name: str, start: int) -> str:
    """Two paragraphs of sentences that each say something else, with a number."""
    paragraphs = [
        " ".join(
            f"The {THINGS[n % 10]} of {name} {VERBS[(n * 7) % 10]} {start + 13 * n} parts in the"
            f" week after storm {THINGS[(n * 3) % 10]} {start + 7 * n + 500}."
            for n in range(first, first + 8)
        )
        for first in (0, 8)
    ]
    return "\n\n".join(paragraphs)


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two files, in a folder that runs may read."""
    folder = tmp_path / "sources"
    folder.mkdir()
    monkeypatch.setenv("LLM_REPORTS_SOURCES", str(folder))
    for at, name in enumerate(("Hull", "Brest")):
        (folder / f"{name.lower()}.txt").write_text(source(name, 1000 * (at + 1)))
    return [str(path) for path in sorted(folder.iterdir())]


def evidence(result: BatchResult, at: int = 0) -> Evidence:
    """The evidence of a published report."""
    directory = result.reports[at].directory
    assert directory, result.reports[at].error
    return Evidence.model_validate_json(Path(directory, "evidence.json").read_text())


def accused(found: Evidence) -> dict[str, str]:
    """The fault by sentence, as the claims name it."""
    return {
        claim.sentence: claim.verdict if claim.verdict != "verified" else "number"
        for claim in found.claims
        if claim.doubtful
    }


def prompts(endpoint: Endpoint, step: str) -> list[str]:
    """What was asked in a step."""
    return [r.body["messages"][-1]["content"] for r in endpoint.requests if r.step == step]


def test_every_planted_defect_is_found_and_nothing_else(bench: Bench, sources: list[str]) -> None:
    """Found and accused are exactly the planted ones; they cap the score and are marked."""
    liar = Persona("liar")
    with Endpoint(script=liar, scores=[9]) as endpoint:
        result = bench.run(endpoint, ["Tides"], options={"sources": sources}, max_iterations=2)
        [_, revision] = [*prompts(endpoint, "critique")][:1] + prompts(endpoint, "revise")
    found = evidence(result)
    assert set(liar.planted.values()) == set(LIES)
    assert accused(found) == {said: VERDICT[lie] for said, lie in liar.planted.items()}
    assert len(found.claims) > 2 * len(liar.planted) - 2
    for claim in found.claims:
        if claim.start is not None:
            text = next(p.text for p in found.passages if p.id == claim.passage)
            assert text[claim.start : claim.end] == claim.quote
            assert claim.support == "supported"
    # They come before the critique, and the score is at most 4 whatever the critic says.
    assert revision.index("<findings>") < revision.index("<critique>")
    assert "stand in no passage" in revision
    [report] = result.reports
    draft = bench.history(result, "Tides")["drafts"][0]
    assert (report.score, draft["score"], draft["critic_score"]) == (4, 4, 9)
    assert draft["capped"].startswith("quotations: ")
    counts = found.counts
    assert counts == report.evidence == bench.manifests(result)[0].evidence
    assert counts
    assert draft["evidence"] == counts.model_dump()
    assert (counts.coverage, counts.doubtful) == (1, len(liar.planted))
    marks = Path(report.directory or "", "report.md").read_text().count("*(")
    assert marks == len(liar.planted)
    row = Path(result.run_directory, "topics.csv").read_text(encoding="utf-8-sig").splitlines()[1]
    assert row.endswith(f",1.0,{len(liar.planted)}")
    assert "evidence.json" in {entry.name for entry in bench.manifests(result)[0].files}


KINDS = ["faithful", "careless", "mending", "lazy", "confused", "obedient"]


@pytest.mark.parametrize("kind", KINDS)
def test_each_writer_gets_what_it_deserves(bench: Bench, sources: list[str], kind: str) -> None:
    """Faithful ones pass, lazy ones are capped at 7, broken notes accuse nobody wrongly."""
    Path(sources[0]).write_text(Path(sources[0]).read_text() + f"\n\n{INSTRUCTION}")
    persona = Persona("liar", mends=True) if kind == "mending" else Persona(kind)  # type: ignore[arg-type]
    with Endpoint(script=persona, scores=[9]) as endpoint:
        result = bench.run(endpoint, ["Tides"], options={"sources": sources}, max_iterations=2)
        for step in ("draft", "critique", "revise"):
            for prompt in prompts(endpoint, step):
                assert prompt.count("<passage>") == prompt.count("</passage>")
                assert "&lt;/passage>" in prompt
                assert prompt.count("<draft>") == prompt.count("</draft>") == (step != "draft")
    [report], found = result.reports, evidence(result)
    assert report.evidence
    if kind in ("faithful", "careless", "mending"):
        assert report.evidence.verified > 10
        assert (report.score, accused(found), report.evidence.coverage) == (9, {}, 1)
        assert " *(" not in Path(report.directory or "", "report.md").read_text()
    elif kind in ("lazy", "obedient"):
        assert (report.score, report.stop_reason) == (7, "iterations_exhausted")
        assert accused(found) == {}
        assert {claim.verdict for claim in found.claims} == {"none"}
    else:
        verdicts = {claim.sentence: claim.verdict for claim in found.claims}
        assert verdicts == persona.planted
        assert set(verdicts.values()) == set(BROKEN.values())


def test_notes_in_another_form_make_the_same_report(bench: Bench, sources: list[str]) -> None:
    """Readers see no difference between a careful writer and one that leaves carets out."""
    texts: list[tuple[bytes, ...]] = []
    for kind in ("faithful", "careless"):
        bench.store = bench.store.with_name(kind)
        with Endpoint(script=Persona(kind), scores=[9]) as endpoint:
            result = bench.run(endpoint, ["Tides"], options={"sources": sources, "support": False})
        directory = Path(result.reports[0].directory or "")
        texts.append(
            tuple((directory / name).read_bytes() for name in ("report.md", "report.html"))
        )
    assert texts[0] == texts[1]


def test_numbers_that_only_the_summary_has_are_named(bench: Bench, sources: list[str]) -> None:
    """In every form of the report, its manifest and the run's warnings; a rerun says the same."""
    said = "The harbour lost 88,888 parts, and nobody knows why."
    remark = "(Not in the report: 88,888.)"
    with Endpoint(script=Persona("faithful"), scores=[9]) as endpoint:
        endpoint.fail(faults.answer(said), step="summary")
        result = bench.run(endpoint, ["Tides"], options={"sources": sources})
        again = bench.run(endpoint, ["Tides"], options={"sources": sources})
    assert again.calls.made == 0
    for run in (result, again):
        directory = Path(run.reports[0].directory or "")
        for name in ("report.html", "index.html", "summary.txt"):
            assert remark in (directory / name).read_text(), name
        warning = f"{run.reports[0].slug}: summary: not in the report: 88,888"
        assert [*run.warnings, *bench.manifests(run)[0].warnings] == [warning, warning]


def test_nothing_is_asked_again_unless_a_passage_of_the_prompt_has_changed(
    bench: Bench, sources: list[str]
) -> None:
    """A rerun asks nothing and writes equal bytes; a changed passage concerns its topics only."""
    topics: list[Any] = [
        {"title": "Tides of Brest", "sources": [sources[0]]},
        {"title": "Tides of Hull", "sources": [sources[1]]},
    ]

    def run() -> tuple[BatchResult, int]:
        before = len(endpoint.requests)
        result = bench.run(endpoint, topics, options={}, max_iterations=2)
        return result, len(endpoint.requests) - before

    with Endpoint(script=Persona("liar", mends=True), scores=[9]) as endpoint:
        first, calls = run()
        assert calls > 8
        again, calls = run()
        assert (calls, again.calls.made, again.status) == (0, 0, "complete")
        for one, two in zip(first.reports, again.reports, strict=True):
            for name in ("report.md", "report.html", "summary.txt", "evidence.json"):
                files = [Path(r.directory or "", name).read_bytes() for r in (one, two)]
                assert files[0] == files[1], name
        text = Path(sources[1]).read_text()
        Path(sources[1]).write_text(text.replace("lagoon of Hull", "lagoon of old Hull"))
        changed, calls = run()
        assert calls
        assert {r.topic for r in endpoint.requests[-calls:] if r.step == "draft"} == {
            "Tides of Hull"
        }
        made = [report.calls.made for report in changed.reports]
        assert made[0] == 0 < made[1]


def test_a_changed_passage_that_no_prompt_had_costs_nothing(
    bench: Bench, sources: list[str]
) -> None:
    """Of sources that do not fit, a topic's prompts have what fits it best."""
    others = [source(name, 9000) for name in ("Zanzibar", "Quito", "Oslo", "Perth")]
    far = Path(sources[0]).with_name("other.txt")
    far.write_text("\n\n".join(others))
    options = {"sources": [*sources, str(far)], "evidence_words": 500}
    with Endpoint(script=Persona("faithful"), scores=[9]) as endpoint:
        topic = "The turbine, barrage, cable and harbour of Hull"
        first = bench.run(endpoint, [topic], options=options)
        asked = len(endpoint.requests)
        assert "of Quito" not in "".join(prompts(endpoint, "draft"))
        far.write_text("\n\n".join(others).replace("of Quito", "of old Quito"))
        again = bench.run(endpoint, [topic], options=options)
        assert len(endpoint.requests) == asked
    assert (first.status, again.status, again.calls.made) == ("complete", "complete", 0)


def test_opinions_are_kept_asked_ten_at_a_time_and_never_needed(
    bench: Bench, sources: list[str]
) -> None:
    """Equal pairs keep their opinion in later drafts and runs; a failed call leaves them open."""
    options = {"sources": sources}
    with Endpoint(script=Persona("faithful"), scores=[5]) as endpoint:
        endpoint.fail(faults.not_json(), step="support", times=None)
        result = bench.run(endpoint, ["Tides"], options=options, max_iterations=1)
        found = evidence(result)
        assert (result.status, {claim.support for claim in found.claims}) == (
            "complete",
            {"not_judged"},
        )
    with Endpoint(script=Persona("faithful"), scores=[5, 6]) as endpoint:
        result = bench.run(endpoint, ["Tides"], options=options, max_iterations=2)
        found = evidence(result)
        pairs = len(found.claims)
        assert {claim.support for claim in found.claims} == {"supported"}
        asked = prompts(endpoint, "support")
        assert [prompt.count("<claim>") for prompt in sorted(asked, key=len)][-1] == 10
        assert sum(prompt.count("<claim>") for prompt in asked) == pairs  # none for the revision
        # Another audience: new drafts that say the same; no pair is asked about again.
        before = endpoint.count(step="support")
        bench.run(endpoint, ["Tides"], options={**options, "audience": "engineers"})
        assert endpoint.count(step="draft") == 2
        assert endpoint.count(step="support") == before


def test_a_fault_of_the_checks_never_loses_a_report(
    bench: Bench, sources: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever part of the checks raises, the report is published, and says what failed."""
    from prefect_llm_reports.tasks.reports import grounding

    def broken(*_: object, **__: object) -> Any:
        raise ZeroDivisionError("a bug")

    for name in ("checked", "cap_of", "findings_of"):
        with monkeypatch.context() as patch, Endpoint(script=Persona("liar"), scores=[5]) as fake:
            patch.setattr(grounding, name, broken)
            result = bench.run(
                fake, [f"Tides {name}"], options={"sources": sources}, max_iterations=2
            )
            found = evidence(result)
        assert result.status == "complete"
        assert "unexpected ZeroDivisionError" in found.problem


def test_the_embedded_engine_shows_checked_notes(bench: Bench, sources: list[str]) -> None:
    """It quotes passages by rule, and says so; every note is true."""
    result = bench.run(None, ["Tides of Hull and Brest"], options={"sources": sources})
    found = evidence(result)
    [report] = result.reports
    assert report.evidence
    assert report.evidence.verified > 3
    assert (report.evidence.doubtful, report.evidence.coverage) == (0, 1)
    assert json.loads(Path(report.directory or "", "manifest.json").read_text())["offline"]
    assert all(claim.verdict in ("verified", "own") for claim in found.claims)


TABLE = """country;year;price EUR per MWh;basis
Germany;2023;95.2;the mean over all hours of the market
Spain;2023;87.1;the mean over all hours of the market
"""


def test_the_embedded_engine_quotes_rows_of_a_table(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row that it copies is a claim of its own, found in its passage with its numbers."""
    monkeypatch.setenv("LLM_REPORTS_SOURCES", str(tmp_path))
    (tmp_path / "prices.csv").write_text(TABLE)
    options = {"sources": [str(tmp_path / "prices.csv")]}
    found = evidence(bench.run(None, ["Power in Spain"], options=options))
    rows = [claim for claim in found.claims if claim.verdict == "verified"]
    assert [claim.sentence.partition(";")[0] for claim in rows] == [
        "country: Spain",
        "country: Germany",
    ]
    assert all(claim.numbers and all(n.found for n in claim.numbers) for claim in rows)
    assert {claim.verdict for claim in found.claims} == {"verified", "own"}


def test_the_embedded_engine_quotes_the_row_of_a_topic(bench: Bench, tmp_path: Path) -> None:
    """A spreadsheet of topics makes a report a row, which quotes its own row and no other."""
    head, *rows = TABLE.replace("country", "topic").splitlines()
    (tmp_path / "topics.csv").write_text("\n".join([head, *rows]))
    result = bench.run(None, [], topics_file=str(tmp_path / "topics.csv"))
    for at, price in enumerate(("95.2", "87.1")):
        [claim] = [c for c in evidence(result, at).claims if c.verdict == "verified"]
        assert claim.sentence.startswith(f"year: 2023 price EUR per MWh: {price} basis: the")


def test_a_budget_that_ends_while_claims_are_judged_publishes_what_is_there(
    bench: Bench, sources: list[str]
) -> None:
    """Calls that the budget refuses leave pairs open; what code found is published and marked."""
    options = {
        "sources": sources,
        "budget_usd": "0.5",
        "support_model": "judge",
        "prices": {
            "gpt-5-mini": {"input": 1, "output": 10},
            "judge": {"input": 500, "output": 500},
        },
    }
    liar = Persona("liar")
    with Endpoint(script=liar, scores=[9]) as endpoint:
        result = bench.run(endpoint, ["Tides"], options=options, max_iterations=1)
        assert endpoint.count(step="support") == 0
    [report], found = result.reports, evidence(result)
    assert (result.status, report.status, report.score) == ("complete", "published", 4)
    assert {claim.support for claim in found.claims} == {"not_judged"}
    assert accused(found) == {said: VERDICT[lie] for said, lie in liar.planted.items()}
    assert Path(report.directory or "", "report.md").read_text().count("*(") == len(liar.planted)
