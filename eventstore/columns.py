"""A column of int64 in as few bytes as its values need: written one after the other, read back in the same order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.int64]

_HEAD: Final = np.dtype([("reference", "u1"), ("rising", "u1"), ("width", "u1"), ("base", "<i8"), ("first", "<i8")])
HEAD_BYTES: Final = _HEAD.itemsize
_WORD_BYTES: Final = 8


class BadPayload(ValueError):
    """These bytes are no payload; the text says why."""


def require(right: bool | np.bool, otherwise: str) -> None:
    """Raise BadPayload, saying *otherwise*, unless *right*."""
    if not right:
        raise BadPayload(otherwise)


class ColumnWriter:
    """Collects columns: a head each, and the planes of those that are not constant."""

    def __init__(self) -> None:
        self._heads: list[tuple[int, int, int, int, int]] = []
        self._planes: list[bytes] = []

    def add(self, values: Words, reference: int, rising: bool) -> None:
        """Add *values*, at least one, or when *rising* their steps, less the smallest of them. *reference* is kept for the reader."""
        rising = rising and values.size > 1
        steps = np.diff(values) if rising else values
        base, largest = int(steps.min()), int(steps.max())
        width = ((largest - base).bit_length() + 7) // 8
        self._heads.append((reference, int(rising), width, base, int(values[0]) if rising else 0))
        if width:
            remainder = np.zeros(values.size, "<i8")
            np.subtract(steps, base, out=remainder[1:] if rising else remainder)
            self._planes.append(remainder.view(np.uint8).reshape(-1, _WORD_BYTES)[:, :width].T.tobytes())

    def parts(self) -> list[bytes]:
        """All heads, then all planes."""
        return [np.array(self._heads, _HEAD).tobytes(), *self._planes]


class Head(NamedTuple):
    """What a column says of itself (eventstore/codec.py), how many rows it has, and where in the body its planes begin."""

    reference: int
    rising: int
    width: int
    base: int
    first: int
    rows: int
    at: int


class Heads:
    """The columns of *body*, whose heads begin at *at*: as many as *rows*, which says how many values each has.

    Raises BadPayload unless they end where the body does.
    """

    def __init__(self, body: bytes, at: int, rows: Sequence[int] | Words) -> None:
        planes = at + len(rows) * HEAD_BYTES
        require(planes <= len(body), "it ends inside the column heads")
        self._facts = np.frombuffer(body, _HEAD, len(rows), at)
        self._rows = np.asarray(rows, np.int64)
        widths = self._facts["width"].astype(np.int64)
        require(widths.max(initial=0) <= _WORD_BYTES, f"a column is {widths.max(initial=0)} bytes wide")
        ends = np.cumsum(np.append(planes, widths * self._rows))
        self._begins, end = ends[:-1], int(ends[-1])
        require(end >= len(body), f"{len(body) - end} bytes follow the last column")
        require(end <= len(body), "it ends inside a column")

    def __getitem__(self, column: int) -> Head:
        return Head._make((*self._facts.item(column), self._rows.item(column), self._begins.item(column)))

    def __iter__(self) -> Iterator[Head]:
        for facts, rows, at in zip(self._facts.tolist(), self._rows.tolist(), self._begins.tolist(), strict=True):
            yield Head._make((*facts, rows, at))


def values(body: bytes, head: Head) -> Words | int:
    """The values of a column before what it refers to is added; one int when they are all the same."""
    if not head.width and not head.rising:
        return head.base
    remainder = np.zeros((head.rows, _WORD_BYTES), np.uint8)
    for plane in range(head.width):
        remainder[:, plane] = np.frombuffer(body, np.uint8, head.rows, head.at + plane * head.rows)
    found: Words = remainder.view("<i8").reshape(head.rows)
    found += head.base
    if head.rising:
        found[0] = head.first
        np.cumsum(found, out=found)
    return found
