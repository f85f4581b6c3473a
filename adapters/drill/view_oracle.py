"""The oracle of views: from the record alone, whether what a reader saw in Redis was right, at that block and in that order.

apart     rows that are not those of the block that was given with them
backward  a view that showed an earlier block after a later one, without having lost everything
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from adapters.drill.record import Found
from adapters.drill.shown import Rows, Shown
from eventstore.codec import BadPayload

SHOWN_OF_A_ROW: Final = 8  # words
WORD: Final = 8


class Seen(NamedTuple):
    """The rows of a group of *view* (empty: all rows), as of block *seq* as Redis said. life: how often it had lost everything by then."""

    view: str
    group: str
    seq: int
    rows: Rows
    life: int


def judge(blocks: Sequence[Found], seen: Sequence[Seen], partition: int) -> Iterator[str]:
    """What is wrong with *seen*, in the order in which it was seen; *blocks* are the record's."""
    yield from _backward(seen)
    at: defaultdict[int, list[Seen]] = defaultdict(list)
    for each in seen:
        at[each.seq].append(each)
    shown = Shown(partition)
    yield from _apart(shown, at.pop(0, []))
    for block in blocks:
        try:
            shown.take(block)
        except (BadPayload, KeyError) as error:
            yield f"apart: the events of block {block.seq} lead nowhere: {type(error).__name__}: {error}"
            return
        yield from _apart(shown, at.pop(block.seq, []))
    yield from (f"apart: {each[0].view} is as of block {seq}, which is not in the record" for seq, each in sorted(at.items()))


def _backward(seen: Sequence[Seen]) -> Iterator[str]:
    last: dict[tuple[str, int], int] = {}
    for each in seen:
        before = last.get((each.view, each.life), 0)
        if each.seq < before:
            yield f"backward: {each.view} showed block {each.seq} after block {before}"
        last[each.view, each.life] = each.seq


def _apart(shown: Shown, seen: Sequence[Seen]) -> Iterator[str]:
    right = {view: _by_group(shown.rows(view)) for view in {each.view for each in seen}}
    for each in seen:
        expected = right[each.view].get(each.group, {})
        if each.rows != expected:
            yield f"apart: {each.view} as of block {each.seq}, {_difference(expected, each.rows)}"


def _by_group(rows: Rows) -> dict[str, Rows]:
    """The rows of each group; under no name, all of them."""
    groups = {"": rows}
    for key, row in rows.items():
        groups.setdefault(key.rpartition(":")[0], {})[key] = row
    return groups


def _difference(expected: Rows, found: Rows) -> str:
    key = min(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
    return f"{key}: the record makes {_words(expected.get(key, b''))}, Redis has {_words(found.get(key, b''))}"


def _words(row: bytes) -> str:
    words = [int.from_bytes(row[at : at + WORD], "little", signed=True) for at in range(0, len(row), WORD)]
    return f"{words[:SHOWN_OF_A_ROW]}{' …' * (len(words) > SHOWN_OF_A_ROW)}" if words else "no row"
