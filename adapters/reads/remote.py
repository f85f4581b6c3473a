"""The second level: views in Redis, asked by an event loop. Whoever asks while a request is on its way goes with the next one.

Bounds: LANES requests at a time, TOGETHER questions in one, PATIENCE_S for its answer, and a circuit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final, NamedTuple

import redis
import redis.asyncio as aio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from adapters.reads.answer import Asked
from adapters.reads.circuit import Circuit
from adapters.redis_view import READ, base_key, bucket_of
from projections.view import Rows, ViewAway

LANES: Final = 4
TOGETHER: Final = 64
PATIENCE_S: Final = 0.25


class Found(NamedTuple):
    """Rows, and the block they are as of; 0: Redis has nothing of that view."""

    rows: Rows
    seq: int


class Remote:
    """Reads the views that workers keep (adapters/redis_view.py). For one event loop; close it there."""

    def __init__(self, url: str, cluster: str, *, patience_s: float = PATIENCE_S) -> None:
        pool = aio.ConnectionPool.from_url(
            url,
            max_connections=LANES,
            socket_timeout=patience_s,
            socket_connect_timeout=patience_s,
            retry=Retry(NoBackoff(), 0),
        )
        self._client = aio.Redis.from_pool(pool)
        self._cluster = cluster
        self._circuit = Circuit()
        self._waiting: deque[tuple[Asked, asyncio.Future[Found]]] = deque()
        self._lanes: set[asyncio.Task[None]] = set()

    async def read(self, asked: Asked) -> Found:
        """What Redis has. Raises ViewAway."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, future))
        if len(self._lanes) < LANES:
            self._lanes.add(asyncio.create_task(self._drive()))
        found: Found = await future
        return found

    async def close(self) -> None:
        """Give the connections back."""
        for lane in list(self._lanes):
            lane.cancel()
        await asyncio.gather(*self._lanes, return_exceptions=True)
        await self._client.aclose()

    async def _drive(self) -> None:
        """Ask until nobody waits."""
        while self._waiting:
            together = [self._waiting.popleft() for _ in range(min(TOGETHER, len(self._waiting)))]
            try:
                found = await self._answers([asked for asked, _ in together])
            except ViewAway as away:
                for _, future in together:
                    if not future.done():
                        future.set_exception(away)
            else:
                for (_, future), each in zip(together, found, strict=True):
                    if not future.done():
                        future.set_result(each)
        lane = asyncio.current_task()
        assert lane is not None, "a lane is a task"
        self._lanes.discard(lane)  # at once: who asks from now on needs another

    async def _answers(self, questions: list[Asked]) -> list[Found]:
        if not self._circuit.lets_through():
            raise ViewAway("Redis did not answer before and is not asked now")
        try:
            answers = await self._ask(questions)
        except (redis.RedisError, OSError) as failed:
            self._circuit.failed()
            raise ViewAway(f"Redis: {type(failed).__name__}: {failed}") from failed
        self._circuit.answered()
        return [_found(asked, rows, int(seq or 0)) for asked, (rows, seq) in zip(questions, answers, strict=True)]

    async def _ask(self, questions: list[Asked]) -> list[Any]:
        """Of each its rows and position, read in one step. One request; each question is a script of its own, others may come between."""
        async with self._client.pipeline(transaction=False) as request:
            for asked in questions:
                base = base_key(self._cluster, asked.view, asked.partition)
                if asked.is_group:
                    request.eval(READ, 1, base, "", "hgetall", str(bucket_of(f"{asked.key}:")))
                else:
                    request.eval(READ, 1, base, "", "hget", str(bucket_of(asked.key)), asked.key)
            return await request.execute()


def _found(asked: Asked, rows: Any, seq: int) -> Found:
    if not asked.is_group:
        return Found({asked.key: rows} if rows else {}, seq)
    inside = {key.decode(): row for key, row in zip(rows[::2], rows[1::2], strict=True)}
    return Found({key: row for key, row in inside.items() if key.rpartition(":")[0] == asked.key}, seq)
