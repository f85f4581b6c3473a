"""Is a view what the record says? A fold made anew is compared with it, while it is written."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from eventstore.ports import BlockLog
from projections.columns import Columns
from projections.packed import WORD_BYTES
from projections.view import Fold, Projection, Rows


class Places(Protocol):
    """A view whose rows lie in numbered places, each read as a whole."""

    def bucket(self, number: int, partition: int) -> tuple[Rows, int]:
        """The rows of a place, and the block they are as of. Raises ViewAway."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first row that is not as it must be as of block *seq*. An empty row: there is none."""

    seq: int
    key: str
    expected: bytes
    found: bytes

    def __str__(self) -> str:
        return f"as of block {self.seq}, {self.key}: the record gives {_words(self.expected)}, the view has {_words(self.found)}"


@dataclass(frozen=True, slots=True)
class Compared:
    """As of which block a view was compared last, how many rows, and the first thing that is not as it must be, empty when all is."""

    seq: int
    rows: int
    difference: str


class _ByPlace:
    """The rows of a fold by the place where they lie."""

    def __init__(self, place_of: Callable[[str], int]) -> None:
        self.places: defaultdict[int, Rows] = defaultdict(dict)
        self._place_of, self._seq = place_of, 0

    def position(self, _partition: int) -> int:
        return self._seq

    def write(self, rows: Rows, _partition: int, seq: int) -> None:
        for key, row in rows.items():
            place = self.places[self._place_of(key)]
            if row:
                place[key] = row
            else:
                place.pop(key, None)
        self._seq = seq


class Proof:
    """Compares the view of a partition with what *fold*, which is new, makes of the record.

    place_of  key of a row -> the number of its place, 0 to places - 1
    """

    def __init__(self, partition: int, fold: Fold, log: BlockLog, view: Places, place_of: Callable[[str], int], places: int) -> None:
        self._partition, self._log, self._view, self._places = partition, log, view, places
        self._rows = _ByPlace(place_of)
        self._projection = Projection(partition, fold, self._rows)

    def compare(self, sample: int, dice: random.Random, progress: Callable[[int, int], None] = lambda _done, _total: None) -> Compared:
        """Compare *sample* places that have rows and a tenth as many of any, each as of the block that the view says it is as of then.

        Raises ViewAway, what the fold and log.read raise.
        """
        self._fold(self._view.bucket(0, self._partition)[1], progress)
        filled = sorted(place for place, rows in self._rows.places.items() if rows)
        wanted = {*dice.sample(filled, min(sample, len(filled))), *dice.sample(range(self._places), min(self._places, 1 + sample // 10))}
        compared = 0
        for place in sorted(wanted):
            found, seq = self._view.bucket(place, self._partition)
            head = self._log.head(self._partition).seq
            if not self._projection.seq <= seq <= head:
                right = f"right would be {self._projection.seq} to {head}, where the record ends"
                return Compared(self._projection.seq, compared, f"the view is as of block {seq}; {right}")
            self._fold(seq, progress)
            expected = self._rows.places.get(place, {})
            for key in sorted(expected.keys() | found.keys()):
                compared += 1
                if expected.get(key, b"") != found.get(key, b""):
                    return Compared(seq, compared, str(Difference(seq, key, expected.get(key, b""), found.get(key, b""))))
        return Compared(self._projection.seq, compared, "")

    def _fold(self, to_seq: int, progress: Callable[[int, int], None]) -> None:
        """Take the record in up to block *to_seq*, or its end."""
        if to_seq <= self._projection.seq:
            return
        for block in self._log.read(self._partition, self._projection.seq):
            self._projection.advance(Columns(block))
            progress(block.seq, to_seq)
            if block.seq == to_seq:
                return


def _words(row: bytes) -> str:
    """A row as its 64-bit words, docs/views.md; one that has none as it is."""
    if not row:
        return "no row"
    if len(row) % WORD_BYTES:
        return f"0x{row.hex()}"
    return str([int.from_bytes(row[at : at + WORD_BYTES], "little", signed=True) for at in range(0, len(row), WORD_BYTES)])
