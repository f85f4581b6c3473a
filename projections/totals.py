"""What a partition has done since its first block, and what became of every asset. The venue's totals are the sums over its partitions.

Bound: two rows, one per asset that ever moved (at most 65,535 of 80 bytes) and about 400 bytes for it in the fold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
import numpy as np

from domain.events import FUNDS_DEPOSITED, FUNDS_WITHDRAWN, TRADE_EXECUTED
from domain.verbs import AMOUNT, INSTRUMENT
from projections.columns import Columns, Ints, summed
from projections.facts import Facts
from projections.layouts import ASSET_TOTALS, EVENT_KINDS, EVENTS_BY_KIND, TOTALS, AssetTotals, Totals, totals_key
from projections.view import Rows

_HALF = 32


class VenueTotals:
    """Fold of totals (see Fold)."""

    version: Final = 1
    takes_runs: Final = True

    def __init__(self) -> None:
        self._facts = Facts()
        self._kinds = np.zeros(EVENT_KINDS, np.int64)
        self._totals = Totals(0, 0, 0, 0, 0, 0)
        self._assets: dict[int, AssetTotals] = {}

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        self._facts.learn(block)
        self._kinds += np.bincount(block.kind, minlength=EVENT_KINDS)
        lots = block.of(TRADE_EXECUTED, 4)
        before = self._totals
        self._totals = Totals(
            block.time_ns,
            before.blocks + len(block.blocks),
            before.commands + len(block.outcomes),
            before.events + len(block.kind),
            before.trades + len(lots),
            before.volume_lots + int(lots.sum()),
        )
        changed = set[int]()
        for name, asset, amount in _amounts(block, self._facts):
            totals = self._assets.get(asset, AssetTotals(0, 0, 0, 0, 0))
            self._assets[asset] = totals._replace(**{name: getattr(totals, name) + amount})
            changed.add(asset)
        return self._rows(block.partition, changed)

    def rows(self, partition: int) -> Rows:
        """See Whole."""
        return self._rows(partition, self._assets)

    def _rows(self, partition: int, assets: Iterable[int]) -> Rows:
        rows = {
            totals_key(partition, "all"): TOTALS.pack(self._totals),
            totals_key(partition, "kinds"): EVENTS_BY_KIND.pack_words(self._kinds),
        }
        return rows | {totals_key(partition, str(asset)): ASSET_TOTALS.pack(self._assets[asset]) for asset in sorted(assets)}

    def state(self) -> bytes:
        """See Fold. Rows, since amounts may be wider than a word."""
        assets = {asset: ASSET_TOTALS.pack(totals) for asset, totals in self._assets.items()}
        return msgspec.msgpack.encode((self._facts.state(), EVENTS_BY_KIND.pack_words(self._kinds), TOTALS.pack(self._totals), assets))

    def restore(self, state: bytes) -> None:
        """See Fold."""
        facts, kinds, totals, assets = msgspec.msgpack.decode(state, type=tuple[bytes, bytes, bytes, dict[int, bytes]])
        self._facts.restore(facts)
        self._kinds = np.array(EVENTS_BY_KIND.unpack(kinds), np.int64)[:, 0]
        self._totals = TOTALS.one(totals)
        self._assets = {asset: ASSET_TOTALS.one(row) for asset, row in assets.items()}


def _amounts(block: Columns, facts: Facts) -> Iterator[tuple[str, int, int]]:
    """Which total, of which asset, grew by how much."""
    for name, kind, sign in (("deposited", FUNDS_DEPOSITED, 1), ("withdrawn", FUNDS_WITHDRAWN, -1)):
        command = block.command[block.at(kind)]
        asset, amount = block.asked(INSTRUMENT)[command], block.asked(AMOUNT)[command]
        yield from _sums("supply", asset, sign * amount)
        yield from _sums(name, asset, amount)
    instrument = block.instruments(TRADE_EXECUTED)
    price, lots, taker_fee, maker_fee = (block.of(TRADE_EXECUTED, word) for word in range(3, 7))
    quote, value = facts.quote_asset[instrument], price * lots * facts.quote_units[instrument]
    yield from _sums("traded", quote, value)
    yield from _sums("fees", quote, taker_fee + maker_fee)


def _sums(name: str, assets: Ints, amounts: Ints) -> Iterator[tuple[str, int, int]]:
    """In two halves, since a sum of 62-bit amounts does not fit one word."""
    distinct, halves = summed(assets, np.column_stack([amounts >> _HALF, amounts & (2**_HALF - 1)]))
    for asset, (high, low) in zip(distinct.tolist(), halves.tolist(), strict=True):
        yield name, asset, high * 2**_HALF + low
