"""What a trading partition must know of the registry, as ordinary commands of its own record.

The number of the last registry event that was forwarded stands in the partition's blocks, as the input `registry`: whoever writes the
partition next goes on there, and nothing is forwarded twice. What the partition makes of a command (it may refuse) is in its record.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

import msgspec

from adapters.registry.aggregates import Account, FeeSchedule, Listing
from adapters.registry.calendars import Hours
from adapters.registry.registry import Recorded, Registry
from commands.codec import to_row
from commands.messages import (
    ChangeAccount,
    Command,
    Deposit,
    ListInstrument,
    MassCancel,
    OpenAccount,
    SetFeeRates,
    SetInstrumentState,
    Withdraw,
)
from domain.columns import MAX_BATCH_COMMANDS

SOURCE: Final = "registry"
ONCE: Final = MAX_BATCH_COMMANDS // 2


class Takes(Protocol):
    """What is asked of a writer (commands/writer.py)."""

    @property
    def positions(self) -> Mapping[str, int]:
        """How far each source was consumed."""

    def put(self, rows: bytes, inputs: Mapping[str, int]) -> object:
        """Take a batch."""


class Forwarder:
    """Forwards what *registry* has for *partition*, and begins the sessions of calendars by *clock* (nanoseconds of UTC). For one thread.

    forwarded  the number of the last event of the registry that needs nothing more of the partition
    """

    def __init__(self, registry: Registry, partition: int, clock: Callable[[], int] = time.time_ns) -> None:
        self._registry, self._partition, self._clock = registry, partition, clock
        self._hours = Hours(registry, partition)
        self._writer: Takes | None = None
        self.forwarded = 0

    def forward(self, writer: Takes) -> None:
        """Give *writer* what was registered since, at its end if it is another one than the last time. Raises what its put raises."""
        if writer is not self._writer:
            self._writer, self.forwarded = writer, writer.positions.get(SOURCE, 0)
        rows: list[bytes] = []
        last = self.forwarded
        self._registry.follow()
        self._hours.turn(self._clock())
        for recorded in self._registry.recorded(self.forwarded):
            rows += [to_row(command) for command in commands(recorded, self._partition, self._registry)]
            last = recorded.number
            if len(rows) >= ONCE:
                writer.put(b"".join(rows), {SOURCE: last})
                rows, self.forwarded = [], last
        if rows:
            writer.put(b"".join(rows), {SOURCE: last})
        self.forwarded = last


def commands(recorded: Recorded, partition: int, registry: Registry) -> Iterator[Command]:
    """What *partition* is told of an event: the aggregate as it is by now, so that a later event of it changes nothing more."""
    number, event, aggregate = recorded
    if isinstance(aggregate, Account):
        yield from _of_account(event, aggregate, partition)
    elif isinstance(aggregate, Listing) and aggregate.partition == partition:
        yield from _of_listing(event, aggregate, registry)
    elif isinstance(aggregate, FeeSchedule) and type(event).__name__ == "FeesSet":
        for listing in registry.all(Listing):
            listed = registry.registered_at(listing) < number  # or it will be, with these rates
            if listed and listing.partition == partition and listing.fees == aggregate.name:
                yield SetFeeRates(instrument=int(listing.terms["instrument"]), **_rates(aggregate))


def _of_listing(event: Any, listing: Listing, registry: Registry) -> Iterator[Command]:
    kind, instrument = type(event).__name__, int(listing.terms["instrument"])
    schedule = registry.get(FeeSchedule, listing.fees) if listing.fees else None
    if kind == "InstrumentRegistered":
        rates = _rates(schedule) if schedule else {}  # which may have changed since its terms were made
        yield msgspec.convert(listing.terms | {"symbol": listing.symbol} | rates, ListInstrument)
    elif kind == "MassCancelAsked":
        yield MassCancel(instrument=instrument, side_scope=event.side)
    elif kind == "FeeScheduleSet" and schedule:
        yield SetFeeRates(instrument=instrument, **_rates(schedule))
    elif kind in {"InstrumentStateAsked", "SessionBegan"}:
        yield SetInstrumentState(instrument=instrument, state=event.state)


def _rates(schedule: FeeSchedule) -> dict[str, int]:
    return {"maker_rate": schedule.maker_rate, "taker_rate": schedule.taker_rate}


def _of_account(event: Any, account: Account, partition: int) -> Iterator[Command]:
    kind = type(event).__name__
    if kind == "AccountRegistered":
        yield OpenAccount(account=account.number, group=account.group)
    elif kind == "FundsMoved" and event.partition == partition:
        moves = Deposit if event.amount > 0 else Withdraw
        yield moves(account=account.number, asset=event.asset, amount=abs(event.amount))
    elif kind in {"AccountLimitsSet", "AccountStatusSet"}:
        yield ChangeAccount(
            account=account.number,
            group=account.group,
            max_open_orders=account.max_open_orders,
            max_quantity_lots=account.max_quantity_lots,
            max_notional=account.max_notional,
            status=account.status,
        )
