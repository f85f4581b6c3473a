"""Which blocks surely do not have an order: a Bloom filter of the numbers in a block.

8 bits a number, 4 of them set: of the blocks without it about one in 40 is looked at in vain.
Bytes: bit i is bit i % 8 of byte i // 8. Of number x the bits are, for i from 0 to 3, ((a + i b) mod 2^32) m >> 32, where m is the number
of bits, a the upper half of x 0x9E3779B97F4A7C15 mod 2^64 and b the upper half of x 0xC2B2AE3D27D4EB4F mod 2^64, made odd.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from eventstore.columns import Words

_BITS_PER_NUMBER: Final = 8
_SET: Final = 4
_A: Final = np.uint64(0x9E3779B97F4A7C15)
_B: Final = np.uint64(0xC2B2AE3D27D4EB4F)
_HALF: Final = np.uint64(32)
_LOW: Final = np.uint64(2**32 - 1)


def build(numbers: Words) -> bytes:
    """The filter of *numbers*, repetitions counted anew; b"" of none."""
    bits = np.zeros((len(numbers) * _BITS_PER_NUMBER + 7) // 8 * 8, np.bool_)
    for places in _places(numbers, len(bits)):
        bits[places] = True
    return np.packbits(bits, bitorder="little").tobytes()


def may_have(filters: Sequence[bytes], numbers: Sequence[int]) -> NDArray[np.bool_]:
    """Of each filter whether any of *numbers* may be in it; False: surely none is."""
    wanted = np.array(numbers, np.int64)
    found = np.zeros(len(filters), np.bool_)
    for at, each in enumerate(filters):
        if each:
            bits = np.frombuffer(each, np.uint8)
            there = np.ones(len(wanted), np.bool_)
            for places in _places(wanted, 8 * len(bits)):
                there &= (bits[places >> 3] >> (places & 7) & 1).astype(np.bool_)
            found[at] = there.any()
    return found


def _places(numbers: Words, bits: int) -> list[NDArray[np.intp]]:
    """Of each of the _SET bits where it is, for every number."""
    keys = numbers.view(np.uint64)
    a, b = (keys * _A) >> _HALF, (keys * _B) >> _HALF | np.uint64(1)
    return [((((a + np.uint64(i) * b) & _LOW) * np.uint64(bits)) >> _HALF).astype(np.intp) for i in range(_SET)]
