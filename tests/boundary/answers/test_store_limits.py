"""The answer store at size."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from prefect_llm_reports.tasks.answers.records import sealed
from prefect_llm_reports.tasks.answers.store import AnswerStore
from tests.boundary.answers.test_store import answer, ask, file_of, results
from tests.harness.pace import within


def test_a_thousand_kept_answers_are_read_in_seconds(tmp_path: Path) -> None:
    """Reading 1,000 answers of a report's length takes seconds, not minutes."""
    long = answer("A sentence of a report. " * 400)

    async def run() -> None:
        store = AnswerStore(location=str(tmp_path))
        questions = [ask(str(number)) for number in range(1000)]
        async with store.opened():
            record = results(store).create_result_record(sealed(long), key=questions[0].key)
            text = record.serialize().decode()
            for question in questions:
                path = file_of(tmp_path, question)
                path.parent.mkdir(exist_ok=True)
                path.write_text(text.replace(questions[0].key, question.key))
            with within(10, time.process_time):
                found = [await store.kept(question) for question in questions]
        assert found == [long] * 1000

    asyncio.run(run())
