"""Available and held, of every account and asset; account 0 is the venue. One row per balance that changed in the block.

Bound: 48 to 96 bytes per wallet (projections/table.py), of which a partition has at most 2^25; 2 MB for the instruments.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from domain import events as e
from domain.verbs import ACCOUNT, AMOUNT, BUY, INSTRUMENT, LIST_INSTRUMENT, SELL, VERB_BY_CODE
from projections.columns import Columns, Ints, field, summed
from projections.packed import balance_key
from projections.table import Table
from projections.view import Rows

_VENUE: Final = 0
_ACCOUNT_BITS: Final = 24
_FACTS: Final = ("base_asset", "quote_asset", "base_units", "quote_units")
_RELEASES: Final = (e.ORDER_CANCELLED, e.ORDER_REDUCED, e.ORDER_REMOVED)


class Balances:
    """Fold of balances (see Fold)."""

    def __init__(self) -> None:
        self._facts = np.zeros((len(_FACTS), 2**16), np.int64)  # by instrument
        self._wallets = Table(2)  # asset << 24 | account -> available, held

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        for facts, name in zip(self._facts, _FACTS, strict=True):
            facts[block.listed[:, INSTRUMENT]] = field(block.listed, VERB_BY_CODE[LIST_INSTRUMENT], name)
        moves = _Moves(block, self._facts)
        moves.transfers()
        moves.orders()
        moves.prevented()
        moves.trades()
        wallets, changes = summed(*moves.all())
        changed = changes.any(axis=1)
        return self._add(wallets[changed], changes[changed])

    def _add(self, wallets: Ints, changes: Ints) -> Rows:
        places = self._wallets.places(wallets)
        balances = self._wallets.values[places] + changes
        assert (balances >= 0).all(), "no balance is negative"
        self._wallets.values[places] = balances
        packed = balances.astype("<i8").tobytes()
        return {_key(wallet): packed[at * 16 : at * 16 + 16] for at, wallet in enumerate(wallets.tolist())}

    def state(self) -> bytes:
        """See Fold."""
        return msgspec.msgpack.encode([array.astype("<i8").tobytes() for array in (self._facts, *self._wallets.items())])

    def restore(self, state: bytes) -> None:
        """See Fold."""
        facts, wallets, balances = (
            np.frombuffer(array, "<i8").astype(np.int64) for array in msgspec.msgpack.decode(state, type=list[bytes])
        )
        self._facts, self._wallets = facts.reshape(len(_FACTS), -1), Table(2)
        self._wallets.put(wallets, balances.reshape(-1, 2))


def _key(wallet: int) -> str:
    return balance_key(wallet & (2**_ACCOUNT_BITS - 1), wallet >> _ACCOUNT_BITS)


class _Moves:
    """Every change of a balance that a block makes: wallet, change of available, change of held."""

    def __init__(self, block: Columns, facts: Ints) -> None:
        self._block = block
        self._base_asset, self._quote_asset, self._base_units, self._quote_units = facts
        self._wallets: list[Ints] = []
        self._changes: list[Ints] = []

    def all(self) -> tuple[Ints, Ints]:
        """Wallets, int64[m], and changes, int64[m, 2]."""
        return np.concatenate(self._wallets), np.concatenate(self._changes)

    def transfers(self) -> None:
        """Deposits and withdrawals: the amount stands in the command."""
        kind = self._block.kind[self._block.outcomes]
        for outcome, sign in ((e.FUNDS_DEPOSITED, 1), (e.FUNDS_WITHDRAWN, -1)):
            rows = self._block.commands[kind == outcome]
            self._move(rows[:, ACCOUNT], rows[:, INSTRUMENT], sign * rows[:, AMOUNT], 0)

    def orders(self) -> None:
        """What an order holds when it is accepted or replaced, and what is released when it shrinks or goes."""
        kind = self._block.kind
        for code, word in ((e.ORDER_ACCEPTED, 2), (e.ORDER_REPLACED, 5)):
            at = np.flatnonzero(kind == code)
            held = self._block.events[at, word]
            self._move(self._owner(at), self._asset(at, self._block.side[at]), -held, held)
        at = np.flatnonzero(np.isin(kind, _RELEASES))
        released = self._block.events[at, 5]
        self._move(self._block.events[at, 2], self._asset(at, self._block.side[at]), released, -released)

    def prevented(self) -> None:
        """Self-trade prevention releases the lots that both orders lost."""
        at = np.flatnonzero(self._block.kind == e.SELF_TRADE_PREVENTED)
        side, events = self._block.side[at], self._block.events[at]
        self._move(self._owner(at), self._asset(at, side), events[:, 5], -events[:, 5])
        self._move(events[:, 2], self._asset(at, side ^ 1), events[:, 6], -events[:, 6])

    def trades(self) -> None:
        """Stock against cash; both fees to the venue."""
        at = np.flatnonzero(self._block.kind == e.TRADE_EXECUTED)
        instrument, events = self._block.instrument[at], self._block.events[at]
        base, quote = self._base_asset[instrument], self._quote_asset[instrument]
        stock = events[:, 4] * self._base_units[instrument]
        value = events[:, 3] * events[:, 4] * self._quote_units[instrument]
        taker_buys = self._block.side[at] == BUY
        taker, maker, taker_fee, maker_fee = self._owner(at), events[:, 2], events[:, 5], events[:, 6]
        buyer, buyer_fee = np.where(taker_buys, taker, maker), np.where(taker_buys, taker_fee, maker_fee)
        seller, seller_fee = np.where(taker_buys, maker, taker), np.where(taker_buys, maker_fee, taker_fee)
        released = events[:, 7]
        self._move(buyer, quote, released - value - buyer_fee, -released)
        self._move(buyer, base, stock, 0)
        self._move(seller, base, 0, -stock)
        self._move(seller, quote, value - seller_fee, 0)
        self._move(np.full(len(at), _VENUE), quote, taker_fee + maker_fee, 0)

    def _owner(self, at: Ints) -> Ints:
        """Account of the commands that caused the events *at*."""
        owners: Ints = self._block.commands[self._block.command[at], ACCOUNT]
        return owners

    def _asset(self, at: Ints, side: Ints) -> Ints:
        """What an order of *side* holds: quote for a buy, base for a sell."""
        instrument = self._block.instrument[at]
        assets: Ints = np.where(side == SELL, self._base_asset[instrument], self._quote_asset[instrument])
        return assets

    def _move(self, account: Ints, asset: Ints, available: Ints | int, held: Ints | int) -> None:
        changes = np.empty((len(account), 2), np.int64)
        changes[:, 0], changes[:, 1] = available, held
        self._wallets.append(asset << _ACCOUNT_BITS | account)
        self._changes.append(changes)
