"""Every change of a balance that a block makes: what balances are summed from."""

from __future__ import annotations

from typing import Final

import numpy as np

from domain import events as e
from domain.verbs import ACCOUNT, AMOUNT, BUY, INSTRUMENT, SELL
from projections.columns import Columns, Ints, summed
from projections.facts import Facts

ACCOUNT_BITS: Final = 24
_VENUE: Final = 0
_NONE: Final = np.zeros(0, np.int64)
_RELEASES: Final = (e.ORDER_CANCELLED, e.ORDER_REDUCED, e.ORDER_REMOVED)


def balance_changes(block: Columns, facts: Facts) -> tuple[Ints, Ints]:
    """The wallets (asset << ACCOUNT_BITS | account) that *block* touches, ascending, and the change of available and held, int64[n, 2]."""
    wallets, changes, _ = all_changes(block, facts)
    return summed(wallets, changes)


def all_changes(block: Columns, facts: Facts) -> tuple[Ints, Ints, Ints]:
    """As balance_changes(), each change by itself, in no order; and the event that makes it."""
    moves = _Moves(block, facts)
    moves.transfers()
    moves.orders()
    moves.prevented()
    moves.trades()
    return moves.all()


class _Moves:
    """Every change of a balance that a block makes: wallet, change of available, change of held, event."""

    def __init__(self, block: Columns, facts: Facts) -> None:
        self._block = block
        self._facts = facts
        self._wallets: list[Ints] = []
        self._changes: list[Ints] = []
        self._at: list[Ints] = []

    def all(self) -> tuple[Ints, Ints, Ints]:
        """Wallets, int64[m], changes, int64[m, 2], and events."""
        return (
            np.concatenate([_NONE, *self._wallets]),
            np.concatenate([_NONE.reshape(0, 2), *self._changes]),
            np.concatenate([_NONE, *self._at]),
        )

    def transfers(self) -> None:
        """Deposits and withdrawals: the amount stands in the command."""
        for outcome, sign in ((e.FUNDS_DEPOSITED, 1), (e.FUNDS_WITHDRAWN, -1)):
            command = self._block.command[self._block.at(outcome)]
            if not len(command):
                continue
            account, asset, amount = (self._block.asked(word)[command] for word in (ACCOUNT, INSTRUMENT, AMOUNT))
            self._move(outcome, account, asset, sign * amount, 0)

    def orders(self) -> None:
        """What an order holds when it is accepted or replaced, and what is released when it shrinks or goes."""
        block = self._block
        for kind, word in ((e.ORDER_ACCEPTED, 2), (e.ORDER_REPLACED, 5)):
            held = block.of(kind, word)
            if len(held):
                self._move(kind, block.account(block.at(kind)), self._asset(kind, block.sides(kind)), -held, held)
        for kind in _RELEASES:
            released = block.of(kind, 5)
            if len(released):
                self._move(kind, block.of(kind, 2), self._asset(kind, block.sides(kind)), released, -released)

    def prevented(self) -> None:
        """Self-trade prevention releases the lots that both orders lost."""
        block, kind = self._block, e.SELF_TRADE_PREVENTED
        if not len(block.at(kind)):
            return
        taken, made = block.of(kind, 5), block.of(kind, 6)
        self._move(kind, block.account(block.at(kind)), self._asset(kind, block.sides(kind)), taken, -taken)
        self._move(kind, block.of(kind, 2), self._asset(kind, block.sides(kind) ^ 1), made, -made)

    def trades(self) -> None:
        """Stock against cash; both fees to the venue."""
        block, kind = self._block, e.TRADE_EXECUTED
        if not len(block.at(kind)):
            return
        instrument = block.instruments(kind)
        maker, price, lots, taker_fee, maker_fee, released = (block.of(kind, word) for word in range(2, 8))
        base, quote = self._facts.base_asset[instrument], self._facts.quote_asset[instrument]
        stock, value = lots * self._facts.base_units[instrument], price * lots * self._facts.quote_units[instrument]
        taker_buys, taker = block.sides(kind) == BUY, block.account(block.at(kind))
        buyer, buyer_fee = np.where(taker_buys, taker, maker), np.where(taker_buys, taker_fee, maker_fee)
        seller, seller_fee = np.where(taker_buys, maker, taker), np.where(taker_buys, maker_fee, taker_fee)
        self._move(kind, buyer, quote, released - value - buyer_fee, -released)
        self._move(kind, buyer, base, stock, 0)
        self._move(kind, seller, base, 0, -stock)
        self._move(kind, seller, quote, value - seller_fee, 0)
        self._move(kind, np.full(len(lots), _VENUE), quote, taker_fee + maker_fee, 0)

    def _asset(self, kind: int, side: Ints) -> Ints:
        """What an order of *side* holds, of each event of *kind*: quote for a buy, base for a sell."""
        instrument = self._block.instruments(kind)
        assets: Ints = np.where(side == SELL, self._facts.base_asset[instrument], self._facts.quote_asset[instrument])
        return assets

    def _move(self, kind: int, account: Ints, asset: Ints, available: Ints | int, held: Ints | int) -> None:
        changes = np.empty((len(account), 2), np.int64)
        changes[:, 0], changes[:, 1] = available, held
        self._wallets.append(asset << ACCOUNT_BITS | account)
        self._changes.append(changes)
        self._at.append(self._block.at(kind))
