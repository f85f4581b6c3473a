"""A dense index: one word per entry, a hash and a row; whoever asks knows from the row whether it is the key.

Client order ids are looked up by every order and there are as many as live orders, so here an entry is 8 bytes, not the 32 of
`table`: the index of a big book stays in the processor's cache. Linear probing, deletion by shifting back, every entry within
MAX_PROBE places of its home. The last word counts the entries.
"""

from __future__ import annotations

from typing import Final

from librt.vecs import vec
from mypy_extensions import i64

from domain.columns import MAX_PROBE

ROW_BITS: Final = 32
ROW_MASK: Final = 2**32 - 1
SMALLEST_INDEX: Final = 64


def make_index(places: i64) -> vec[i64]:
    """An empty index of *places* places, a power of two."""
    return vec[i64]([0] * (places + 1))


def mask_of(index: vec[i64]) -> i64:
    """Places minus one."""
    return i64(len(index)) - 2


def seek(index: vec[i64], hashed: i64, steps: i64) -> i64:
    """Place, *steps* or more after the hash's home, with an entry of this hash or none. -1: its MAX_PROBE places are taken."""
    mask = mask_of(index)
    while steps < MAX_PROBE:
        place = (hashed + steps) & mask
        entry = index[place]
        if entry == 0 or entry >> ROW_BITS == hashed:
            return place
        steps += 1
    return -1


def steps_to(index: vec[i64], hashed: i64, place: i64) -> i64:
    """How far a place is from the home of a hash."""
    return (place - hashed) & mask_of(index)


def row_at(index: vec[i64], place: i64) -> i64:
    """The row of the entry at a place, 0 when it has none."""
    return index[place] & ROW_MASK


def insert(index: vec[i64], hashed: i64, row: i64) -> None:
    """Add an entry that is not there. The caller has made room and found a place before."""
    place = seek(index, hashed, 0)
    while place >= 0 and index[place] != 0:
        place = seek(index, hashed, steps_to(index, hashed, place) + 1)
    assert place >= 0 and row > 0, "the caller found a place first"
    index[place] = (hashed << ROW_BITS) | row
    index[mask_of(index) + 1] += 1


def remove_entry(index: vec[i64], hashed: i64, row: i64) -> None:
    """Take out the entry of this hash and row; entries behind it move back so that no gap parts them from their home."""
    mask = mask_of(index)
    entry = (hashed << ROW_BITS) | row
    hole = hashed & mask
    steps: i64 = 0
    while index[hole] != entry:
        assert index[hole] != 0 and steps < MAX_PROBE, "only what is there can be taken out"
        hole = (hole + 1) & mask
        steps += 1
    place = (hole + 1) & mask
    while index[place] != 0:
        home = (index[place] >> ROW_BITS) & mask
        if ((place - home) & mask) >= ((place - hole) & mask):
            index[hole] = index[place]
            hole = place
        place = (place + 1) & mask
    index[hole] = 0
    index[mask + 1] -= 1


def index_with_room(index: vec[i64], more: i64) -> vec[i64]:
    """The index, or a bigger one with the same entries, so that it is at most half full with *more* entries."""
    while (index[mask_of(index) + 1] + more) * 2 > mask_of(index) + 1:
        index = grown_index(index)
    return index


def grown_index(index: vec[i64]) -> vec[i64]:
    """An index with the same entries and twice the places, or more when the entries crowd there too."""
    places = (mask_of(index) + 1) * 2
    while True:
        bigger = make_index(places)
        if refill_index(index, bigger):
            return bigger
        places *= 2


def refill_index(index: vec[i64], bigger: vec[i64]) -> bool:
    """Put every entry of *index* into the empty *bigger*; False when one finds no place within MAX_PROBE."""
    last = mask_of(index)
    mask = mask_of(bigger)
    place: i64 = 0
    while place <= last:
        entry = index[place]
        if entry != 0:
            target = (entry >> ROW_BITS) & mask
            steps: i64 = 1
            while bigger[target] != 0:
                if steps == MAX_PROBE:
                    return False
                target = (target + 1) & mask
                steps += 1
            bigger[target] = entry
        place += 1
    bigger[mask + 1] = index[last + 1]
    return True
