"""Balances of very many accounts: folded from blocks, written to Redis, and read there by a process that knows none of them.

Each account is opened and gets one deposit, so it has one balance. Filling is timed in parts, decoding of the blocks included, their making
not. Read are accounts at random, by the interface of the doors (adapters/reads): one reader after the other, then AT_ONCE side by side.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final, cast

import numpy as np
import redis
import uvloop

from adapters.cli.progress import Show
from adapters.reads.answer import Asked
from adapters.reads.feed import Feed
from adapters.reads.reads import Reads
from adapters.reads.record import Record
from adapters.reads.remote import Remote
from adapters.redis_view import RedisView, connect
from benchmarks import report
from benchmarks.flows import QUOTE, START_NS, Flow
from benchmarks.market import NUMBER
from benchmarks.servers import servers
from domain import verbs as v
from domain.columns import MAX_BALANCE
from domain.partition import Partition
from eventstore.blocks import Block, Head, after, genesis, seal
from eventstore.memory import MemoryLog
from projections.balances import Balances
from projections.columns import Columns
from projections.embedded import FOLDS
from projections.layouts import balance_key
from projections.view import Projection

CLUSTER: Final = "bench-balances"
PER_BATCH: Final = 8_192
PARTS: Final = 4
READS: Final = 10_000
AT_ONCE: Final = 16
PATIENCE_S: Final = 30.0  # a slow answer is to be measured, not given up
REDIS_MB: Final = 4_096
PERCENTILES: Final = (50, 99, 99.9, 100)


def run(flow: Flow, runs: int, show: Show, *, stack: Path | None = None) -> dict[str, object]:
    """Bytes of each balance in Redis; percentiles of reading in ms, medians over *runs*. events_per_s: of filling, by parts of it."""
    with ExitStack() as opened:
        on = opened.enter_context(servers(stack, kafka=False, redis=True, redis_memory_mb=REDIS_MB))
        client = opened.enter_context(closing(connect(on.stack.redis_url, patience_s=60)))
        view = RedisView(client, CLUSTER, "balances", 0)
        view.clear(NUMBER)
        before = _used(client)
        seconds, last = _fill(flow.accounts, view, show)
        used = _used(client) - before
        says = on.says()
        measured = [_asked(on.stack.redis_url, last, flow.accounts, seed) for seed in range(runs)]
        view.clear(NUMBER)
    counted = report.Tally(2 * flow.accounts // PARTS, 2 * flow.accounts // PARTS, 0, {})
    return report.report(
        flow,
        seconds,
        counted,
        durability="Redis as `outcry stack up` sets it",
        balances=flow.accounts,
        bytes_per_balance=round(used / flow.accounts, 1),
        redis_mib=round(used / 2**20),
        balances_written_per_s=round(flow.accounts / sum(seconds)),
        read_ms={way: {name: statistics.median(each[way][name] for each in measured) for name in measured[0][way]} for way in measured[0]},
        read_ms_of_runs=measured,
        reads=READS,
        at_once=AT_ONCE,
        memory_in_all_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 + round(used / 2**20),
        servers=says,
    )


def _used(client: redis.Redis) -> int:
    return int(cast("dict[str, int]", client.info("memory"))["used_memory"])


def _fill(accounts: int, view: RedisView, show: Show) -> tuple[list[float], Block]:
    """Seconds of folding and writing, by parts; the last block."""
    projection = Projection(NUMBER, Balances(), view)
    each, block = list[float](), None
    for block in _blocks(accounts):
        began = time.perf_counter()
        projection.advance(Columns(block))
        each.append(time.perf_counter() - began)
        show(0.9 * block.seq * PER_BATCH / accounts)
    assert block is not None, "there are accounts"
    return [float(sum(part)) for part in np.array_split(each, PARTS)], block


def _blocks(accounts: int) -> Iterator[Block]:
    """The accounts opened and paid, PER_BATCH in a block."""
    engine, head = Partition(NUMBER), genesis(NUMBER)
    for first in range(1, accounts + 1, PER_BATCH):
        numbers = np.arange(first, min(first + PER_BATCH, accounts + 1))
        rows = np.zeros((len(numbers), 2, v.COMMAND_WORDS), "<i8")
        rows[:, :, v.RECEIVED_NS] = START_NS + first
        rows[:, :, v.ACCOUNT] = numbers[:, None]
        rows[:, :, v.VERB] = v.OPEN_ACCOUNT, v.DEPOSIT
        rows[:, 1, v.INSTRUMENT], rows[:, 1, v.AMOUNT] = QUOTE, MAX_BALANCE // accounts - numbers % 1_000
        commands = rows.tobytes()
        block = seal(head, commands, engine.execute(commands), engine.time_ns)
        head = after(block)
        yield block


class _End(MemoryLog):
    """A record as a reader of Redis looks at it: where it ends."""

    def __init__(self, last: Block) -> None:
        super().__init__()
        self._last = last

    def head(self, _partition: int) -> Head:
        return after(self._last)

    def read(self, _partition: int, after_seq: int = 0) -> Iterator[Block]:
        return iter([self._last] if after_seq < self._last.seq else [])


def _asked(url: str, last: Block, accounts: int, seed: int) -> dict[str, dict[str, float]]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_read(url, last, accounts, seed))


async def _read(url: str, last: Block, accounts: int, seed: int) -> dict[str, dict[str, float]]:
    """Percentiles in ms of READS questions, one after the other and AT_ONCE side by side."""
    log, chosen = _End(last), np.random.default_rng(seed).integers(1, accounts + 1, 2 * READS).tolist()
    with closing(Feed(NUMBER, log, {})) as feed:
        assert await feed.reaches(last.seq, 60)
        remote, record = Remote(url, CLUSTER, patience_s=PATIENCE_S), Record(log, FOLDS)
        reads = Reads([feed], remote, record)
        took: list[float] = []

        async def ask(questions: Iterator[int]) -> None:
            for account in questions:
                asked = Asked("balances", balance_key(account, QUOTE), NUMBER)
                began = time.perf_counter()
                answer = await reads.read(asked)
                took.append(time.perf_counter() - began)
                assert answer.row, f"account {account} has a balance"

        await ask(iter(chosen[:READS]))
        alone, took = took, []
        rest = iter(chosen[READS:])
        await asyncio.gather(*(ask(rest) for _ in range(AT_ONCE)))
        for part in (reads, remote, record):
            await part.close()
    return {"one_by_one": _percentiles(alone), "side_by_side": _percentiles(took)}


def _percentiles(took: list[float]) -> dict[str, float]:
    return {f"p{each}": round(float(np.percentile(took, each)) * 1e3, 3) for each in PERCENTILES}
