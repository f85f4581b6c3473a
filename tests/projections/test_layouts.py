"""docs/views.md says where every field of every row stands: who reads rows without our code reads that page."""

from __future__ import annotations

import re

import pytest

from projections import layouts
from projections.embedded import FOLDS
from projections.packed import WORD_BYTES, Layout
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs/views.md").read_text()
LAYOUTS = {layout.record.__name__: layout for layout in vars(layouts).values() if isinstance(layout, Layout)}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_page_shows_every_row_byte_by_byte(name: str) -> None:
    layout = LAYOUTS[name]
    section = re.search(rf"^### {name} \([^\n]*\), layout {layout.version}\n(.*?)(?=^###|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section, f"no section {name}, layout {layout.version}"
    shown = re.findall(r"^\| (\d+) \| (\d+) \| `(\w+)` \|", section[1], re.MULTILINE)
    expected, at = [], WORD_BYTES
    for field, words in layout.fields.items():
        expected.append((str(at), str(words * WORD_BYTES), field))
        at += words * WORD_BYTES
    assert shown == expected
    records = [layout.record._make([7] * len(layout.fields))] * 2
    assert len(layout.pack(*records)) == WORD_BYTES + 2 * (at - WORD_BYTES)


def test_the_page_names_every_view() -> None:
    assert re.findall(r"^\| `(\w+)` \| ", PAGE, re.MULTILINE) == list(FOLDS)
