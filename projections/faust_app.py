"""Views fed by Kafka: a worker of a consumer group that hands each block of the topic to the views of its partition. Only this knows Faust.

The group says who keeps which partition, nothing else: where a view goes on, its own position says (projections/keeper.py). Faust's
committed offsets are merely where it begins to read, and may be wrong.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import faust
from aiokafka.errors import KafkaError, UnknownError  # type: ignore[import-untyped]
from faust.assignor.client_assignment import ClientAssignment
from faust.assignor.partition_assignor import PartitionAssignor
from faust.transport.drivers import aiokafka as driver
from mode.supervisors import CrashingSupervisor

from eventstore import wire
from eventstore.errors import Damaged, Disagree, NewerSchema, StoreFailed
from projections.keeper import Keeper
from projections.shares import shares

BUFFERED_BLOCKS: Final = 32  # of a partition; beyond, Faust reads no more of it
FETCH_BYTES: Final = 16 * 2**20
LOOKS_EVERY_S: Final = 0.1
IDLE_S: Final = 0.2
FULL_S: Final = 0.002
SESSION_S: Final = 6.0  # after which another keeps what a dead worker kept; brokers take no less unless told to
AGAIN_S: Final = 1.0
DAY_S: Final = 86_400.0
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """The topic *topic* of *cluster*, at *brokers* (host:port, more after commas), read as a member of *group*.

    partitions  those that have views
    """

    brokers: str
    topic: str
    cluster: str
    group: str
    partitions: Collection[int]


class Even(PartitionAssignor):
    """Deals *partitions* as projections/shares.py does: Faust's own counts 0, which has no views, as a share.

    It asks nobody which there are: a leader of the group that was just cut off from its brokers may know of none, and what it then deals,
    nothing to anybody, stays so until a member comes or goes.
    """

    partitions: Collection[int]

    def _perform_assignment(self, _cluster: Any, member_metadata: Mapping[str, Any]) -> Any:
        members = {member: self._get_client_metadata(metadata) for member, metadata in member_metadata.items()}
        self._update_member_urls(members)
        (topic,) = {topic for metadata in member_metadata.values() for topic in metadata.subscription}
        dealt = shares(self.partitions, {member: metadata.assignment.actives.get(topic, ()) for member, metadata in members.items()})
        assignments = {member: ClientAssignment(actives={topic: share}, standbys={}) for member, share in dealt.items()}
        return self._protocol_assignments(assignments, {}, {}, {topic: 0})


class Attentive(driver.Consumer):
    """Reads on as soon as there is room. Faust's own sleeps for a second when all buffers are full, and is that far behind from then on."""

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's
        while (  # noqa: ASYNC110 - Faust has no event for it
            self._buffered_partitions and not self._get_active_partitions() and self.flow_active and not self.should_stop
        ):
            await asyncio.sleep(FULL_S)
        return await super()._wait_next_records(timeout)


class InMemory(faust.App):
    """Makes no folders: Faust's own would lie empty wherever a worker was killed."""

    def _create_directories(self) -> None:
        pass


