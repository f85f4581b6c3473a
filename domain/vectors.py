"""How a vector grows: doubled, so that growth is rare and at the same place in every run."""

from __future__ import annotations

from librt.vecs import vec
from mypy_extensions import i64


def widened(vector: vec[i64], words: i64) -> vec[i64]:
    """The vector, doubled until it has at least *words* words; new words are zero."""
    size = i64(len(vector))
    if size >= words:
        return vector
    target: i64 = size if size > 0 else 64
    while target < words:
        target *= 2
    bigger = vec[i64]([0] * target)
    k: i64 = 0
    while k < size:
        bigger[k] = vector[k]
        k += 1
    return bigger
