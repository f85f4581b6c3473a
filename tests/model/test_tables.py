"""The two hash tables of the kernel against a dict, over as many inserts and deletes as a market sees: they do not rot.

Linear probing with deletion by shifting back keeps a promise that no other kind of deletion keeps: every entry is where it would be in a
table into which only the entries that are left were ever put. So every look-up is as long as there, however many entries came and went.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final, Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from domain import index, table
from domain.columns import MAX_PROBE, RESERVE_EVERY

ENTRIES: Final = 32_000  # of 65,536 places: as full as a table gets
PAIRS: Final = 500_000  # each a delete and an insert
PAIRS_OF_A_SOAK: Final = 50_000_000
COMPARISONS: Final = 20

Ints = NDArray[np.int64]


class Tried(Protocol):
    """One of the two tables, as this test drives it: row *k* is the entry of key *key*."""

    def insert(self, key: int, row: int) -> None: ...

    def remove(self, key: int, row: int) -> None: ...

    def find(self, key: int, row: int) -> bool: ...

    def reserve(self) -> None: ...

    def distances(self) -> Ints:
        """Of every place: how far its entry is from home; -1 where there is none."""


class TriedTable:
    """domain/table.py: accounts' wallets, pages of prices, nodes, command ids."""

    def __init__(self) -> None:
        self.rows = table.with_room(table.make(table.SMALLEST), ENTRIES)

    def insert(self, key: int, row: int) -> None:
        table.put(self.rows, key & 1023, key, row)

    def remove(self, key: int, row: int) -> None:
        table.delete(self.rows, key & 1023, key)

    def find(self, key: int, row: int) -> bool:
        return table.get(self.rows, key & 1023, key) == row

    def reserve(self) -> None:
        self.rows = table.with_room(self.rows, RESERVE_EVERY)

    def distances(self) -> Ints:
        rows = np.array(self.rows, np.int64).reshape(-1, table.TABLE_WIDTH)[1:]
        assert np.count_nonzero(rows[:, table.VALUE]) == self.rows[table.ENTRIES_USED]
        away = (np.arange(len(rows)) - rows[:, table.HASH]) & (len(rows) - 1)
        return np.where(rows[:, table.VALUE] != 0, away, -1)


class TriedIndex:
    """domain/index.py: client order ids of live orders."""

    def __init__(self) -> None:
        self.words = index.index_with_room(index.make_index(index.SMALLEST_INDEX), ENTRIES)

    def insert(self, key: int, row: int) -> None:
        index.insert(self.words, table.mix(key & 1023, key), row)

    def remove(self, key: int, row: int) -> None:
        index.remove_entry(self.words, table.mix(key & 1023, key), row)

    def find(self, key: int, row: int) -> bool:
        hashed = table.mix(key & 1023, key)
        place = index.seek(self.words, hashed, 0)
        while place >= 0 and index.row_at(self.words, place) not in {0, row}:
            place = index.seek(self.words, hashed, index.steps_to(self.words, hashed, place) + 1)
        return place >= 0 and index.row_at(self.words, place) == row

    def reserve(self) -> None:
        self.words = index.index_with_room(self.words, RESERVE_EVERY)

    def distances(self) -> Ints:
        words = np.array(self.words, np.int64)
        assert np.count_nonzero(words[:-1]) == words[-1]
        away = (np.arange(len(words) - 1) - (words[:-1] >> index.ROW_BITS)) & (len(words) - 2)
        return np.where(words[:-1] != 0, away, -1)


def churn(tried: Tried, pairs: int, *, oldest: bool) -> Iterator[dict[int, int]]:
    """Fill the table, then take an entry out and put another in, *pairs* times; now and then what must be in it, row by key."""
    random = np.random.default_rng(pairs)
    keys = [int(key) for key in random.integers(1, 2**62, ENTRIES)]
    rows = {key: row for row, key in enumerate(keys, 1)}
    for key, row in rows.items():
        tried.insert(key, row)
    count = pairs // COMPARISONS
    for done in range(0, pairs, count):
        places = (np.arange(done, done + count) % ENTRIES if oldest else random.integers(0, ENTRIES, count)).tolist()
        for step, (place, fresh) in enumerate(zip(places, random.integers(1, 2**62, count).tolist(), strict=True)):
            gone = keys[place]
            row = rows.pop(gone)
            tried.remove(gone, row)
            if step % RESERVE_EVERY == 0:
                tried.reserve()
            tried.insert(fresh, row)
            keys[place] = fresh
            rows[fresh] = row
        yield rows


def compare(tried: Tried, rows: dict[int, int]) -> tuple[float, int]:
    """The table has what the dict has, as far from home as in a table in which nothing was ever deleted; how far: mean and longest."""
    assert all(tried.find(key, row) for key, row in rows.items())
    fresh = type(tried)()
    for key, row in rows.items():
        fresh.insert(key, row)
    now = tried.distances()
    assert np.array_equal(now, fresh.distances())
    assert now.max() < MAX_PROBE
    return float(now[now >= 0].mean()), int(now.max())


@pytest.mark.parametrize("oldest", [True, False], ids=["the oldest goes", "any goes"])
@pytest.mark.parametrize("make", [TriedTable, TriedIndex])
def test_a_table_does_not_rot(make: type[Tried], oldest: bool) -> None:
    """A million inserts and deletes: every entry was replaced a dozen times."""
    tried = make()
    for rows in churn(tried, PAIRS, oldest=oldest):
        compare(tried, rows)


@pytest.mark.soak
@pytest.mark.parametrize("oldest", [True, False], ids=["the oldest goes", "any goes"])
@pytest.mark.parametrize("make", [TriedTable, TriedIndex])
def test_a_table_does_not_rot_over_a_hundred_million_inserts_and_deletes(make: type[Tried], oldest: bool) -> None:
    """Every entry was replaced more than a thousand times; compared twenty times on the way."""
    begin, tried = time.monotonic(), make()
    for chunk, rows in enumerate(churn(tried, PAIRS_OF_A_SOAK, oldest=oldest), 1):
        mean, longest = compare(tried, rows)
        print(  # noqa: T201 - the figures
            f"{make.__name__}, {2 * PAIRS_OF_A_SOAK * chunk // COMPARISONS:,} inserts and deletes, {time.monotonic() - begin:.0f} s:"
            f" {mean:.3f} places from home, at most {longest}"
        )
