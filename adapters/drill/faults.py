"""What goes wrong: each function does it to an arena whose load runs, when the dice say, and mends what must be mended by hand."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from adapters.drill.arena import POLL_S, Arena
from adapters.drill.disk import Disk
from adapters.drill.ground import PARTITION
from adapters.drill.intents import Poison
from adapters.drill.proxy import Cut, Proxy
from adapters.stack.errors import StackFailed
from adapters.stack.postgres import Postgres
from adapters.stack.server import Server
from commands import batch
from commands.codec import to_row
from commands.messages import TickClock
from eventstore.kafka import client_config
from eventstore.topics import BLOCKS, commands_topic

BEYOND_SESSION_S: Final = (2.5, 4.0)  # longer than the group waits for a silent member
COMMIT: Final = b"commands/"  # stands in the inputs of every block that came from Kafka, and so in the request that commits it
DIES_WITHIN_S: Final = 10.0
CLOCK: Final = "clock"
AT_RANDOM: Final = 20
BACK_WITHIN_S: Final = 60.0


def owner_is_killed(arena: Arena) -> None:
    """SIGKILL of the owner; a new worker is started in its place."""
    owner = arena.owner()
    arena.kill(owner)
    arena.owner()
    arena.start_workers(1)


def owner_sleeps(arena: Arena) -> None:
    """SIGSTOP of the owner for longer than the group waits, then SIGCONT: it believes that no time has passed."""
    owner = arena.owner()
    owner.signal(signal.SIGSTOP)
    arena.owner(other_than=owner)
    arena.pause(0.1, 1.0)
    owner.signal(signal.SIGCONT)


def postgres_is_killed(arena: Arena) -> None:
    """SIGKILL of PostgreSQL, which comes back after a moment."""
    arena.ground.postgres.kill()
    arena.pause(0.0, 1.0)
    arena.ground.postgres.start()


def primary_is_lost(arena: Arena) -> None:
    """The standby hears nothing more, so commits are pending; then the primary is killed, and the standby takes its place."""
    primary, standby = arena.ground.postgres, arena.ground.record.servers["standby"]
    assert isinstance(standby, Postgres), "a standby is a PostgreSQL server"
    with standby.superuser() as db:
        (receiver,) = db.execute("SELECT pid FROM pg_stat_wal_receiver").fetchone() or (0,)
    os.kill(receiver, signal.SIGSTOP)
    arena.pause(0.3, 0.8)
    primary.kill()
    os.kill(receiver, signal.SIGTERM)  # before it reads on: what was not received is lost
    os.kill(receiver, signal.SIGCONT)
    arena.ground.record.promote()


def broker_is_killed(arena: Arena) -> None:
    """SIGKILL of the Kafka node that leads the topic of blocks; it comes back later."""
    leader = AdminClient({"bootstrap.servers": arena.bootstrap}).list_topics(BLOCKS, timeout=10).topics[BLOCKS].partitions[PARTITION].leader
    node = arena.ground.bus.servers[f"kafka-{leader}"]
    node.kill()
    arena.pause(0.5, 3.0)
    node.start()


def commits_are_cut_before_the_request(arena: Arena) -> None:
    """The connection breaks, and the block never arrives."""
    _cut(arena, Cut.BEFORE_THE_REQUEST)


def commits_are_cut_before_the_answer(arena: Arena) -> None:
    """The block is committed, the connection breaks before anybody is told."""
    _cut(arena, Cut.BEFORE_THE_ANSWER)


def network_is_slow(arena: Arena) -> None:
    """What goes to and from PostgreSQL takes its time."""
    proxy = _proxy(arena)
    for _ in range(3):
        proxy.delay_s = arena.dice.uniform(0.1, 0.5)
        arena.pause(0.5, 1.5)
        proxy.delay_s = 0.0
        arena.pause(0.1, 0.3)


def disk_is_slow(arena: Arena) -> None:
    """The file system of the record hangs, again and again."""
    disk = _disk(arena)
    for _ in range(3):
        disk.freeze()
        try:
            arena.pause(0.4, 1.2)
        finally:
            disk.thaw()
        arena.pause(0.1, 0.3)


def disk_is_full(arena: Arena) -> None:
    """No room for the record until somebody makes some; PostgreSQL may have ended by then."""
    _fill(arena, arena.ground.postgres)


def disk_of_kafka_is_full(arena: Arena) -> None:
    """No room for Kafka until somebody makes some; it has ended by then."""
    node = arena.ground.bus.servers["kafka-1"]
    _fill(arena, node)


def power_is_cut(arena: Arena) -> None:
    """The file system of the record loses what was not synced; PostgreSQL is started anew on what is left."""
    _cut_power(arena, arena.ground.postgres)


def power_of_kafka_is_cut(arena: Arena) -> None:
    """The file system of the only Kafka node loses what was not synced, blocks too; it is started anew on what is left."""
    _cut_power(arena, arena.ground.bus.servers["kafka-1"])


def clock_jumps(arena: Arena) -> None:
    """The wall clock goes forth and back by up to hours."""
    for _ in range(4):
        set_clock(arena, arena.dice.randint(-7_200, 7_200))
        arena.pause(0.3, 1.5)


def set_clock(arena: Arena, ahead_s: int) -> None:
    """Let the wall clock of workers and PostgreSQL be ahead of the host's, or behind it."""
    new = arena.folder / "clock.new"
    new.write_text(f"{ahead_s:+d}\n")
    new.replace(arena.folder / CLOCK)


