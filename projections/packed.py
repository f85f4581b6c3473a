"""How rows are packed: little-endian int64 words. Word 0 is the version of the layout, then come one or more records of the same fields.

A field is one word; a *wide* one is two, the lower first: a day's sum of 60-bit amounts does not fit one. An empty row means: gone.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

import numpy as np

from projections.columns import Ints

Record = TypeVar("Record", bound=NamedTuple)
WORD_BYTES: Final = 8
_WORD: Final = 2**64


class OtherLayout(Exception):
    """A row was written by another release. Rebuild the view with this one, or read it with that one."""

    def __init__(self, name: str, version: int, known: int) -> None:
        super().__init__(f"a row of {name} has layout {version}, this release reads {known}: rebuild the view, or use that release")


class Layout(Generic[Record]):
    """The layout of the rows of one view.

    version  rises when fields or their meaning change
    record   their names, a NamedTuple of int
    wide     which of them are two words, unsigned
    """

    def __init__(self, version: int, record: type[Record], wide: Collection[str] = ()) -> None:
        self.version, self.record = version, record
        self.fields: Final[dict[str, int]] = {name: 1 + (name in wide) for name in record._fields}
        self._head = struct.pack("<q", version)
        self._struct = struct.Struct("<" + "".join("Qq" if words == 2 else "q" for words in self.fields.values()))
        self._narrow = not wide

    def pack(self, *records: Record) -> bytes:
        """The row that holds *records*."""
        return self._head + b"".join(self._struct.pack(*self._words(record)) for record in records)

    def pack_words(self, words: Ints) -> bytes:
        """The row that holds the records int64[n, fields]; none of the fields is wide."""
        return self._head + words.astype("<i8", copy=False).tobytes()

    def pack_each(self, columns: Sequence[Ints] | Ints) -> list[bytes]:
        """A row of one record for each place of the *columns*, one column per field; none of the fields is wide."""
        assert self._narrow, "a wide field is no column"
        assert len(columns) == len(self.fields), f"{self.record.__name__} has {len(self.fields)} fields"
        words = np.empty((len(columns[0]), 1 + len(columns)), "<i8")
        words[:, 0] = self.version
        for place, column in enumerate(columns, 1):
            words[:, place] = column
        data, size = words.tobytes(), WORD_BYTES * words.shape[1]
        return [data[at : at + size] for at in range(0, len(data), size)]

    def unpack(self, row: bytes) -> list[Record]:
        """The records of a row, none of an empty one. Raises OtherLayout."""
        if not row:
            return []
        version = int.from_bytes(row[:WORD_BYTES], "little")
        if version != self.version:
            raise OtherLayout(self.record.__name__, version, self.version)
        return [self.record._make(self._values(words)) for words in self._struct.iter_unpack(row[WORD_BYTES:])]

    def one(self, row: bytes) -> Record:
        """The record of a row that holds one. Raises OtherLayout."""
        (record,) = self.unpack(row)
        return record

    def _words(self, record: Record) -> list[int]:
        if self._narrow:
            return list(record)
        return [word for value, words in zip(record, self.fields.values(), strict=True) for word in _split(value, words)]

    def _values(self, words: tuple[Any, ...]) -> list[int]:
        if self._narrow:
            return list(words)
        each = iter(words)
        return [next(each) if wide == 1 else next(each) + next(each) * _WORD for wide in self.fields.values()]


def _split(value: int, words: int) -> tuple[int, ...]:
    return (value,) if words == 1 else (value % _WORD, value // _WORD)
