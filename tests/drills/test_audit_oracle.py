"""The oracle of the audit index agrees with its fold about a market that is as it should be, and notices what is lost, doubled or wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from adapters.drill.audit_oracle import Counted, judge
from projections.audit import INSTRUMENTS, Audit, lines_of
from projections.columns import Columns
from projections.view import Rows
from tests.drills.flow import BLOCKS, RECORD

Documents = list[dict[str, Any]]


def as_kept() -> tuple[list[Counted], Documents]:
    """What a reader counts after each block, and finds in the end."""
    fold, rows, seen = Audit(), Rows(), list[Counted]()
    documents: Documents = []
    for block in BLOCKS:
        rows |= fold.fold(Columns(block))
        documents = [msgspec.json.decode(lines_of(row)[1]) for key, row in rows.items() if not key.startswith(INSTRUMENTS)]
        seen.append(Counted(block.seq, Counter(document["kind"] for document in documents)))
    return seen, documents


SEEN, DOCUMENTS = as_kept()


def test_nothing_is_said_of_an_index_that_is_as_it_must_be() -> None:
    assert list(judge(RECORD, SEEN, DOCUMENTS)) == []


def test_an_index_may_be_ahead_of_its_position() -> None:
    ahead = [Counted(seen.seq, later.documents) for seen, later in pairwise(SEEN)]
    assert list(judge(RECORD, ahead, None)) == []


def behind(seen: list[Counted], _: Documents) -> None:
    seen[8] = Counted(9, seen[7].documents)


def back(seen: list[Counted], _: Documents) -> None:
    seen.append(seen[3])


def lost(_: list[Counted], documents: Documents) -> None:
    del documents[next(at for at, document in enumerate(documents) if document["kind"] == "trade")]


def doubled(_: list[Counted], documents: Documents) -> None:
    documents.append(documents[-1])


def older(_: list[Counted], documents: Documents) -> None:
    at = next(at for at, document in enumerate(documents) if document["kind"] == "order" and document.get("filled_lots"))
    documents[at] = documents[at] | {"filled_lots": 0}


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        (behind, "apart: audit as of block 9 lacks {"),
        (back, "backward: audit showed block 4 after block 31"),
        (lost, "apart: audit has {"),
        (doubled, "apart: audit has {"),
        (older, "apart: audit, order 9007"),
    ],
)
def test_every_way_in_which_it_is_wrong_is_noticed(breaks: Callable[[list[Counted], Documents], None], says: str) -> None:
    seen, documents = list(SEEN), list(DOCUMENTS)
    breaks(seen, documents)
    findings = list(judge(RECORD, seen, documents))
    assert any(finding.startswith(says) for finding in findings), findings
