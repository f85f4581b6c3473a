"""Does the audit index say what the record says? A fold made anew is compared with a sample of it, while it is written.

An index may be ahead of its position, never behind: of an order it must show the life as of the position, or a later one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from eventstore.ports import BlockLog
from projections.audit import INSTRUMENTS, Audit, lines_of
from projections.columns import Columns
from projections.proof import Compared

SPAN: Final = 64  # events whose documents are compared together
Document: TypeAlias = Mapping[str, Any]
_decode: Final = msgspec.json.Decoder().decode


class Documents(Protocol):
    """An index whose documents are found by the event with which they begin. All of it raises ViewAway."""

    def as_of(self, partition: int) -> tuple[int, str]:
        """The block that it is as of, and the first day that it keeps."""

    def span(self, partition: int, first_event: int, last_event: int) -> Mapping[str, Document]:
        """By key, the documents that begin with one of these events."""


class AuditProof:
    """Compares the index of a partition with the record."""

    def __init__(self, partition: int, log: BlockLog, index: Documents) -> None:
        self._partition, self._log, self._index = partition, log, index
        self._right: dict[str, list[Document]] = {}  # by key, what the index may show: from its position on

    def compare(self, sample: int, dice: random.Random, progress: Callable[[int, int], None] = lambda _done, _total: None) -> Compared:
        """Compare the documents of *sample* spans at random. Raises ViewAway, what log.read raises."""
        seq, first_day = self._index.as_of(self._partition)
        head = self._log.head(self._partition)
        if seq > head.seq:
            return Compared(head.seq, 0, f"the view is as of block {seq}; right would be 0 to {head.seq}, where the record ends")
        count = -(-head.next_event // SPAN)
        spans = set(dice.sample(range(count), min(sample, count)))
        fold = Audit()
        self._fold(fold, spans, 0, seq, progress)
        must = {key for key in self._right if key >= first_day}
        found: dict[str, Document] = {}
        for span in sorted(spans):
            found |= self._index.span(self._partition, span * SPAN, span * SPAN + SPAN - 1)
        self._fold(fold, spans, seq, self._log.head(self._partition).seq, progress, replaces=False)
        for key in sorted(must | found.keys()):
            if found.get(key) not in (right := self._right.get(key, [None])):
                return Compared(seq, len(found), f"as of block {seq}, {key}: the record gives {right[0]}, the view has {found.get(key)}")
        return Compared(seq, len(found), "")

    def _fold(
        self, fold: Audit, spans: set[int], after_seq: int, to_seq: int, progress: Callable[[int, int], None], *, replaces: bool = True
    ) -> None:
        """Take the record in up to *to_seq*. replaces: what a document said before is wrong from then on."""
        if after_seq == to_seq:
            return
        for block in self._log.read(self._partition, after_seq):
            for key, row in fold.fold(Columns(block)).items():
                if not key.startswith(INSTRUMENTS) and int(key.rpartition("-")[2]) // SPAN in spans:
                    document = _decode(lines_of(row)[1])
                    self._right[key] = [document] if replaces else [*self._right.get(key, ()), document]
            progress(block.seq, to_seq)
            if block.seq == to_seq:
                return
