"""HTML, PDF and DOCX hold the words of a report, whatever kinds of parts it has."""

from __future__ import annotations

import io
import re
from collections import Counter

import docx
import pypdf

from prefect_llm_reports.tasks.pages.document import document_of
from prefect_llm_reports.tasks.pages.pdf import pdf_of
from prefect_llm_reports.tasks.pages.word import docx_of
from prefect_llm_reports.tasks.text.cleaning import cleaned
from prefect_llm_reports.tasks.text.html import html_of
from tests.unit.pages.test_report import refined

TEXT = """# Kinds

Water[^1] and CO<sub>2</sub> with x<sup>2</sup> press <kbd>Ctrl</kbd> <!-- hidden -->end.

| h1 | h2 | h3 | h4 | h5 | h6 | h7 | h8 |
|---|---|---|---|---|---|---|---|
| alpha<br>beta | gamma words here | delta is long | epsilon | zeta and eta | theta | iota | kappa |

<details>
<summary>Summary words</summary>

Inside the details.

- item one
- item two

</details>

## Heading[^1]

```mermaid
graph TD
```

[^1]: The note itself.
"""
WORDS = """Water 1 and CO2 with x2 press Ctrl end h1 h2 h3 h4 h5 h6 h7 h8 alpha beta gamma words
here delta is long epsilon zeta and eta theta iota kappa Summary words Inside the
details item one item two Heading 1 mermaid graph TD The note itself"""


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.replace("\u200b", "")))


def test_every_format_has_every_word() -> None:
    """Notes, lowered letters, lines in cells, details and drawings lose no word in any format."""
    made = refined(TEXT)
    written = html_of(cleaned(TEXT, "x"), with_title=False)
    html = re.sub(r"</?(?:sub|sup|a|kbd)\b[^>]*>", "", written)
    assert words(re.sub(r"<[^>]+>", " ", html)) == words(WORDS)
    document = document_of(made, "", offline=False)
    pages = pypdf.PdfReader(io.BytesIO(pdf_of(document))).pages
    assert not words(WORDS) - words(" ".join(page.extract_text() for page in pages))
    file = docx.Document(io.BytesIO(docx_of(document)))
    cells = [cell.text for table in file.tables for row in table.rows for cell in row.cells]
    assert not words(WORDS) - words(" ".join([*(p.text for p in file.paragraphs), *cells]))
