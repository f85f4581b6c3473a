"""Answers about the record from whichever server has them: standbys, and in the last resort the primary.

    with closing(ReadPool([Source("host=a …"), Source("host=b …", weight=2)], primary="host=p …")) as pool:
        head = pool.ask({1: 4_711}, lambda db: reads.head(db, 1))   # of a server that has block 4,711 of partition 1, or more

`reader_choice` says whom to ask; each question looks, on its own connection, how far that server is before it asks it anything.

Bounds: all servers together have `connections` connections at most, of which the primary has `primary_share`; a server has `answer_s` for
each statement and for a new connection, then it counts as failed and the question goes elsewhere; a question waits `timeout_s` for
somebody to ask, then it ends with TooFarBehind or NoReader. One that has begun by then ends when its statements do.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Final, NamedTuple, TypeVar

from eventstore.ports import Damaged, NoReader, StoreFailed, TooFarBehind
from eventstore.postgres_server import Connection
from eventstore.reader_choice import Member, Needs, ReaderChoice, Standing, shares
from eventstore.reader_server import ReaderServer, place_of

TICK_S: Final = 0.1
AGAIN_S: Final = 0.01
CAUSE_CHARACTERS: Final = 200
NAME: Final = "readers"
_LOG: Final = logging.getLogger(__name__)

T = TypeVar("T")


class Source(NamedTuple):
    """A server to read from."""

    conninfo: str
    weight: int = 1


@dataclass(slots=True)
class Counts:
    """Since the pool was made.

    reads         questions answered
    by_primary    of those, by the primary
    waits         questions for which nobody could be asked at once
    waited_s      how long those waited in all
    behind        times a server that was asked did not have it yet
    failures      times a server failed
    unanswered    questions that ended with TooFarBehind or NoReader
    """

    reads: int = 0
    by_primary: int = 0
    waits: int = 0
    waited_s: float = 0.0
    behind: int = 0
    failures: int = 0
    unanswered: int = 0


class _NotThere(Exception):
    """The server that was asked failed, or does not have it yet."""


class ReadPool:
    """Answers of whichever server has them. May be used from many threads.

    sources        servers that have copies of the record, each named once
    primary        connection string of the primary; "": it is never asked
    connections    to all of them together, at most: divided among *sources* by weight, at least one for each
    primary_share  of those, connections to the primary at most; 0: it is never asked
    cluster        id of the market that they must hold; "": whichever
    answer_s       how long a server may take for a statement, or to let us in
    patience_s     how long a question waits for a standby before the primary is asked
    timeout_s      how long it waits before it ends unanswered
    seed           processes that name different ones do not probe at the same moments; None: of this process
    Raises         StoreFailed when connections are too few, a server is named twice, or a connection string is none
    """

    def __init__(
        self,
        sources: Sequence[Source],
        primary: str = "",
        *,
        connections: int = 32,
        primary_share: int = 2,
        cluster: str = "",
        answer_s: float = 2.0,
        patience_s: float = 1.0,
        timeout_s: float = 5.0,
        seed: int | None = None,
    ) -> None:
        self._patience_s, self._timeout_s = patience_s, timeout_s
        members = _members(sources, connections, primary_share if primary else 0)
        conninfos = [source.conninfo for source in sources] + [primary]
        self.counts = Counts()
        self._choice = ReaderChoice(members, os.getpid() if seed is None else seed)
        self._changed = threading.Condition()
        self._trouble: dict[str, str] = {}
        self._servers = {
            member.name: ReaderServer(conninfo, member.share, is_primary=member.is_last_resort, answer_s=answer_s, cluster=cluster)
            for member, conninfo in zip(members, conninfos, strict=False)
        }
        self._stop = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name=NAME, daemon=True)
        self._keeper.start()

    def ask(self, needs: Needs, work: Callable[[Connection], T]) -> T:
        """What *work* finds at a server that has what *needs* names. It may be done more than once, for a server may fail meanwhile.

        Raises TooFarBehind, NoReader; and what *work* raises but StoreFailed, after which another server is asked
        """
        asked_s = time.monotonic()
        while True:
            name = self._taken(needs, asked_s)
            try:
                found = self._at(name, needs, work)
            except _NotThere:
                continue
            with self._changed:
                self.counts.reads += 1
                self.counts.by_primary += self._servers[name].is_primary
            return found

    def newest(self, partition: int) -> int:
        """The highest block of *partition* that any server has, once all have answered or failed. Raises NoReader."""
        if not any(each.circuit in {"closed", "ramping"} for each in self.heard()):
            raise self._nobody({})
        with self._changed:
            return self._choice.newest(partition)

    def heard(self) -> list[Standing]:
        """How each server is, once all have answered or failed, or `timeout_s` is over."""
        end_s = time.monotonic() + self._timeout_s
        with self._changed:
            while any(each.circuit == "unknown" for each in self.standings()) and time.monotonic() < end_s:
                self._changed.wait(AGAIN_S)
            return self.standings()

    def standings(self) -> list[Standing]:
        """How each server is: standbys in their order, then the primary."""
        with self._changed:
            return self._choice.standings(time.monotonic())

    @property
    def trouble(self) -> Mapping[str, str]:
        """What is wrong with each server that is not asked now, by name."""
        with self._changed:
            return dict(self._trouble)

    def close(self) -> None:
        """Give all connections back. Asking is over."""
        self._stop.set()
        self._keeper.join()
        for server in self._servers.values():
            server.close()

    def _taken(self, needs: Needs, asked_s: float) -> str:
        """Whom to ask, once somebody can be. Raises TooFarBehind, NoReader."""
        began_s = time.monotonic()
        with self._changed:
            while not self._stop.is_set():
                now_s = time.monotonic()
                name = self._choice.take(needs, now_s, now_s - asked_s, self._patience_s)
                if name is not None:
                    self.counts.waits += now_s > began_s + AGAIN_S
                    self.counts.waited_s += now_s - began_s
                    return name
                if now_s - asked_s >= self._timeout_s:
                    break
                self._changed.wait(AGAIN_S)
            self.counts.unanswered += 1
            raise self._nobody(needs)

    def _at(self, name: str, needs: Needs, work: Callable[[Connection], T]) -> T:
        """What *work* finds at the server that was taken. Raises _NotThere."""
        try:
            with self._servers[name].connection() as (db, positions):
                if not self._has(name, positions, needs):
                    raise _NotThere
                return work(db)
        except StoreFailed as failed:
            self._note(name, failed.cause)
            raise _NotThere from failed
        finally:
            with self._changed:
                self._choice.give_back(name)
                self._changed.notify_all()

    def _has(self, name: str, positions: Mapping[int, int], needs: Needs) -> bool:
        """Whether a server that has *positions* has what is needed. That it answered is remembered."""
        with self._changed:
            self._choice.observed(name, positions, time.monotonic())
            if self._trouble.pop(name, ""):
                _LOG.warning("reader %s is back", name)
            has = all(positions.get(partition, 0) >= seq for partition, seq in needs.items())
            self.counts.behind += not has
        return has

    def _note(self, name: str, cause: str) -> None:
        cause = shorten(cause, CAUSE_CHARACTERS)
        with self._changed:
            if self._stop.is_set():
                return
            self.counts.failures += 1
            self._choice.failed(name, time.monotonic())
            if name not in self._trouble:
                _LOG.warning("reader %s is not asked for a while: %s", name, cause)
            self._trouble[name] = cause

    def _keep(self) -> None:
        """Ask those of whom nothing was heard how far they are."""
        while not self._stop.is_set():
            with self._changed:
                due = self._choice.due(time.monotonic())
            for name in due:
                threading.Thread(target=self._probe, args=(name,), name=f"probe of {name}", daemon=True).start()
            self._stop.wait(TICK_S)

    def _probe(self, name: str) -> None:
        try:
            self._at(name, {}, lambda _db: None)
        except _NotThere:
            pass  # noted
        except Damaged as damaged:
            self._note(name, str(damaged))

    def _nobody(self, needs: Needs) -> StoreFailed:
        """Why nobody answers, by name."""
        said, answered = [], False
        for each in self._choice.standings(time.monotonic()):
            has = ", ".join(f"block {each.positions.get(partition, 0)} of partition {partition}" for partition in needs)
            if each.circuit == "open":
                said.append(f"{each.name} does not answer ({self._trouble.get(each.name, '')})")
            elif each.circuit == "unknown":
                said.append(f"{each.name} has not answered yet")
            elif each.in_use >= each.share:
                said.append(f"all {each.share} connections to {each.name} are in use")
            else:
                answered = True
                said.append(f"{each.name} has {has}")
        asked = ", ".join(f"block {seq} of partition {partition}" for partition, seq in needs.items()) or "a reader"
        kind = TooFarBehind if answered else NoReader
        return kind(NAME, f"{asked} is asked for, and in {self._timeout_s:g} s there was none: {'; '.join(said)}")


def _members(sources: Sequence[Source], connections: int, primary_share: int) -> list[Member]:
    """Who may be asked, and its share of *connections*. Raises StoreFailed."""
    if connections - primary_share < len(sources):
        raise StoreFailed(
            NAME,
            f"{connections} connections, {primary_share} of them to the primary, are too few for {len(sources)} servers; "
            f"right would be {len(sources) + primary_share} or more",
        )
    names = [place_of(source.conninfo) for source in sources]
    for twice in sorted({name for name in names if names.count(name) > 1}):
        raise StoreFailed(NAME, f"{twice} is named twice; right would be each server once, with a weight")
    each = shares([source.weight for source in sources], connections - primary_share)
    members = [Member(name, source.weight, share) for name, source, share in zip(names, sources, each, strict=True)]
    return members + ([Member("primary", 1, primary_share, is_last_resort=True)] if primary_share else [])
