"""A record, workers that keep its views in Redis, and a process that reads them: each moved on by hand."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol, TypeVar

import uvloop

from adapters.reads.answer import Answer
from adapters.reads.feed import PUSHED, Feed
from adapters.reads.reads import Reads
from adapters.reads.record import Record
from adapters.reads.remote import Remote
from adapters.redis_view import RedisView, connect
from eventstore.blocks import Block, after, seal
from eventstore.memory import MemoryLog
from eventstore.ports import BlockLog
from projections.columns import Columns
from projections.embedded import FOLDS
from projections.view import MemoryView, Projection, Rows
from tests.projections.flow import trading

Got = TypeVar("Got")
PATIENCE_S = 10.0  # with a Redis that will answer, on a machine that does much else
IN_TIME_S = 60.0  # for an answer that will come, likewise


@cache
def days(seed: int, count: int = 150) -> tuple[list[Block], dict[str, list[Rows]]]:
    """Blocks, and the rows of each view after each of them: [0] before the first."""
    blocks = trading(seed, count, longest=8)
    naive: dict[str, list[Rows]] = {}
    for name, fold in FOLDS.items():
        view = MemoryView()
        projection = Projection(1, fold(), view)
        naive[name] = [{}]
        for block in blocks:
            projection.advance(Columns(block))
            naive[name].append(dict(view.rows))
    return blocks, naive


class Run(Protocol):
    """Runs what is asked, in the process's event loop."""

    def __call__(self, asked: Coroutine[Any, Any, Got], /) -> Got: ...


class Market:
    """Partition 1, of which so many blocks are on record as commit() says."""

    def __init__(self, blocks: list[Block], log: BlockLog | None = None) -> None:
        self.log: BlockLog = log or MemoryLog()
        self.blocks: list[Block] = []
        self._made, self._head = blocks, self.log.claim(1)

    def commit(self, to_seq: int) -> None:
        """Have the blocks up to *to_seq* on record."""
        for block in self._made[len(self.blocks) : to_seq]:
            self.blocks.append(seal(self._head, *block.rows(), block.time_ns))
            self.log.append(self.blocks[-1])
            self._head = after(self.blocks[-1])

    @property
    def seq(self) -> int:
        return len(self.blocks)


@dataclass
class Workers:
    """Keep every view in Redis, as far as to() says."""

    url: str
    market: Market
    cluster: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        self.client = connect(self.url)
        self.begin()

    def begin(self) -> None:
        """As new workers, who fold from the first block."""
        self.projections = {name: Projection(1, fold(), RedisView(self.client, self.cluster, name)) for name, fold in FOLDS.items()}

    def to(self, seq: int, views: Mapping[str, Any] = FOLDS) -> None:
        for name in views:
            for block in self.market.blocks[self.projections[name].seq : seq]:
                self.projections[name].advance(Columns(block))

    def lose(self) -> None:
        """Redis has nothing of ours any more, and the workers begin anew."""
        keys = list(self.client.scan_iter(match=f"outcry:{{{self.cluster}:*", count=100_000))
        if keys:
            self.client.unlink(*keys)
        self.begin()


def kept(url: str, blocks: list[Block], committed: int, shown: int = 0) -> tuple[Market, Workers]:
    """A market with so many of *blocks* on record, and its views in the Redis at *url*: as of the last of those, or of block *shown*."""
    market = Market(blocks)
    market.commit(committed)
    workers = Workers(url, market)
    workers.to(shown or committed)
    return market, workers


@contextmanager
def reading(log: BlockLog, url: str, cluster: str, **options: Any) -> Iterator[tuple[Reads, Feed, Run]]:
    """A process that reads: its Reads, the feed of partition 1, and how to run what is asked."""
    with ExitStack() as open_things:
        states, pushed = options.pop("states", None), options.pop("pushed", PUSHED)
        patience_s = options.pop("patience_s", PATIENCE_S)
        feed = open_things.enter_context(closing(Feed(1, log, pushed, states)))
        runner = open_things.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        made = runner.run(_made(feed, (url, cluster, patience_s), Record(log, FOLDS, states), options))
        try:
            yield made[0], feed, runner.run
        finally:
            runner.run(_closed(*made))


async def _made(feed: Feed, where: tuple[str, str, float], record: Record, options: dict[str, Any]) -> tuple[Reads, Remote, Record]:
    url, cluster, patience_s = where
    remote = Remote(url, cluster, patience_s=patience_s)
    return Reads([feed], remote, record, **options), remote, record


async def _closed(reads: Reads, remote: Remote, record: Record) -> None:
    await reads.close()
    await remote.close()
    await record.close()


def expected(rows: Rows, key: str, *, is_group: bool) -> Rows:
    """What *rows*, all of a view, have of a key or group."""
    return {each: row for each, row in rows.items() if (each.rpartition(":")[0] if is_group else each) == key}


def is_right(answer: Answer, naive: list[Rows], key: str, *, is_group: bool = False) -> bool:
    """Whether it is what the view says as of the block that the answer names."""
    return answer.rows == expected(naive[answer.seq], key, is_group=is_group)
