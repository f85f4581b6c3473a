"""Vectors grow at the same places in every run, keep what they hold, and do not move once they are big."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from librt.vecs import vec
from mypy_extensions import i64

from domain.vectors import STEP, widened


def words(vector: vec[i64]) -> np.typing.NDArray[np.int64]:
    return np.frombuffer(memoryview(vector), np.int64)


@given(st.integers(1, 300), st.lists(st.integers(1, 5 * STEP), min_size=1, max_size=6))
@settings(max_examples=30)
def test_a_vector_keeps_its_words_and_new_ones_are_zero(size: int, asked: list[int]) -> None:
    """It has at least as many as were asked for; doubled while it is small, and less than STEP too many when it is big."""
    vector = vec[i64](list(range(1, size + 1)))
    for least in asked:
        before = len(vector)
        vector = widened(vector, least)
        assert max(before, least) <= len(vector) <= max(before, 2 * least, least + STEP)
        found = words(vector)
        assert (found[:size] == np.arange(1, size + 1)).all()
        assert not found[size:].any()


def test_a_vector_is_as_long_whichever_way_it_grew() -> None:
    """Else two states that are equal would differ in a hash."""
    at_once, bit_by_bit = vec[i64]([0] * 192), vec[i64]([0] * 192)
    for least in range(1_000, 4 * STEP, 1_000):
        bit_by_bit = widened(bit_by_bit, least)
    assert len(widened(at_once, least)) == len(bit_by_bit)


def test_a_big_vector_does_not_move() -> None:
    vector = widened(vec[i64]([7] * 8), STEP)
    place = words(vector).ctypes.data
    vector = widened(vector, 20 * STEP)
    assert words(vector).ctypes.data == place
    assert words(vector)[:8].tolist() == [7] * 8
