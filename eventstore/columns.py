"""A column of int64 in as few bytes as its values need: written one after the other, read back in the same order."""

from __future__ import annotations

from typing import Final

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


class ColumnReader:
    """Reads *count* columns from *body*, heads at *at*. Raises BadPayload when they are not there."""

    def __init__(self, body: bytes, at: int, count: int) -> None:
        self._body = body
        self._at = at + count * HEAD_BYTES
        require(self._at <= len(body), "it ends inside the column heads")
        self._heads = iter(np.frombuffer(body, _HEAD, count, at).tolist())

    def next(self, rows: int) -> tuple[int, Words | int]:
        """Reference and values of the next column, which has *rows* values; one int when they are all the same."""
        reference, rising, width, base, first = next(self._heads)
        require(width <= _WORD_BYTES, f"a column is {width} bytes wide")
        require(self._at + width * rows <= len(self._body), "it ends inside a column")
        if not width and not rising:
            return reference, base
        remainder = np.zeros((rows, _WORD_BYTES), np.uint8)
        for plane in range(width):
            remainder[:, plane] = np.frombuffer(self._body, np.uint8, rows, self._at + plane * rows)
        self._at += width * rows
        values: Words = remainder.view("<i8").reshape(rows)
        values += base
        if rising:
            values[0] = first
            np.cumsum(values, out=values)
        return reference, values

    def end(self) -> None:
        """Nothing may follow the last column."""
        require(self._at == len(self._body), f"{len(self._body) - self._at} bytes follow the last column")