class Following:
    """Keeps the views of the partitions that the group gives to this worker.

    make     makes the keeper of a partition
    keepers  those it has now, by partition
    joined   whether the group has said which those are
    trouble  why it is no member now, and tries to be one again; empty: it is, or is about to be
    """

    def __init__(self, source: Source, make: Callable[[int], Keeper]) -> None:
        self._source, self._make = source, make
        self.keepers: dict[int, Keeper] = {}
        self.joined = False
        self.trouble = ""
        self._waiting: dict[int, asyncio.Queue[faust.EventT[bytes]]] = {}
        self._keeping: dict[int, asyncio.Task[None]] = {}
        self._ending = set[asyncio.Task[None]]()
        self._app: faust.App

    async def run(self, goes_on: Callable[[], bool]) -> None:
        """Until *goes_on* says no. Raises StoreFailed when the brokers do not do as asked, Disagree, and what else ended it.

        Brokers that are away are waited for, however long: Faust itself waits only for those that it has found once.
        """
        while goes_on():
            away: Exception | None = await self._away()
            if away is None:
                try:
                    return await self._follow(goes_on)
                except KafkaError as error:
                    if not (error.retriable or isinstance(error, UnknownError)):
                        raise self._failed(error) from error
                    away = error
            if not self.trouble:
                _LOG.warning("%s; it is tried again", self._failed(away))
            self.trouble, self.joined = str(self._failed(away)), False
            await asyncio.sleep(AGAIN_S)
        return None

    async def _away(self) -> OSError | None:
        """Why no broker takes a connection, if none does: an app of Faust that finds none leaves an event loop behind each time."""
        away = None
        for broker in self._source.brokers.split(","):
            host, _, port = broker.rpartition(":")
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except OSError as refused:
                away = refused
            else:
                writer.close()
                return None
        return away

    async def _follow(self, goes_on: Callable[[], bool]) -> None:
        """As run, once. Raises KafkaError."""
        app = self._app = self._faust()
        try:
            await app.start()
            while goes_on() and not app.should_stop:  # noqa: ASYNC110 - both are flags of other threads
                await asyncio.sleep(LOOKS_EVERY_S)
        finally:
            self._have(())
            await asyncio.gather(*self._ending)
            await app.stop()
        if app.crash_reason is not None:
            raise app.crash_reason

    def _faust(self) -> faust.App:
        app = InMemory(
            self._source.group,
            broker=[f"kafka://{each}" for each in self._source.brokers.split(",")],
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
            PartitionAssignor=type("Dealing", (Even,), {"partitions": self._source.partitions}),
        )
        app.transport.Consumer = Attentive  # type: ignore[misc] # made for this one
        topic = app.topic(self._source.topic, key_serializer="raw", value_serializer="raw")

        async def keep(stream: Any) -> None:
            with suppress(asyncio.CancelledError):  # while it waits for room, as the partition goes: Faust would call that a crash
                async for event in stream.noack().events():
                    await self._put(event)

        app.agent(topic, name="views", isolated_partitions=True)(keep)
        app.on_partitions_assigned.connect(self._assigned)
        return app

    async def _assigned(self, _app: Any, /, *given: Any, **_: Any) -> None:
        (assigned,) = given
        self._have({place.partition for place in assigned})
        self.joined, self.trouble = True, ""

    def _have(self, partitions: Iterable[int]) -> None:
        """Keep these, and no others."""
        wanted = set(partitions)
        for number in self.keepers.keys() - wanted:
            self.keepers.pop(number).close()
            self._ending.add(task := self._keeping.pop(number))
            task.add_done_callback(self._ending.discard)
        for number in sorted(wanted - self.keepers.keys()):
            self.keepers[number], self._waiting[number] = self._make(number), asyncio.Queue(BUFFERED_BLOCKS)
            self._keeping[number] = asyncio.create_task(self._keep(number))

    async def _put(self, event: faust.EventT[bytes]) -> None:
        message = event.message
        if dict(event.headers).get("cluster", b"").decode("ascii", "replace") != self._source.cluster:
            wrong = f"the record at offset {message.offset} is not of cluster {self._source.cluster}"
            raise Disagree(self._source.topic, message.partition, wrong)
        if message.partition in self.keepers:
            await self._waiting[message.partition].put(event)

    async def _keep(self, number: int) -> None:
        """Hand the views of a partition what came meanwhile, and let them read the record when the topic does not bring what they need."""
        keeper, waiting = self.keepers[number], self._waiting[number]
        more = False
        try:
            while self.keepers.get(number) is keeper:
                events = await _next(waiting, 0 if more else IDLE_S)
                more = await asyncio.to_thread(self._take, keeper, events)
                for event in events:
                    event.ack()
            await asyncio.to_thread(keeper.save)
        except Exception as ours:  # noqa: BLE001 - a keeper that nobody tends must not look like one that is kept
            await self._app.crash(ours)

    def _take(self, keeper: Keeper, events: list[faust.EventT[bytes]]) -> bool:
        """What came while the blocks before were taken in is written with one write. True: there is more to read in the record."""
        for event in events:
            if keeper.wants(int(dict(event.headers)["seq"])):
                try:
                    keeper.take(wire.decode(event.value))
                except (Damaged, NewerSchema) as wrong:
                    keeper.doubt(f"topic {self._source.topic}, offset {event.message.offset}: {wrong}")
        if events:
            keeper.write()
        return keeper.tend()

    def _failed(self, reason: Exception) -> StoreFailed:
        return StoreFailed(f"kafka at {self._source.brokers}", f"topic {self._source.topic}: {type(reason).__name__}: {reason}")


async def _next(waiting: asyncio.Queue[faust.EventT[bytes]], patience_s: float) -> list[faust.EventT[bytes]]:
    """All that waits; when nothing does, what comes within *patience_s*."""
    if waiting.empty():
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                return [await waiting.get()]
        return []
    return [waiting.get_nowait() for _ in range(waiting.qsize())]