def two_are_certain(arena: Arena) -> None:
    """Nothing breaks: each worker is in a group of its own, and takes what the other took."""
    arena.pause(6.0, 9.0)


def poison_is_sent(arena: Arena) -> None:
    """Records that are no batches, among the batches."""
    row = to_row(TickClock())
    good = batch.encode(row)
    bad = [
        (b"", "length"),
        (arena.dice.randbytes(1_000), "magic"),
        (good[:4] + b"\7" + good[5:], "version"),
        (good[:-1] + bytes([good[-1] ^ 1]), "checksum"),
        (good[:-128], "length"),
        (batch.encode(b"\xff" * 128), "malformed_rows"),
        (bytes(100_000), "magic"),
    ]
    producer = Producer(client_config(arena.bootstrap) | {"enable.idempotence": True})
    for value, error in arena.dice.sample(bad, len(bad)):

        def written(failed: object, message: object, error: str = error) -> None:
            assert failed is None, f"the poison was not sent: {failed}"
            arena.log.write(Poison(message.offset(), error))  # type: ignore[attr-defined]

        producer.produce(commands_topic(PARTITION), value, partition=0, on_delivery=written)
        producer.flush()
        arena.pause(0.05, 0.3)


def workers_are_restarted(arena: Arena) -> None:
    """One after the other, in good order, under load."""
    for worker in list(arena.workers):
        worker.stop()
        arena.workers.remove(worker)
        arena.start_workers(1)
        arena.pause(0.2, 0.5)


def everything_is_killed(arena: Arena) -> None:
    """SIGKILL of all servers and all workers at once; then everything is started."""
    servers = list({id(each): each for stack in (arena.ground.record, arena.ground.bus) for each in stack.servers.values()}.values())
    with ThreadPoolExecutor() as pool:
        kills = [pool.submit(server.kill) for server in servers] + [pool.submit(worker.signal, signal.SIGKILL) for worker in arena.workers]
        for kill in kills:
            kill.result()
        arena.workers.clear()
        for start in [pool.submit(server.start) for server in servers]:
            start.result()
    arena.start_workers(2)


ANYTHING: Final = (
    owner_is_killed,
    owner_sleeps,
    postgres_is_killed,
    broker_is_killed,
    commits_are_cut_before_the_request,
    commits_are_cut_before_the_answer,
    network_is_slow,
    poison_is_sent,
    workers_are_restarted,
    everything_is_killed,
)


def _cut(arena: Arena, cut: Cut) -> None:
    proxy = _proxy(arena)
    for _ in range(3):
        before = proxy.cuts
        proxy.cut(cut, COMMIT)
        end = time.monotonic() + DIES_WITHIN_S
        while proxy.cuts == before:
            if time.monotonic() > end:
                return  # nobody commits any more: the oracle will say why
            time.sleep(POLL_S)
        arena.pause(0.2, 0.8)


def _fill(arena: Arena, server: Server) -> None:
    disk = _disk(arena)
    disk.fill()
    arena.pause(2.0, 3.0)
    disk.empty()
    end = time.monotonic() + DIES_WITHIN_S
    while time.monotonic() < end:
        try:
            return server.start()
        except StackFailed:  # it was still ending
            time.sleep(POLL_S)
    return server.start()


def _cut_power(arena: Arena, server: Server) -> None:
    disk, process = _disk(arena), server.process
    assert process is not None, "it runs"
    disk.cut_power()
    process.signal(signal.SIGKILL)
    process.wait_gone(DIES_WITHIN_S)
    disk.power_up()
    server.start()


def _proxy(arena: Arena) -> Proxy:
    assert arena.proxy is not None, "the drill is proxied"
    return arena.proxy


def _disk(arena: Arena) -> Disk:
    assert arena.ground.disk is not None, "the ground has a disk"
    return arena.ground.disk
