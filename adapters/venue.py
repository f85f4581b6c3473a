"""What the replay of another venue's day takes for granted, whatever the file: numbers, accounts, funds, ticks, time.

Of an instrument all orders that rest belong to one account and all that take to another; both have more funds than a day can move. One tick
is 10^-4 dollar, the unit of the sources, so no price is rounded. There are no fees. An asset has the number of its instrument.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from adapters.feed import BadFeed
from commands.messages import Command, Deposit, InstrumentState, ListInstrument, OpenAccount, SetInstrumentState
from domain.columns import MAX_BALANCE, MAX_NOTIONAL, MAX_PRICE_TICKS, MAX_QUANTITY_LOTS

DOLLARS: Final = 65_535  # asset; instruments of a replay are numbered below it
MAX_VENUE_INSTRUMENT: Final = DOLLARS - 1
TAKERS: Final = 65_536  # accounts from here on take, those below make
FUNDED_DOLLARS: Final = 2**45  # in 10^-4 dollar: 3.5 thousand million dollars an account
FUNDED_SHARES: Final = 2**40
assert FUNDED_DOLLARS * 2 * 16_384 <= MAX_BALANCE, "the supply of dollars has room for 16,384 instruments"

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")


def maker(instrument: int) -> int:
    """Account of the orders that rest in *instrument*."""
    return instrument


def taker(instrument: int) -> int:
    """Account of the orders that take in *instrument*."""
    return TAKERS + instrument


def midnight_ns(name: str) -> int:
    """Midnight in New York, ns of UTC, of the day (YYYY-MM-DD) in a file's *name*; 0: it names none. Raises BadFeed: no such day was."""
    found = _DAY.search(name)
    if found is None:
        return 0
    try:
        day = date.fromisoformat(found[0])
    except ValueError as wrong:
        raise BadFeed(f"{name}: {found[0]} in its name is no day ({wrong}); right would be a date as in 2020-01-30, or none") from None
    return int(datetime.combine(day, time(), ZoneInfo("America/New_York")).timestamp()) * 10**9


def set_up(instrument: int, symbol: str, received_ns: int) -> Iterator[Command]:
    """List *instrument* and open it, and both its accounts with their funds."""
    yield ListInstrument(
        received_ns=received_ns,
        instrument=instrument,
        symbol=symbol,
        base_asset=instrument,
        quote_asset=DOLLARS,
        quote_scale=4,
        tick_size_e9=100_000,
        lot_size_e9=10**9,
        band_low_ticks=1,
        band_high_ticks=MAX_PRICE_TICKS,
        max_quantity_lots=MAX_QUANTITY_LOTS,
        max_notional=MAX_NOTIONAL,
        quote_units=1,
        base_units=1,
    )
    for account in (maker(instrument), taker(instrument)):
        yield OpenAccount(received_ns=received_ns, account=account)
        yield Deposit(received_ns=received_ns, account=account, asset=DOLLARS, amount=FUNDED_DOLLARS)
        yield Deposit(received_ns=received_ns, account=account, asset=instrument, amount=FUNDED_SHARES)
    yield SetInstrumentState(received_ns=received_ns, instrument=instrument, state="open")


def change_state(instrument: int, old: InstrumentState, new: InstrumentState, received_ns: int) -> Iterator[Command]:
    """From *old* to *new*; an open instrument reaches pre-open by way of a halt, as our rules have it."""
    steps: list[InstrumentState] = [new] if new != old else []
    if (old, new) == ("open", "pre_open"):
        steps = ["halted", "pre_open"]
    for state in steps:
        yield SetInstrumentState(received_ns=received_ns, instrument=instrument, state=state)
