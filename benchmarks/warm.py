"""The first minute of a process that reads views: started cold, and warmed by what was asked the day before.

Questions come as in a recorded pattern, open loop: at fixed times, whatever became of those before. Accounts and instruments are asked by
Zipf's law, and so is who trades meanwhile. Yesterday's pattern and today's are draws from the same law, but a tenth of the accounts have
changed places. The market goes on during the minute: a process beside this one keeps the views in Redis, and blocks are pushed to this one.
A minute is played at SPEED times its speed: what is asked and what happens is that of a minute, the rates are SPEED times as high.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import numpy as np
import uvloop

from adapters.cli.progress import Show
from adapters.readers import SWITCH_S
from adapters.reads.answer import Asked, Behind
from adapters.reads.feed import Feed
from adapters.reads.popular import Popular, decayed
from adapters.reads.reads import Reads
from adapters.reads.record import Record
from adapters.reads.remote import Remote
from adapters.reads.warm import Warming, plan
from adapters.redis_view import RedisView, connect
from benchmarks import flows, report
from benchmarks.flows import Flow, Ints
from benchmarks.market import NUMBER
from benchmarks.servers import servers
from domain import verbs as v
from domain.partition import Partition
from eventstore.blocks import Block, Head, after, genesis, seal
from eventstore.memory import MemoryLog
from projections.columns import Columns
from projections.embedded import FOLDS
from projections.view import Projection

MINUTE_S: Final = 60
SPEED: Final = 3
READS_PER_S: Final = 200
BLOCKS_PER_S: Final = 10
COMMANDS_PER_BLOCK: Final = 20
INSTRUMENTS: Final = 500
YESTERDAY: Final = 1_000_000
ZIPF: Final = 1.05
KINDS: Final = ("quote", "depth", "balances", "orders", "book")
SHARES: Final = (0.35, 0.15, 0.35, 0.1, 0.05)
VIEWS: Final = ("quotes", "depth", "trades", "instruments", "balances", "orders", "book", "statistics")
CLUSTER: Final = "bench-warm"
PERCENTILES: Final = (50, 99, 99.9, 100)
PATIENCE_S: Final = 240.0


class Asking(NamedTuple):
    """What became of questions: answered by memory, by nobody in time; late: seconds from when each was due to what became of it."""

    hits: int
    unanswered: int
    late: list[float]


class Minute(NamedTuple):
    """A minute's questions, and the warming before them."""

    asking: Asking
    warmed_s: float
    loaded: int


