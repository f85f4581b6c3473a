"""A simulated market as a feed: set up, opened, quoted, and then as many commands of its agents as were asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from adapters.agents import ACCOUNTS, BAND_HIGH_TICKS, INSTRUMENTS, START_NS, Agents, Ints
from adapters.feed import rows
from commands.messages import Command, Deposit, ListInstrument, OpenAccount, SetInstrumentState
from domain import verbs as v
from domain.columns import MAX_BATCH_COMMANDS, MAX_NOTIONAL

SIMULATE_SESSION: Final = 3
SYMBOLS: Final = ("ACME", "BOLT", "CRUX", "DUNE", "ECHO", "FLUX", "GRID", "HALO")
USD: Final = 1  # asset, in cents; the shares of instrument n are asset n + 1
FUNDED_CENTS: Final = 10**15
FUNDED_SHARES: Final = 10**12
assert len(SYMBOLS) == INSTRUMENTS, "each has a name"


class SimulatedFeed:
    """*commands* commands in all, set-up included. The same seed (of 64 bits) gives the same bytes."""

    judge: Final = None

    def __init__(self, seed: int = 1, commands: int = 1_000_000, session: int = SIMULATE_SESSION) -> None:
        self.session = session
        self._seed, self._commands, self._made = seed, commands, 0

    def batches(self) -> Iterator[bytes]:
        """Command rows."""
        for batch in self._batches():
            batch[:, v.SESSION] = self.session
            batch[:, v.SEQUENCE] = np.arange(self._made + 1, self._made + 1 + len(batch))
            self._made += len(batch)
            if len(batch):
                yield batch.astype("<i8").tobytes()

    def progress(self) -> float:
        """Share of the commands made."""
        return self._made / max(1, self._commands)

    def _batches(self) -> Iterator[Ints]:
        agents = Agents(self._seed)
        first = np.frombuffer(b"".join(rows(set_up(), self.session)), "<i8").reshape(-1, v.COMMAND_WORDS)
        yield np.concatenate((first, agents.first_quotes()))[: self._commands]
        while left := self._commands - self._made:
            yield agents.rows(min(left, MAX_BATCH_COMMANDS))


def set_up() -> Iterator[Command]:
    """List the instruments (tick 0.01 USD, lot 1 share, fees 1 and 2 basis points), open and fund the accounts, open the market."""
    for instrument, symbol in enumerate(SYMBOLS, 1):
        yield ListInstrument(
            received_ns=START_NS,
            instrument=instrument,
            symbol=symbol,
            base_asset=instrument + 1,
            quote_asset=USD,
            quote_scale=2,
            tick_size_e9=10_000_000,
            lot_size_e9=10**9,
            band_low_ticks=1,
            band_high_ticks=BAND_HIGH_TICKS,
            max_quantity_lots=1_000_000,
            max_notional=MAX_NOTIONAL,
            maker_rate=100,
            taker_rate=200,
            quote_units=1,
            base_units=1,
            day_end_ns=21 * 3_600 * 10**9,
        )
    for account in range(1, ACCOUNTS + 1):
        yield OpenAccount(received_ns=START_NS, account=account)
    for account in range(1, ACCOUNTS):
        yield Deposit(received_ns=START_NS, account=account, asset=USD, amount=FUNDED_CENTS)
        for instrument in range(1, INSTRUMENTS + 1):
            yield Deposit(received_ns=START_NS, account=account, asset=instrument + 1, amount=FUNDED_SHARES)
    for instrument in range(1, INSTRUMENTS + 1):
        yield SetInstrumentState(received_ns=START_NS, instrument=instrument, state="open")
