"""The newest lines of each account's statement: what came, went and was paid. What an order holds moves nothing here (see balances).

A trade is a line of cash and one of stock for either side, and one for the venue (account 0) when there were fees.
Bound: 24 to 48 bytes per wallet (projections/table.py); KEPT_PER_ACCOUNT lines of an account and KEPT_IN_ALL together
(projections/rings.py, 100 MB); older rows give way, the record keeps them.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from domain.events import FUNDS_DEPOSITED, FUNDS_WITHDRAWN, TRADE_EXECUTED
from domain.verbs import ACCOUNT, AMOUNT, BUY, INSTRUMENT
from projections.columns import Columns, Ints, stable_order, starts
from projections.facts import Facts
from projections.layouts import LINE, keys, line_key
from projections.rings import Rings
from projections.table import Table
from projections.view import Rows

_ACCOUNT_BITS: Final = 24
_LINES_OF_TRADE: Final = 5


class Statements:
    """Fold of statements (see Fold)."""

    version: Final = 1
    takes_runs: Final = True

    def __init__(self, rings: Rings | None = None) -> None:
        self._time_ns = 0
        self._facts = Facts()
        self._rings = rings or Rings()
        self._wallets = Table(1)  # asset << 24 | account -> total

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        self._facts.learn(block)
        at, accounts, assets, amounts, fees = _lines(block, self._facts)
        totals = self._totals(assets << _ACCOUNT_BITS | accounts, amounts - fees)
        kept = self._rings.add(accounts)
        of = kept.entries
        times_ns = block.times_ns(self._time_ns)[block.command[at[of]]]
        self._time_ns = block.time_ns
        rows = LINE.pack_each([block.number(at[of]), times_ns, block.kind[at[of]], assets[of], amounts[of], fees[of], totals[of]])
        gone = {line_key(*place): b"" for place in kept.gone}
        return gone | dict(zip(keys("statement", accounts[of], kept.places), rows, strict=True))

    def _totals(self, wallets: Ints, changes: Ints) -> Ints:
        """What is in each of *wallets* after its change; they come again, in order."""
        order = stable_order(wallets)
        ranked, running = wallets[order], np.cumsum(changes[order])
        first = starts(ranked)
        if not len(first):
            return changes
        places = self._wallets.places(ranked[first])
        begun = self._wallets.values[places, 0] - running[first] + changes[order][first]
        lengths = np.diff(np.append(first, len(ranked)))
        running += np.repeat(begun, lengths)
        self._wallets.values[places, 0] = running[first + lengths - 1]
        totals = np.empty_like(running)
        totals[order] = running
        assert (totals >= 0).all(), "no balance is negative"
        return totals

    def state(self) -> bytes:
        """See Fold."""
        wallets = [array.astype("<i8").tobytes() for array in self._wallets.items()]
        return msgspec.msgpack.encode((self._time_ns, self._facts.state(), self._rings.state(), wallets))

    def restore(self, state: bytes) -> None:
        """See Fold."""
        shape = tuple[int, bytes, bytes, tuple[bytes, bytes]]
        self._time_ns, facts, rings, (wallets, totals) = msgspec.msgpack.decode(state, type=shape)
        self._facts.restore(facts)
        self._rings.restore(rings)
        self._wallets = Table(1)
        self._wallets.put(np.frombuffer(wallets, "<i8").astype(np.int64), np.frombuffer(totals, "<i8").reshape(-1, 1))


def _lines(block: Columns, facts: Facts) -> tuple[Ints, ...]:
    """Event, account, asset, amount and fee of every line, in the order of the events; of a trade in that of _of_trades."""
    moved = np.concatenate([block.at(FUNDS_DEPOSITED), block.at(FUNDS_WITHDRAWN)])
    account, asset, amount = (block.asked(word)[block.command[moved]] for word in (ACCOUNT, INSTRUMENT, AMOUNT))
    amounts = np.where(block.kind[moved] == FUNDS_DEPOSITED, amount, -amount)
    transfers = np.vstack([moved, account, asset, amounts, np.zeros_like(amounts)])
    lines = np.hstack([transfers, _of_trades(block, facts)])
    return tuple(lines[:, stable_order(lines[0])] if len(moved) else lines)


def _of_trades(block: Columns, facts: Facts) -> Ints:
    """int64[5, n]: the buyer's cash and stock, the seller's stock and cash, the venue's fees, trade by trade."""
    at, instrument = block.at(TRADE_EXECUTED), block.instruments(TRADE_EXECUTED)
    maker, price, lots, taker_fee, maker_fee = (block.of(TRADE_EXECUTED, word) for word in range(2, 7))
    base, quote = facts.base_asset[instrument], facts.quote_asset[instrument]
    stock, value = lots * facts.base_units[instrument], price * lots * facts.quote_units[instrument]
    taker_buys, taker = block.sides(TRADE_EXECUTED) == BUY, block.account(at)
    buyer, buyer_fee = np.where(taker_buys, taker, maker), np.where(taker_buys, taker_fee, maker_fee)
    seller, seller_fee = np.where(taker_buys, maker, taker), np.where(taker_buys, maker_fee, taker_fee)
    none = np.zeros_like(at)
    columns = (
        (at, at, at, at, at),
        (buyer, buyer, seller, seller, none),
        (quote, base, base, quote, quote),
        (-value, stock, -stock, value, taker_fee + maker_fee),
        (buyer_fee, none, none, seller_fee, none),
    )
    lines = np.array([np.column_stack(column).ravel() for column in columns]).reshape(_LINES_OF_TRADE, -1)
    with_venue: Ints = lines[:, lines[3] != 0]
    return with_venue
