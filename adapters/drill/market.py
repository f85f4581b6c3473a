"""The market of a drill: what is listed, who trades, and a seeded stream of commands that cross, rest and cancel."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from random import Random
from typing import Final

import msgspec

from adapters import example
from commands.codec import to_row
from commands.messages import CancelOrder, Command, Deposit, NewOrder, OpenAccount, SetInstrumentState
from commands.outcomes import Name

TRADERS: Final = 12
BY_COMMAND_ID: Final = frozenset({4, 8, 12})  # traders who have no session and name their commands by id
MIDDLE_TICKS: Final = 1_000
NEAR_TICKS: Final = 4
CANCELS: Final = 0.15
CASH: Final = 10**11
SHARES: Final = 10**7
_NAME: Final = struct.Struct("<3q")
_NAME_AT: Final = 16  # session, sequence, account of a command row (docs/protocol.md)


def name_of(row: bytes) -> Name:
    """What the command of *row* is called; sequence 0: nothing."""
    session, sequence, account = _NAME.unpack_from(row, _NAME_AT)
    return Name(session, 0 if session else account, sequence)


def opening() -> list[bytes]:
    """Rows that list the instrument, open and fund the accounts and open the market, named by ids of the venue's or the account's own."""
    commands: list[Command] = [msgspec.structs.replace(example.LISTING, sequence=1)]
    for trader in range(1, TRADERS + 1):
        commands += [
            OpenAccount(account=trader, sequence=2**40),
            Deposit(account=trader, asset=example.USD, amount=CASH, sequence=2**40 + 1),
            Deposit(account=trader, asset=example.SHARES, amount=SHARES, sequence=2**40 + 2),
        ]
    commands.append(SetInstrumentState(instrument=example.ACME, state="open", sequence=2))
    return [to_row(command) for command in commands]


class Trader:
    """Account *number*, and what it sends: rows that are named by its session, or by command ids."""

    def __init__(self, number: int, dice: Random) -> None:
        self.number = number
        self._dice = dice
        self._session = 0 if number in BY_COMMAND_ID else number
        self._sequence = 0
        self._orders: list[int] = []

    def rows(self, count: int) -> Iterator[bytes]:
        """The next *count* commands."""
        for _ in range(count):
            self._sequence += 1
            yield to_row(self._cancel() if self._orders and self._dice.random() < CANCELS else self._order())

    def _order(self) -> NewOrder:
        self._orders = [*self._orders[-50:], self._sequence]
        return NewOrder(
            session=self._session,
            sequence=self._sequence,
            account=self.number,
            instrument=example.ACME,
            side=self._dice.choice(("buy", "sell")),
            price_ticks=MIDDLE_TICKS + self._dice.randint(-NEAR_TICKS, NEAR_TICKS),
            quantity_lots=self._dice.randint(1, 5),
            client_order_id=self._sequence,
        )

    def _cancel(self) -> CancelOrder:
        order = self._orders.pop(self._dice.randrange(len(self._orders)))
        return CancelOrder(session=self._session, sequence=self._sequence, account=self.number, client_order_id=order)
