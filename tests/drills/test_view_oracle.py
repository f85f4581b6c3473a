"""The oracle of views: agrees with the folds about a market that is as it should be, and notices every way in which a view can be wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from adapters.drill.shown import PLACES, VIEWS, Shown
from adapters.drill.view_oracle import Seen, judge
from adapters.drill.watch import GROUPS
from projections.columns import Columns
from projections.embedded import FOLDS
from projections.view import MemoryView, Projection
from tests.drills.flow import BLOCKS, RECORD


def as_kept() -> list[Seen]:
    """What a reader sees of views that are kept as they must be: each group after each block, and in the end all rows."""
    views = {name: MemoryView() for name in VIEWS}
    projections = {name: Projection(1, FOLDS[name](), view) for name, view in views.items()}
    seen = []
    for block in BLOCKS:
        for name, projection in projections.items():
            projection.advance(Columns(block))
            seen += [Seen(name, group, block.seq, dict(views[name].group(group, 1)[0]), 0) for group in GROUPS[name]]
    return seen + [Seen(name, "", BLOCKS[-1].seq, dict(view.rows), 0) for name, view in views.items()]


SEEN = as_kept()


def test_nothing_is_said_of_views_that_are_as_they_must_be() -> None:
    assert list(judge(RECORD, SEEN, 1)) == []


def test_a_reader_asks_for_every_group_there_is() -> None:
    shown = Shown(1)
    for block in RECORD:
        shown.take(block)
    assert len([key for key in shown.rows("executions") if key.startswith("execution:1:")]) == PLACES
    assert shown.groups() == sorted((view, group) for view, groups in GROUPS.items() for group in groups)


def rows_ahead(seen: list[Seen]) -> None:
    """The rows were written, the position was not yet."""
    at = next(place for place, each in enumerate(seen) if each.view == "quotes" and each.seq == 9)
    seen[at] = seen[at]._replace(seq=8)


def position_ahead(seen: list[Seen]) -> None:
    at = next(place for place, each in enumerate(seen) if each.view == "balances" and each.seq == 17)
    seen[at] = seen[at]._replace(seq=18)


def a_row_too_many(seen: list[Seen]) -> None:
    at = next(place for place, each in enumerate(seen) if each.view == "executions" and not each.group)
    seen[at] = seen[at]._replace(rows=seen[at].rows | {"execution:99:1": b""})


def a_row_missing(seen: list[Seen]) -> None:
    at = next(place for place, each in enumerate(seen) if each.view == "executions" and not each.group)
    seen[at] = seen[at]._replace(rows=dict(list(seen[at].rows.items())[1:]))


def back(seen: list[Seen]) -> None:
    """A reader who is shown an old row again, right as it was."""
    seen.append(next(each for each in seen if each.view == "trades"))


def beyond(seen: list[Seen]) -> None:
    seen[-1] = seen[-1]._replace(seq=len(BLOCKS) + 1)


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        (rows_ahead, "apart: quotes as of block 8, quote:1: the record makes [1, "),
        (position_ahead, "apart: balances as of block 18, balance:"),
        (a_row_too_many, "apart: executions as of block 31, execution:99:1: the record makes no row"),
        (a_row_missing, "apart: executions as of block 31, "),
        (back, "backward: trades showed block 1 after block 31"),
        (beyond, "apart: balances is as of block 32, which is not in the record"),
    ],
)
def test_every_way_in_which_a_view_is_wrong_is_noticed(breaks: Callable[[list[Seen]], None], says: str) -> None:
    seen = list(SEEN)
    breaks(seen)
    findings = list(judge(RECORD, seen, 1))
    assert any(finding.startswith(says) for finding in findings), findings


def test_a_view_that_lost_everything_may_begin_anew() -> None:
    again = [each._replace(life=1) for each in SEEN]
    assert list(judge(RECORD, [*SEEN, *again], 1)) == []


def test_it_goes_by_what_lies_in_the_record() -> None:
    """And not by what the views were folded from: of another record the same rows are wrong."""
    swapped = [*RECORD[:20], RECORD[20]._replace(payload=RECORD[19].payload)]
    assert list(judge(RECORD[:21], [each for each in SEEN if each.seq == 21], 1)) == []
    assert list(judge(swapped, [each for each in SEEN if each.seq == 21 and each.view == "balances"], 1))
