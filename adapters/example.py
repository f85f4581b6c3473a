"""A market to begin with: what an empty store gets when somebody trades in it before anything was listed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from adapters.names import Asset, Names
from commands.messages import Command, Deposit, ListInstrument, OpenAccount, SetInstrumentState
from domain.columns import MAX_NOTIONAL

USD: Final = 1
SHARES: Final = 2
ACME: Final = 1
NAMES: Final = Names(accounts={"alice": 1, "bob": 2}, assets={"USD": Asset(USD, 2), "ACME": Asset(SHARES, 0)})
SAYS: Final = "empty store: opened the example market (ACME in USD; alice and bob have 1,000,000.00 USD and 10,000 ACME each)"
LISTING: Final = ListInstrument(
    instrument=ACME,
    symbol="ACME",
    base_asset=SHARES,
    quote_asset=USD,
    quote_scale=2,
    tick_size_e9=10_000_000,
    lot_size_e9=10**9,
    band_low_ticks=1,
    band_high_ticks=1_000_000,
    max_quantity_lots=1_000_000,
    max_notional=MAX_NOTIONAL,
    maker_rate=100,
    taker_rate=200,
    quote_units=1,
    base_units=1,
)


def commands() -> Iterator[Command]:
    """List ACME (tick 0.01 USD, lot 1 share, fees 1 and 2 basis points), open and fund alice and bob, open the market."""
    yield LISTING
    for account in NAMES.accounts.values():
        yield OpenAccount(account=account)
        yield Deposit(account=account, asset=USD, amount=100_000_000)
        yield Deposit(account=account, asset=SHARES, amount=10_000)
    yield SetInstrumentState(instrument=ACME, state="open")
