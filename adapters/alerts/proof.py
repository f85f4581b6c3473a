"""Is the stream of alerts what the record and the rules say? All of it is evaluated anew and compared, entry by entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from adapters.alerts.stream import STREAM_BOUND, AlertStream
from eventstore.ports import BlockLog
from projections.columns import Columns
from projections.proof import Compared, Difference
from projections.view import Fold

_Placed = tuple[int, int, str, bytes]
_NONE: _Placed = (2**63, 0, "", b"")  # behind every entry


class AlertsProof:
    """Compares the stream of a partition with what *fold*, which is new and knows the rules, makes of the record."""

    def __init__(self, partition: int, fold: Fold, log: BlockLog, stream: AlertStream) -> None:
        self._partition, self._fold, self._log, self._stream = partition, fold, log, stream

    def compare(self, progress: Callable[[int, int], None] = lambda _done, _total: None) -> Compared:
        """As of the block that the stream is as of now, while workers go on. Raises ViewAway, what the fold and log.read raise."""
        seq, head = self._stream.status(self._partition).seq, self._log.head(self._partition).seq
        if seq > head:
            return Compared(head, 0, f"the stream is as of block {seq}; the record ends with block {head}")
        entries, compared = self._stream.entries(self._partition, seq), 0
        found = next(entries, _NONE)
        for expected in self._expected(seq, progress):
            if found[:2] > expected[:2] and not compared and self._stream.count(self._partition) >= STREAM_BOUND:
                continue  # it gave way
            if found != expected:
                return Compared(seq, compared, _difference(expected, found))
            compared += 1
            found = next(entries, _NONE)
        return Compared(seq, compared, "" if found == _NONE else _difference(_NONE, found))

    def _expected(self, seq: int, progress: Callable[[int, int], None]) -> Iterator[_Placed]:
        """Every alert up to block *seq*, as the stream has it."""
        for block in self._log.read(self._partition) if seq else ():
            for number, (name, row) in enumerate(self._fold.fold(Columns(block)).items()):
                yield block.seq, number, name, row
            progress(block.seq, seq)
            if block.seq == seq:
                return


def _difference(expected: _Placed, found: _Placed) -> str:
    """Of the entries that stand at the same place the first that should not be there, or is missing."""
    seq, number, name, _ = min(expected, found)
    rows = [each[3] if each[:2] == (seq, number) and each[2] == name else b"" for each in (expected, found)]
    return str(Difference(seq, f"entry {seq}-{number}, {name}", rows[0], rows[1]))
