"""A hundred standbys that are no processes: a record that grows, copies that follow it, reads that take time, servers that go and return.

What the servers really have and whether they are there is known here only; the policy learns it as a ReadPool would tell it.
Time is a number.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from eventstore.reader_choice import Member, ReaderChoice

PARTITION = 1
BLOCKS_PER_S = 500.0
AGAIN_S = 0.02
TICK_S = 0.1
PATIENCE_S = 1.0
TIMEOUT_S = 5.0
DEAD_S = 0.5  # until a read at a server that is gone is given up


@dataclass
class Server:
    """lag_s: how old what it shows is; stands_since_s: its copy does not grow since then; gone: it does not answer."""

    lag_s: float
    stands_since_s: float | None = None
    gone: bool = False

    def seq(self, now_s: float) -> int:
        until_s = now_s if self.stands_since_s is None else self.stands_since_s
        return max(int((until_s - self.lag_s) * BLOCKS_PER_S), 0)


@dataclass
class Read:
    """One read on its way."""

    asked_s: float
    needs: Mapping[int, int]
    takes_s: float


@dataclass
class Told:
    """What happened: when, to whom."""

    asked: list[tuple[float, str]] = field(default_factory=list)
    older: int = 0
    failed: list[tuple[float, str]] = field(default_factory=list)
    probed: list[tuple[float, str]] = field(default_factory=list)
    waited_s: list[float] = field(default_factory=list)
    unanswered: int = 0
    most_in_use: Counter[str] = field(default_factory=Counter)
    most_in_all: int = 0

    def by_reader(self, since_s: float, until_s: float) -> Counter[str]:
        return Counter(name for at_s, name in self.asked if since_s <= at_s < until_s)


class Simulation:
    """Reads at *reads_per_s* of what is *back_blocks* and more behind the newest block. `at` plans what happens to servers."""

    def __init__(self, members: Sequence[Member], seed: int, reads_per_s: float, *, back_blocks: int = 200, takes_s: float = 0.01) -> None:
        self.random, self.told = random.Random(seed), Told()
        self.choice = ReaderChoice(members, seed)
        self.servers = {member.name: Server(0.0 if member.is_last_resort else self.random.uniform(0.01, 0.1)) for member in members}
        self.reads_per_s, self.back_blocks, self.takes_s = reads_per_s, back_blocks, takes_s
        self.now_s, self._order = 1.0, itertools.count()
        self._planned: list[tuple[float, int, Callable[[], None]]] = []
        self._in_use: Counter[str] = Counter()
        self.at(1.0, self._tick)
        self.at(1.5, self._arrival)

    def at(self, when_s: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._planned, (when_s, next(self._order), what))

    def run(self, until_s: float) -> Told:
        while self._planned[0][0] < until_s:
            self.now_s, _, what = heapq.heappop(self._planned)
            what()
        return self.told

    def _arrival(self) -> None:
        newest = int(self.now_s * BLOCKS_PER_S)
        needs = {PARTITION: max(newest - int(self.random.expovariate(1 / max(self.back_blocks, 1))) - self.back_blocks, 0)}
        self._try(Read(self.now_s, needs, self.random.expovariate(1 / self.takes_s)))
        self.at(self.now_s + self.random.expovariate(self.reads_per_s), self._arrival)

    def _try(self, read: Read) -> None:
        waited_s = self.now_s - read.asked_s
        name = self.choice.take(read.needs, self.now_s, waited_s, PATIENCE_S)
        if name is None:
            if waited_s >= TIMEOUT_S:
                self.told.unanswered += 1
            else:
                self.at(self.now_s + AGAIN_S, lambda: self._try(read))
            return
        self._count(name, 1)
        self._visit(name, read)

    def _visit(self, name: str, read: Read) -> None:
        server = self.servers[name]
        if server.gone:
            self.at(self.now_s + DEAD_S, lambda: self._lost(name, read))
            return
        seq = server.seq(self.now_s)
        self.choice.observed(name, {PARTITION: seq}, self.now_s)
        if seq < read.needs[PARTITION]:
            self._leave(name)
            self.at(self.now_s + AGAIN_S, lambda: self._try(read))
            return
        self.told.asked.append((self.now_s, name))
        self.told.waited_s.append(self.now_s - read.asked_s)
        self.at(self.now_s + read.takes_s, lambda: self._answered(name, read))

    def _answered(self, name: str, read: Read) -> None:
        self._leave(name)
        if self.servers[name].gone:  # it went while it answered
            self._fail(name)
            self._try(read)
            return
        self.told.older += self.servers[name].seq(self.now_s) < read.needs[PARTITION]

    def _lost(self, name: str, read: Read) -> None:
        self._found_gone(name)
        self._try(read)

    def _found_gone(self, name: str) -> None:
        self._leave(name)
        self._fail(name)

    def _tick(self) -> None:
        for name in self.choice.due(self.now_s):
            self._count(name, 1)
            self.told.probed.append((self.now_s, name))
            if self.servers[name].gone:
                self.at(self.now_s + DEAD_S, partial(self._found_gone, name))
            else:
                self.choice.observed(name, {PARTITION: self.servers[name].seq(self.now_s)}, self.now_s)
                self._leave(name)
        self.at(self.now_s + TICK_S, self._tick)

    def _fail(self, name: str) -> None:
        self.told.failed.append((self.now_s, name))
        self.choice.failed(name, self.now_s)

    def _leave(self, name: str) -> None:
        self._count(name, -1)
        self.choice.give_back(name)

    def _count(self, name: str, more: int) -> None:
        self._in_use[name] += more
        self.told.most_in_use[name] = max(self.told.most_in_use[name], self._in_use[name])
        self.told.most_in_all = max(self.told.most_in_all, self._in_use.total())
