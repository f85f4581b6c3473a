"""How a vector grows: rarely, at the same places in every run, and without being copied once it is big; and how bytes become one."""

from __future__ import annotations

from typing import Final

from librt.vecs import extend, vec
from mypy_extensions import i64

ZEROS: Final = 4_096  # words that are filled at a time: they stay in the processor's cache
STEP: Final = 131_072  # words, 1 MiB: a smaller vector doubles, a bigger one grows by so much
# Words, 1 GiB: more than the bounds of any vector (domain/columns.py) let it need. A big vector has addresses for all of them from the
# beginning, which cost nothing until they are written; so it never moves to where there is room, which for a million orders takes 0.2 s.
ADDRESSES: Final = 2**27


def widened(vector: vec[i64], words: i64) -> vec[i64]:
    """The vector, grown until it has at least *words* words; new words are zero."""
    size = i64(len(vector))
    if size >= words:
        return vector
    target = size
    if size == 0:
        target = 64
    while target < words:
        if target < STEP:
            target *= 2
        else:
            target += STEP
    if size < STEP:
        vector = placed(memoryview(vector), target)
    zeros = vec[i64]([0] * ZEROS)
    while size + ZEROS <= target:
        vector = extend(vector, zeros)
        size += ZEROS
    return extend(vector, vec[i64]([0] * (target - size)))


def placed(words: memoryview, most: i64) -> vec[i64]:
    """A vector of these int64 *words* that may grow to *most* without moving, and without bound when it is big."""
    if most >= STEP:
        most = ADDRESSES
    return vec[i64](words, capacity=most)


def words_of(data: bytes | memoryview, first: i64, end: i64) -> vec[i64]:
    """The int64 words of bytes *first* to *end* (or to the last, when there are fewer), whose number is a multiple of 8."""
    return extend(vec[i64](), memoryview(data)[first:end].cast("q"))
