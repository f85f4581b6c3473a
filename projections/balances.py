"""Available and held, of every account and asset; account 0 is the venue. One row per balance that changed in the block.

Bound: 48 to 96 bytes per wallet (projections/table.py), of which a partition has at most 2^25; 2 MB for the instruments.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from domain import events as e
from domain.verbs import ACCOUNT, AMOUNT, BUY, INSTRUMENT, SELL
from projections.columns import Columns, Ints, kinds, summed
from projections.facts import Facts
from projections.layouts import BALANCE, balance_key
from projections.table import Table
from projections.view import Rows

_VENUE: Final = 0
_ACCOUNT_BITS: Final = 24
_RELEASES: Final = kinds(e.ORDER_CANCELLED, e.ORDER_REDUCED, e.ORDER_REMOVED)


class Balances:
    """Fold of balances (see Fold)."""

    def __init__(self) -> None:
        self._facts = Facts()
        self._wallets = Table(2)  # asset << 24 | account -> available, held

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        self._facts.learn(block)
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
        return dict(zip(map(_key, wallets.tolist()), BALANCE.pack_each(balances.T), strict=True))

    def state(self) -> bytes:
        """See Fold."""
        return msgspec.msgpack.encode((self._facts.state(), *(array.astype("<i8").tobytes() for array in self._wallets.items())))

    def restore(self, state: bytes) -> None:
        """See Fold."""
        facts, wallets, balances = msgspec.msgpack.decode(state, type=tuple[bytes, bytes, bytes])
        self._facts.restore(facts)
        self._wallets = Table(2)
        self._wallets.put(np.frombuffer(wallets, "<i8").astype(np.int64), np.frombuffer(balances, "<i8").reshape(-1, 2))


def _key(wallet: int) -> str:
    return balance_key(wallet & (2**_ACCOUNT_BITS - 1), wallet >> _ACCOUNT_BITS)


class _Moves:
    """Every change of a balance that a block makes: wallet, change of available, change of held."""

    def __init__(self, block: Columns, facts: Facts) -> None:
        self._block = block
        self._facts = facts
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
            self._move(self._block.account(at), self._asset(at, self._block.side[at]), -held, held)
        at = np.flatnonzero(_RELEASES[kind])
        released = self._block.events[at, 5]
        self._move(self._block.events[at, 2], self._asset(at, self._block.side[at]), released, -released)

    def prevented(self) -> None:
        """Self-trade prevention releases the lots that both orders lost."""
        at = np.flatnonzero(self._block.kind == e.SELF_TRADE_PREVENTED)
        side, events = self._block.side[at], self._block.events[at]
        self._move(self._block.account(at), self._asset(at, side), events[:, 5], -events[:, 5])
        self._move(events[:, 2], self._asset(at, side ^ 1), events[:, 6], -events[:, 6])

    def trades(self) -> None:
        """Stock against cash; both fees to the venue."""
        at = np.flatnonzero(self._block.kind == e.TRADE_EXECUTED)
        instrument, events = self._block.instrument[at], self._block.events[at]
        base, quote = self._facts.base_asset[instrument], self._facts.quote_asset[instrument]
        stock = events[:, 4] * self._facts.base_units[instrument]
        value = events[:, 3] * events[:, 4] * self._facts.quote_units[instrument]
        taker_buys = self._block.side[at] == BUY
        taker, maker, taker_fee, maker_fee = self._block.account(at), events[:, 2], events[:, 5], events[:, 6]
        buyer, buyer_fee = np.where(taker_buys, taker, maker), np.where(taker_buys, taker_fee, maker_fee)
        seller, seller_fee = np.where(taker_buys, maker, taker), np.where(taker_buys, maker_fee, taker_fee)
        released = events[:, 7]
        self._move(buyer, quote, released - value - buyer_fee, -released)
        self._move(buyer, base, stock, 0)
        self._move(seller, base, 0, -stock)
        self._move(seller, quote, value - seller_fee, 0)
        self._move(np.full(len(at), _VENUE), quote, taker_fee + maker_fee, 0)

    def _asset(self, at: Ints, side: Ints) -> Ints:
        """What an order of *side* holds: quote for a buy, base for a sell."""
        instrument = self._block.instrument[at]
        assets: Ints = np.where(side == SELL, self._facts.base_asset[instrument], self._facts.quote_asset[instrument])
        return assets

    def _move(self, account: Ints, asset: Ints, available: Ints | int, held: Ints | int) -> None:
        changes = np.empty((len(account), 2), np.int64)
        changes[:, 0], changes[:, 1] = available, held
        self._wallets.append(asset << _ACCOUNT_BITS | account)
        self._changes.append(changes)