def run(flow: Flow, runs: int, show: Show, *, stack: Path | None = None) -> dict[str, object]:
    """Hit rates and percentiles in ms, medians over *runs*; in each a cold start and a warmed one, over the market's next two minutes."""
    per_minute = MINUTE_S * BLOCKS_PER_S
    made = flows.flow("cross", accounts=flow.accounts, instruments=INSTRUMENTS, commands=2 * runs * per_minute * COMMANDS_PER_BLOCK)
    law = _Law(flow.accounts, flow.seed)
    set_up, played = _blocks(made, law)
    minutes: dict[str, list[Minute]] = {"cold": [], "warmed": []}
    seconds: list[float] = []
    with servers(stack, kafka=False, redis=True) as on, _Workers(on.stack.redis_url, set_up) as workers:
        record = _Record([*set_up, *played], len(set_up))
        for number in range(runs):
            for kind, minute in minutes.items():
                popular = Popular(decayed({}, law.counted(), 0)) if kind == "warmed" else Popular()
                began = time.perf_counter()
                blocks = record.next(per_minute)
                minute.append(_play(on.stack.redis_url, record, blocks, workers, popular, law.today(number)))
                seconds.append(time.perf_counter() - began)
            show((number + 1) / runs)
        says = on.says()
    counted = report.Tally(per_minute * COMMANDS_PER_BLOCK, sum(block.event_count for block in played) // (2 * runs), 0, {})
    return report.report(
        made,
        seconds,
        counted,
        durability="Redis as `outcry stack up` sets it",
        **{kind: _said(each) for kind, each in minutes.items()},
        reads=MINUTE_S * READS_PER_S,
        reads_per_s=READS_PER_S,
        speed=SPEED,
        pattern=dict(zip(KINDS, SHARES, strict=True)) | {"zipf": ZIPF},
        blocks_per_s=BLOCKS_PER_S,
        servers=says,
    )


def _said(minutes: Sequence[Minute]) -> dict[str, object]:
    of_runs = [
        {"hit_rate": round(each.asking.hits / len(each.asking.late), 4), "unanswered": each.asking.unanswered}
        | {f"p{p}_ms": round(float(np.percentile(each.asking.late, p)) * 1e3, 3) for p in PERCENTILES}
        | {"warmed_in_s": round(each.warmed_s, 2), "loaded": each.loaded}
        for each in minutes
    ]
    return {name: statistics.median(each[name] for each in of_runs) for name in of_runs[0]} | {"of_runs": of_runs}


class _Law:
    """Who and what is asked: places by Zipf's law, handed out at random."""

    def __init__(self, accounts: int, seed: int) -> None:
        self._dice = np.random.default_rng(seed)
        self._places = {"account": self._dice.permutation(accounts) + 1, "instrument": self._dice.permutation(INSTRUMENTS) + 1}
        self._weights = {name: _zipf(len(places)) for name, places in self._places.items()}

    def draw(self, what: str, count: int) -> Ints:
        """Accounts or instruments as they are asked."""
        return self._places[what][np.searchsorted(self._weights[what], self._dice.random(count))]

    def counted(self) -> dict[Asked, int]:
        """What was asked yesterday, and how often."""
        kinds, numbers = self._pattern(YESTERDAY)
        pairs, times = np.unique(np.column_stack([kinds, numbers]), axis=0, return_counts=True)
        return {_asked(kind, number): int(count) for (kind, number), count in zip(pairs.tolist(), times.tolist(), strict=True)}

    def today(self, day: int) -> list[Asked]:
        """A minute of the day after, when a tenth of the accounts have changed places."""
        dice, places = np.random.default_rng(day), self._places["account"]
        moved = dice.choice(len(places), len(places) // 10, replace=False)
        self._places["account"] = places.copy()
        self._places["account"][moved] = places[dice.permutation(moved)]
        kinds, numbers = self._pattern(MINUTE_S * READS_PER_S)
        self._places["account"] = places
        return [_asked(kind, number) for kind, number in zip(kinds.tolist(), numbers.tolist(), strict=True)]

    def _pattern(self, count: int) -> tuple[Ints, Ints]:
        kinds = self._dice.choice(len(KINDS), count, p=SHARES)
        of_account = (kinds == KINDS.index("balances")) | (kinds == KINDS.index("orders"))
        return kinds, np.where(of_account, self.draw("account", count), self.draw("instrument", count))


def _zipf(places: int) -> Any:
    weights = np.arange(1, places + 1) ** -ZIPF
    return np.cumsum(weights / weights.sum())[:-1]


def _asked(kind: int, number: int) -> Asked:
    match KINDS[kind]:
        case "quote":
            return Asked("quotes", f"quote:{number}", NUMBER)
        case "depth":
            return Asked("depth", f"depth:{number}", NUMBER, is_group=True)
        case "balances":
            return Asked("balances", f"balance:{number}", NUMBER, is_group=True)
        case "orders":
            return Asked("orders", f"order:{number}", NUMBER, is_group=True)
        case _:
            return Asked("book", f"book:{number}", NUMBER, is_group=True)


def _blocks(flow: Flow, law: _Law) -> tuple[list[Block], list[Block]]:
    """Those of the set-up, and those of the minutes, COMMANDS_PER_BLOCK each, by accounts and in instruments as they are asked."""
    engine, head, blocks = Partition(NUMBER), genesis(NUMBER), list[Block]()
    rows = np.frombuffer(b"".join(flow.batches()), "<i8").reshape(-1, v.COMMAND_WORDS).copy()
    rows[:, v.ACCOUNT], rows[:, v.INSTRUMENT] = law.draw("account", len(rows)), law.draw("instrument", len(rows))
    set_up = list(flow.set_up())
    for batch in [*set_up, *(rows[at : at + COMMANDS_PER_BLOCK].tobytes() for at in range(0, len(rows), COMMANDS_PER_BLOCK))]:
        blocks.append(seal(head, batch, engine.execute(batch), engine.time_ns))
        head = after(blocks[-1])
    return blocks[: len(set_up)], blocks[len(set_up) :]


class _Record(MemoryLog):
    """A record that gets its next blocks when they are committed."""

    def __init__(self, blocks: list[Block], committed: int) -> None:
        super().__init__()
        self._blocks, self.committed = blocks, committed

    def next(self, count: int) -> list[Block]:
        return self._blocks[self.committed : self.committed + count]

    def head(self, _partition: int) -> Head:
        return after(self._blocks[self.committed - 1])

    def read(self, _partition: int, after_seq: int = 0) -> Iterator[Block]:
        return iter(self._blocks[after_seq : self.committed])


def _play(url: str, record: _Record, blocks: list[Block], workers: _Workers, popular: Popular, questions: list[Asked]) -> Minute:
    with closing(Feed(NUMBER, record)) as feed, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Process(url, record, feed).minute(blocks, workers, popular, questions))


@dataclass(slots=True)
class _Process:
    """A process that has just started."""

    url: str
    record: _Record
    feed: Feed

    async def minute(self, blocks: list[Block], workers: _Workers, popular: Popular, questions: list[Asked]) -> Minute:
        sys.setswitchinterval(SWITCH_S)
        remote, folded = Remote(self.url, CLUSTER), Record(self.record, FOLDS)
        reads = Reads([self.feed], remote, folded)
        warming, began = Warming(reads, plan([self.feed], popular.most())), time.perf_counter()
        if popular.scores:
            await warming.before_traffic([self.feed])
        warmed_s = time.perf_counter() - began
        start = time.perf_counter() + 0.05
        workers.play(start, blocks)
        pushing = threading.Thread(target=self._push, args=(start, blocks))
        pushing.start()
        asking = await _ask(reads, questions, start)
        await asyncio.to_thread(pushing.join)
        workers.wait()
        for part in (warming, reads, remote, folded):
            await part.close()
        return Minute(asking, warmed_s, warming.loaded)

    def _push(self, start: float, blocks: list[Block]) -> None:
        for block in _when_due(start, blocks):
            self.record.committed = block.seq
            self.feed.offer(block)


async def _ask(reads: Reads, questions: list[Asked], start: float) -> Asking:
    """Ask each when it is due."""
    late, hits, unanswered = list[float](), 0, 0
    below: set[asyncio.Task[None]] = set()

    async def read(asked: Asked, due: float) -> None:
        nonlocal unanswered
        try:
            await reads.read(asked)
        except Behind:
            unanswered += 1
        late.append(time.perf_counter() - due)

    for number, asked in enumerate(questions):
        due = start + number / (READS_PER_S * SPEED)
        while (ahead := due - time.perf_counter()) > 0:  # noqa: ASYNC110 - it is the clock that is waited for
            await asyncio.sleep(min(ahead, 0.001))
        if reads.hit(asked) is not None:
            hits += 1
            late.append(time.perf_counter() - due)
        else:
            below.add(task := asyncio.create_task(read(asked, due)))
            task.add_done_callback(below.discard)
    while below:
        await asyncio.gather(*below)
    assert len(late) == len(questions), "each question came to something"
    return Asking(hits, unanswered, late)


def _when_due(start: float, blocks: Sequence[Block]) -> Iterator[Block]:
    for number, block in enumerate(blocks):
        time.sleep(max(0.0, start + number / (BLOCKS_PER_S * SPEED) - time.perf_counter()))
        yield block


class _Workers:
    """A process that keeps VIEWS in Redis while the context lasts: the set-up first, then a minute when it is told."""

    def __init__(self, url: str, set_up: list[Block]) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._ours, theirs = spawn.Pipe()
        self._process, self._set_up = spawn.Process(target=_keep, args=(url, theirs), daemon=True), set_up

    def __enter__(self) -> Self:
        self._process.start()
        self.play(0.0, self._set_up)
        self.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def play(self, start: float, blocks: list[Block]) -> None:
        """Keep the views while *blocks* are committed, from *start* on; with 0.0 as fast as it goes."""
        self._ours.send((start, blocks))

    def wait(self) -> None:
        """Until they are kept. Raises TimeoutError."""
        if not self._ours.poll(PATIENCE_S):
            raise TimeoutError(f"the views are not in Redis after {PATIENCE_S:.0f} s")
        self._ours.recv()


def _keep(url: str, pipe: Connection) -> None:
    client = connect(url, patience_s=30)
    projections = []
    for name in VIEWS:
        view = RedisView(client, CLUSTER, name, 0)
        view.clear(NUMBER)
        projections.append(Projection(NUMBER, FOLDS[name](), view))
    while True:
        start, blocks = pipe.recv()
        for block in _when_due(start, blocks) if start else blocks:
            columns = Columns(block)
            for projection in projections:
                projection.advance(columns)
        pipe.send("kept")
