"""How a vector grows: doubled, so that growth is rare and at the same place in every run; and how bytes become one."""

from __future__ import annotations

from typing import Final

from librt.vecs import extend, vec
from mypy_extensions import i64

ZEROS: Final = 4_096  # words that are filled at a time: they stay in the processor's cache


def widened(vector: vec[i64], words: i64) -> vec[i64]:
    """The vector, doubled until it has at least *words* words; new words are zero."""
    size = i64(len(vector))
    if size >= words:
        return vector
    if size == 0:
        size = 64
    target = size
    while target < words:
        target *= 2
    bigger = extend(vec[i64](capacity=target), vector)
    while size > ZEROS and size & 1 == 0:
        size >>= 1
    zeros = vec[i64]([0] * size)
    while i64(len(bigger)) < target:
        bigger = extend(bigger, zeros)
    return bigger


def words_of(data: bytes, first: i64, end: i64) -> vec[i64]:
    """The int64 words of bytes *first* to *end* (or to the last, when there are fewer), whose number is a multiple of 8."""
    return extend(vec[i64](), memoryview(data)[first:end].cast("q"))
