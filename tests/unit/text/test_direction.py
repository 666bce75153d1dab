"""A change of direction ends with the text that it stands in."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.text.direction import balanced, isolated

RLO, LRE, RLI, FSI, PDF, PDI = "\u202e", "\u202a", "\u2067", "\u2068", "\u202c", "\u2069"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        (f"a{RLO}b", f"a{RLO}b{PDF}"),
        (f"a{RLO}b\nc", f"a{RLO}b{PDF}\nc"),
        (f"a{RLO}b{PDF}c", f"a{RLO}b{PDF}c"),
        (f"{RLI}{LRE}x", f"{RLI}{LRE}x{PDF}{PDI}"),
        (f"{RLI}{LRE}x{PDI}y", f"{RLI}{LRE}x{PDF}{PDI}y"),
        (f"x{PDF}{PDI}y", "xy"),
    ],
)
def test_changes_of_direction_end_with_their_line(text: str, expected: str) -> None:
    """What is open is closed, and what closes nothing is left out."""
    assert balanced(text) == expected
    assert balanced(expected) == expected


def test_a_page_isolates_them() -> None:
    """Texts and attributes are isolated, scripts are not; a second time changes nothing."""
    html = f'<title>{RLO}t</title><p title="{RLO}a">x{RLO}y<b>z</b></p><script>"{RLO}"</script>'
    page = isolated(html)
    assert page == (
        f'<title>{FSI}{RLO}t{PDF}{PDI}</title><p title="{FSI}{RLO}a{PDF}{PDI}">'
        f'{FSI}x{RLO}y{PDF}{PDI}<b>z</b></p><script>"{RLO}"</script>'
    )
    assert isolated(page) == page
