"""A flat hash table: two int64 of key, one of value, in one vector; linear probing, deletion by shifting back.

Row 0 is the header (entries, mask); the others are (first key, second key, value, hash); a value is never 0, 0 marks an
empty row. No tombstones, so a table never rots: after any number of inserts and deletes it is as if only the entries that
are left had been inserted. Every entry sits within MAX_PROBE rows of its home, so every look-up is bounded.
"""

from __future__ import annotations

from typing import Final

from librt.vecs import vec
from mypy_extensions import i64

from domain.columns import MAX_PROBE

TABLE_WIDTH: Final = 4
ENTRIES_USED: Final = 0
MASK: Final = 1
FIRST_KEY: Final = 0
SECOND_KEY: Final = 1
VALUE: Final = 2
HASH: Final = 3
SMALLEST: Final = 64

# Odd 31-bit multipliers; every factor is masked to 31 bits, so no product reaches 2^62.
_FIRST: Final = 1_640_531_527
_LOW: Final = 1_367_130_551
_HIGH: Final = 2_037_412_541
_BITS: Final = 2**31 - 1
assert max(_FIRST, _LOW, _HIGH) < 2**31, "a product of two 31-bit numbers fits"


def make(rows: i64) -> vec[i64]:
    """An empty table of *rows* rows, a power of two."""
    table = vec[i64]([0] * ((rows + 1) * TABLE_WIDTH))
    table[MASK] = rows - 1
    return table


def mix(first: i64, second: i64) -> i64:
    """31 well-mixed bits of a key, the same compiled and interpreted."""
    product = (first & _BITS) * _FIRST ^ (second & _BITS) * _LOW ^ ((second >> 31) & _BITS) * _HIGH
    return ((product >> 16) ^ (product >> 33)) & _BITS


def probe(table: vec[i64], first: i64, second: i64) -> i64:
    """Row of the key; or the empty row where it belongs (its VALUE is 0); or -1: its MAX_PROBE rows are taken by others."""
    hashed = mix(first, second)
    mask = table[MASK]
    place = hashed & mask
    step: i64 = 0
    while step < MAX_PROBE:
        row = (place + 1) * TABLE_WIDTH
        if table[row + VALUE] == 0 or (table[row + FIRST_KEY] == first and table[row + SECOND_KEY] == second):
            return row
        place = (place + 1) & mask
        step += 1
    return -1


def home(table: vec[i64], first: i64, second: i64) -> i64:
    """Row at which the search for a key begins."""
    return ((mix(first, second) & table[MASK]) + 1) * TABLE_WIDTH


def get(table: vec[i64], first: i64, second: i64) -> i64:
    """The value of the key, 0 when it has none."""
    row = probe(table, first, second)
    if row < 0:
        return 0
    return table[row + VALUE]


def put(table: vec[i64], first: i64, second: i64, value: i64) -> None:
    """Set the value of a key. The caller has asked `probe` for room and called `reserve` before."""
    assert value != 0, "0 marks an empty row"
    row = probe(table, first, second)
    assert row >= 0, "the caller asked for room first"
    if table[row + VALUE] == 0:
        take_row(table, row, first, second)
    table[row + VALUE] = value


def set_bit(table: vec[i64], first: i64, second: i64, bit: i64) -> i64:
    """Set a bit in the value of a key, which is entered when it has none yet. Returns the value before. The caller has made room."""
    row = probe(table, first, second)
    assert row >= 0, "the caller asked for room first"
    bits = table[row + VALUE]
    if bits == 0:
        take_row(table, row, first, second)
    table[row + VALUE] = bits | bit
    return bits


def take_row(table: vec[i64], row: i64, first: i64, second: i64) -> None:
    """Make an empty row the one of a key; its value is the caller's to set."""
    table[ENTRIES_USED] += 1
    table[row + FIRST_KEY] = first
    table[row + SECOND_KEY] = second
    table[row + HASH] = mix(first, second)


def delete(table: vec[i64], first: i64, second: i64) -> None:
    """Take a key out that is there."""
    delete_row(table, probe(table, first, second))


def delete_row(table: vec[i64], gap: i64) -> None:
    """Take the entry at a row out; entries behind it move back so that no gap parts them from their home."""
    assert gap >= 0 and table[gap + VALUE] != 0, "only what is there can be taken out"
    table[ENTRIES_USED] -= 1
    mask = table[MASK]
    hole = gap // TABLE_WIDTH - 1
    place = (hole + 1) & mask
    row = (place + 1) * TABLE_WIDTH
    while table[row + VALUE] != 0:
        home = table[row + HASH] & mask
        if ((place - home) & mask) >= ((place - hole) & mask):
            copy_row(table, row, (hole + 1) * TABLE_WIDTH)
            hole = place
        place = (place + 1) & mask
        row = (place + 1) * TABLE_WIDTH
    row = (hole + 1) * TABLE_WIDTH
    table[row + FIRST_KEY] = 0
    table[row + SECOND_KEY] = 0
    table[row + VALUE] = 0
    table[row + HASH] = 0


def copy_row(table: vec[i64], source: i64, target: i64) -> None:
    """Copy one row over another."""
    table[target + FIRST_KEY] = table[source + FIRST_KEY]
    table[target + SECOND_KEY] = table[source + SECOND_KEY]
    table[target + VALUE] = table[source + VALUE]
    table[target + HASH] = table[source + HASH]


def with_room(table: vec[i64], more: i64) -> vec[i64]:
    """The table, or a bigger one with the same entries, so that it is at most half full with *more* entries."""
    while (table[ENTRIES_USED] + more) * 2 > table[MASK] + 1:
        table = grown(table)
    return table


def grown(table: vec[i64]) -> vec[i64]:
    """A table with the same entries and twice the rows, or more when the entries crowd there too."""
    rows = (table[MASK] + 1) * 2
    while True:
        bigger = make(rows)
        if refill(table, bigger):
            return bigger
        rows *= 2


def refill(table: vec[i64], bigger: vec[i64]) -> bool:
    """Put every entry of *table* into the empty *bigger*; False when one finds no place within MAX_PROBE."""
    end = i64(len(table))
    row: i64 = TABLE_WIDTH
    while row < end:
        if table[row + VALUE] != 0:
            place = probe(bigger, table[row + FIRST_KEY], table[row + SECOND_KEY])
            if place < 0:
                return False
            take_row(bigger, place, table[row + FIRST_KEY], table[row + SECOND_KEY])
            bigger[place + VALUE] = table[row + VALUE]
        row += TABLE_WIDTH
    return True
