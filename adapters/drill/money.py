"""What everybody owns, by adding up deposits and trades and nothing else: what an account owns does not depend on what is held of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from domain import events as e
from domain import verbs as v

VENUE = 0


class Units(NamedTuple):
    """What an instrument trades: assets, and minor units of each in one lot (at one tick)."""

    base: int
    quote: int
    base_units: int
    quote_units: int


class Money:
    """Per asset, what each account owns, in minor units."""

    def __init__(self) -> None:
        self._units: dict[int, Units] = {}
        self.owned: defaultdict[int, Counter[int]] = defaultdict(Counter)
        self.brought: Counter[int] = Counter()

    def take(self, command: Sequence[int], event: Sequence[int]) -> None:
        """Add one event, caused by *command*; words as in docs/events.md."""
        kind = event[0] & 255
        if kind == e.INSTRUMENT_LISTED:
            low31 = 2**31 - 1
            self._units[command[5]] = Units(command[7] & 0xFFFF, command[7] >> 16 & 0xFFFF, command[14] >> 31 & low31, command[14] & low31)
        elif kind in (e.FUNDS_DEPOSITED, e.FUNDS_WITHDRAWN):
            amount = command[v.AMOUNT] if kind == e.FUNDS_DEPOSITED else -command[v.AMOUNT]
            self.owned[command[5]][command[v.ACCOUNT]] += amount
            self.brought[command[5]] += amount
        elif kind == e.TRADE_EXECUTED:
            self._trade(event, command[v.ACCOUNT])

    def differences(self, asset: int, balances: dict[int, int]) -> list[str]:
        """Where *balances* (account -> available and held) are not what was added up, somebody owes, or the sum is not what was brought."""
        owned = self.owned[asset]
        found = [
            f"money: account {account} has {balances.get(account, 0)} of asset {asset}, its events make {owned[account]}"
            for account in sorted(owned.keys() | balances.keys())
            if balances.get(account, 0) != owned[account]
        ]
        found += [f"money: account {account} owes {-amount} of asset {asset}" for account, amount in owned.items() if amount < 0]
        total = sum(balances.values())
        return found + ([f"money: {total} of asset {asset} are there, {self.brought[asset]} were brought"] * (total != self.brought[asset]))

    def _trade(self, event: Sequence[int], taker: int) -> None:
        maker, price, lots, taker_fee, maker_fee = event[2:7]
        units = self._units[event[0] >> 32 & 0xFFFFF]
        buyer, seller = (maker, taker) if event[0] >> 8 & 1 else (taker, maker)
        cash, stock = price * lots * units.quote_units, lots * units.base_units
        quote, base = self.owned[units.quote], self.owned[units.base]
        quote[buyer] -= cash
        quote[seller] += cash
        quote[taker] -= taker_fee
        quote[maker] -= maker_fee
        quote[VENUE] += taker_fee + maker_fee
        base[buyer] += stock
        base[seller] -= stock
