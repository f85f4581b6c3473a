"""What all doors stand on: who is known, what is listed, a desk for each partition, and what can be read."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from adapters.alerts.alerting import Alerting
from adapters.doors.access import Access
from adapters.doors.desk import NEVER, Desk
from adapters.doors.limits import Buckets, Rate
from adapters.doors.sessions import Sessions
from adapters.reads.answer import Answer, Asked
from adapters.reads.feed import Change, Feed
from adapters.reads.reads import Reads
from adapters.registry.aggregates import Account, Asset
from adapters.registry.credentials import Credentials
from adapters.registry.registry import Registry
from commands import wellformed
from commands.codec import BadRow, events, to_row
from commands.messages import Command, Event
from projections.layouts import INSTRUMENT, Instrument
from projections.view import Rows

MAX_COMMAND_ID: Final = 2**63 - 1
ADDRESS_RATE: Final = Rate(per_s=2_000, burst=4_000)
CALLER_RATE: Final = Rate(per_s=5_000, burst=10_000)
LOGIN_RATE: Final = Rate(per_s=0.5, burst=10)


class NotListed(KeyError):
    """No such instrument, asset or account: what was asked for."""

    def __str__(self) -> str:
        return str(self.args[0])


class Listed(NamedTuple):
    """An instrument: its partition, its number there, and what its row says (projections/layouts.py)."""

    symbol: str
    partition: int
    instrument: int
    terms: Instrument


class Outcome(NamedTuple):
    """What became of a command: its block, and its events, the outcome first."""

    partition: int
    block_seq: int
    events: list[Event]


@dataclass
class House:
    """The doors of one gateway. All of it belongs to its event loop.

    desks       by partition
    durability  of what was answered, for people
    feeds       what is pushed, for those who want to be told
    alerts      None: there are none
    test_mode   whether traders may bring and take funds themselves
    """

    registry: Registry
    credentials: Credentials
    sessions: Sessions
    desks: Mapping[int, Desk]
    reads: Reads
    durability: str
    clock: Callable[[], int] = time.time_ns
    test_mode: bool = False
    feeds: Sequence[Feed] = ()
    alerts: Alerting | None = None
    by_address: Buckets = field(default_factory=lambda: Buckets(ADDRESS_RATE))
    by_caller: Buckets = field(default_factory=lambda: Buckets(CALLER_RATE))
    by_login: Buckets = field(default_factory=lambda: Buckets(LOGIN_RATE))
    access: Access = field(init=False)
    _known: dict[str, Listed] = field(init=False, default_factory=dict)  # as feeds told of it

    def __post_init__(self) -> None:
        self.access = Access(self.registry, self.credentials, self.sessions, self.clock)
        for feed in self.feeds:
            feed.watch(self._learn)
            for listed in _listed(feed.partition, feed.group("instruments", "instrument")[0] if "instruments" in feed.pushed else {}):
                self._known.setdefault(listed.symbol, listed)  # what came meanwhile is newer

    def leave(self) -> None:
        """This gateway goes away: nothing new is taken, but what takes risk away."""
        for desk in self.desks.values():
            desk.leave()

    async def settle(self, within_s: float) -> None:
        """Until everybody was answered, or that time is over."""
        await asyncio.gather(*(desk.settle(within_s) for desk in self.desks.values()))

    async def listed(self) -> dict[str, Listed]:
        """All instruments, by symbol."""
        found = {}
        for partition in self.desks:
            answer = await self.reads.group("instruments", "instrument", partition)
            for each in _listed(answer.partition, answer.rows):
                found[each.symbol] = each
        return found

    async def instrument(self, symbol: str) -> Listed:
        """What is traded as *symbol*; its state may be that of a moment ago. Raises NotListed."""
        found = self._known.get(symbol) or (await self.listed()).get(symbol)
        if found is None:
            raise NotListed(f"no instrument {symbol!r} is listed")
        return found

    def _learn(self, change: Change) -> None:
        """In a feed's thread."""
        for listed in _listed(change.block.partition, change.rows.get("instruments", {})):
            self._known[listed.symbol] = listed

    def account(self, number: int) -> Account:
        """Raises NotListed."""
        for account in self.registry.all(Account):
            if account.number == number:
                return account
        raise NotListed(f"no account {number} is registered")

    def assets(self) -> dict[int, Asset]:
        """Registered assets by number."""
        return {asset.number: asset for asset in self.registry.all(Asset)}

    async def own(self, asked: Asked, account: int, at_least: int = 0) -> Answer:
        """Rows of *account*, as of what this gateway answered it last or later: who was told of something finds it. Raises Behind."""
        return await self.reads.read(asked, at_least=max(at_least, self.desks[asked.partition].acted(account)))

    async def send(self, partition: int, command: Command, deadline_s: float = NEVER) -> Outcome:
        """Have *command* decided and recorded.

        Raises BadRow when it is malformed, then nothing was sent; Busy, Away, TooLate; what became of its batch.
        """
        row = checked_row(command)
        decided = await self.desks[partition].send(row, deadline_s)
        return Outcome(partition, decided.block_seq, events(decided.events, decided.first_event))


def checked_row(command: Command) -> bytes:
    """The row of *command*. Raises BadRow when it is malformed."""
    row = to_row(command)
    for wrong in wellformed.check(row):
        raise BadRow(f"{wrong.verb}.{wrong.field} is {wrong.value}: {wrong.rule}")
    return row


def named(command: Command) -> Command:
    """*command* with a command id: the one it has, else one by chance, by which it can be asked for."""
    return command if command.sequence else msgspec.structs.replace(command, sequence=secrets.randbelow(MAX_COMMAND_ID) + 1)


def symbol_of(terms: Instrument) -> str:
    """What the word `symbol` spells."""
    return terms.symbol.to_bytes(8, "little").rstrip(b"\0").decode("latin-1")


def _listed(partition: int, rows: Rows) -> Iterable[Listed]:
    for key, row in rows.items():
        terms = INSTRUMENT.one(row)
        yield Listed(symbol_of(terms), partition, int(key.rpartition(":")[2]), terms)
