"""Views fed by Kafka: a worker of a consumer group that hands each block of the topic to the views of its partition. Only this knows Faust.

The group says who keeps which partition, nothing else: where a view goes on, its own position says (projections/keeper.py). Faust's
committed offsets are merely where it begins to read, and may be wrong.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import faust
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]
from mode.supervisors import CrashingSupervisor

from eventstore import wire
from eventstore.errors import Damaged, Disagree, NewerSchema, StoreFailed
from projections.keeper import Keeper

BUFFERED_BLOCKS: Final = 32  # of a partition; beyond, Faust reads no more of it
FETCH_BYTES: Final = 16 * 2**20
LOOKS_EVERY_S: Final = 0.1
IDLE_S: Final = 0.2
SESSION_S: Final = 6.0  # after which another keeps what a dead worker kept; brokers take no less unless told to
DAY_S: Final = 86_400.0
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """The topic *topic* of *cluster*, at *brokers* (host:port, more after commas), read as a member of *group*."""

    brokers: str
    topic: str
    cluster: str
    group: str


class Following:
    """Keeps the views of the partitions that the group gives to this worker.

    make     makes the keeper of a partition
    keepers  those it has now, by partition
    joined   whether the group has said which those are
    """

    def __init__(self, source: Source, make: Callable[[int], Keeper]) -> None:
        self._source, self._make = source, make
        self.keepers: dict[int, Keeper] = {}
        self.joined = False
        self._turns: dict[int, asyncio.Lock] = {}  # a keeper has one thread at a time
        self._tending: dict[int, asyncio.Task[None]] = {}
        self._app: faust.App

    async def run(self, goes_on: Callable[[], bool]) -> None:
        """Until *goes_on* says no. Raises StoreFailed when the brokers do not do as asked, Disagree, and what else ended it."""
        with tempfile.TemporaryDirectory(prefix="outcry-views-") as nothing_is_kept:
            app = self._app = self._faust(nothing_is_kept)
            try:
                await app.start()
                while goes_on() and not app.should_stop:  # noqa: ASYNC110 - both are flags of other threads
                    await asyncio.sleep(LOOKS_EVERY_S)
            except KafkaError as error:
                raise self._failed(error) from error
            finally:
                self._have(())
                await app.stop()
        reason = app.crash_reason
        if reason is not None:
            raise self._failed(reason) if isinstance(reason, KafkaError) else reason

    def _faust(self, folder: str) -> faust.App:
        app = faust.App(
            self._source.group,
            broker=[f"kafka://{each}" for each in self._source.brokers.split(",")],
            datadir=folder,
            store="memory://",
            web_enabled=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            consumer_auto_offset_reset="latest",
            consumer_max_fetch_size=FETCH_BYTES,
            stream_buffer_maxsize=BUFFERED_BLOCKS,
            stream_wait_empty=False,
            broker_session_timeout=SESSION_S,
            broker_heartbeat_interval=SESSION_S / 4,
            broker_max_poll_interval=DAY_S,  # a view that is slow is no reason to give its partition to another
            agent_supervisor=CrashingSupervisor,
        )
        topic = app.topic(self._source.topic, key_serializer="raw", value_serializer="raw")

        async def keep(stream: Any) -> None:
            async for event in stream.noack().events():
                await self._take(event)
                event.ack()

        app.agent(topic, name="views", isolated_partitions=True)(keep)
        app.on_partitions_assigned.connect(self._assigned)
        return app

    async def _assigned(self, _app: Any, /, *given: Any, **_: Any) -> None:
        (assigned,) = given
        self._have({place.partition for place in assigned})
        self.joined = True

    def _have(self, partitions: Iterable[int]) -> None:
        """Keep these, and no others. Partition 0 is the registry's, and has no views."""
        wanted = {number for number in partitions if number}
        for number in self.keepers.keys() - wanted:
            self.keepers.pop(number).close()
            self._tending.pop(number).cancel()
        for number in sorted(wanted - self.keepers.keys()):
            self.keepers[number], self._turns[number] = self._make(number), asyncio.Lock()
            self._tending[number] = asyncio.create_task(self._tend(number))

    async def _take(self, event: faust.EventT[bytes]) -> None:
        message = event.message
        number, keeper = message.partition, self.keepers.get(message.partition)
        if keeper is None:
            return
        headers = dict(event.headers)
        if headers.get("cluster", b"").decode("ascii", "replace") != self._source.cluster:
            raise Disagree(self._source.topic, number, f"the record at offset {message.offset} is not of cluster {self._source.cluster}")
        async with self._turns[number]:
            if keeper.wants(int(headers["seq"])):
                await asyncio.to_thread(self._taken, keeper, event.value, message.offset)

    def _taken(self, keeper: Keeper, value: bytes, offset: int) -> None:
        try:
            keeper.take(wire.decode(value))
        except (Damaged, NewerSchema) as wrong:
            keeper.doubt(f"topic {self._source.topic}, offset {offset}: {wrong}")

    async def _tend(self, number: int) -> None:
        """Let the views of a partition read the record when the topic does not bring what they need."""
        keeper, turn = self.keepers[number], self._turns[number]
        try:
            while True:
                async with turn:
                    more = await asyncio.to_thread(keeper.tend)
                await asyncio.sleep(0 if more else IDLE_S)
        except Exception as ours:  # noqa: BLE001 - a keeper that nobody tends must not look like one that is kept
            await self._app.crash(ours)

    def _failed(self, reason: BaseException) -> StoreFailed:
        return StoreFailed(f"kafka at {self._source.brokers}", f"topic {self._source.topic}: {type(reason).__name__}: {reason}")
