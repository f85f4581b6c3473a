"""What goes wrong with views: each function does it while views are kept, read and traded on, and mends what must be mended by hand."""

from __future__ import annotations

import shutil
import signal
import time
from datetime import UTC, datetime
from typing import Final

import redis
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from adapters.drill import faults
from adapters.drill.arena import Arena, recorded_head
from adapters.drill.ground import PARTITION
from adapters.drill.load import Load
from adapters.drill.pace import pace
from adapters.drill.view_sabotage import POISON
from adapters.stack.errors import StackFailed
from eventstore import topics
from eventstore.kafka import client_config, messages

MOVE_WITHIN_S: Final = 15.0
HANGS_S: Final = 4.0
TAMPERED_S: Final = 6.0
AT_ONCE: Final = 256
FULL_S: Final = (1.0, 2.0)
ALARMED_WITHIN_S: Final = 10.0
OVERNIGHT_S: Final = 30.0


def keeper_is_killed(arena: Arena) -> None:
    """SIGKILL of the worker that keeps the views; another takes its place."""
    views = arena.views
    views.kill(views.keeper())
    views.start(1)
    views.wait_moved(MOVE_WITHIN_S)


def keeper_sleeps(arena: Arena) -> None:
    """SIGSTOP of the worker that keeps the views until another keeps them, then SIGCONT: it believes that no time has passed."""
    views = arena.views
    keeper = views.keeper()
    keeper.signal(signal.SIGSTOP)
    views.wait_moved(MOVE_WITHIN_S)
    arena.pause(0.1, 1.0)
    keeper.signal(signal.SIGCONT)
    arena.pause(1.0, 2.0)


def keepers_come_and_go(arena: Arena) -> None:
    """A worker of views joins, another leaves in good order, twice, while blocks flow."""
    views = arena.views
    for _ in range(2):
        (new,) = views.start(1)
        arena.pause(0.5, 2.0)
        views.stop(next(each for each in views.workers if each is not new))
        views.wait_moved(MOVE_WITHIN_S)


def redis_is_replaced(arena: Arena) -> None:
    """SIGKILL of Redis; an empty one takes its place."""
    _replace_redis(arena)
    arena.views.wait_moved(MOVE_WITHIN_S)


def redis_is_replaced_overnight(arena: Arena) -> None:
    """SIGKILL of Redis while nobody trades; an empty one takes its place, and views are there before the next trade."""
    assert isinstance(arena.load, Load), "who trades comes in through Kafka"
    with arena.load.resting(MOVE_WITHIN_S):
        head = recorded_head(arena.record)[1]
        arena.views.wait(lambda now: bool(now) and min(now.values()) >= head, MOVE_WITHIN_S)
        _replace_redis(arena)
        if not arena.views.wait(lambda now: bool(now) and min(now.values()) >= head, OVERNIGHT_S):
            arena.findings.append(f"overnight: {OVERNIGHT_S:g} s after Redis was emptied views do not show block {head}, the last")


def redis_is_full(arena: Arena) -> None:
    """Redis has no room for a while, and goes on to be read."""
    client = redis.Redis.from_url(arena.views.url)
    room = client.config_get("maxmemory")["maxmemory"] or 0
    client.config_set("maxmemory", 1)
    looked = len(arena.views.watcher.seen)
    arena.pause(*FULL_S)
    if len(arena.views.watcher.seen) == looked:
        arena.findings.append("full: nobody could read the views while Redis had no room")
    client.config_set("maxmemory", room)
    client.close()


def views_server_is_killed(arena: Arena) -> None:
    """SIGKILL of the server that holds the views, which comes back with what it had."""
    arena.views.server.kill()
    arena.pause(0.0, 1.0)
    arena.views.server.start()
    arena.views.wait_moved(MOVE_WITHIN_S)


def views_server_hangs(arena: Arena, silent_for: float = 0.5) -> None:
    """SIGSTOP of the server that holds the views: it takes calls and answers none. Whoever trades must not notice."""
    server, heard = arena.views.server, arena.load.heard
    began_s = time.monotonic()
    server.kill(signal.SIGSTOP)
    time.sleep(HANGS_S)
    ended_s = time.monotonic()
    server.kill(signal.SIGCONT)
    arena.paces = {"before": pace(heard, arena.began_s, began_s), "meanwhile": pace(heard, began_s, ended_s)}
    paused_s = arena.paces["meanwhile"].longest_pause_s
    if paused_s > silent_for * HANGS_S:
        arena.findings.append(f"trading: nobody was told anything for {paused_s:g} s while views hung for {HANGS_S:g} s")


def views_server_hangs_in_a_crowd(arena: Arena) -> None:
    """As views_server_hangs, where markets share the machine, which alone makes traders pause for half of it."""
    views_server_hangs(arena, silent_for=0.9)


def topic_is_tampered_with(arena: Arena) -> None:
    """What workers of views read: blocks twice, out of order, damaged, from long ago, and some not at all."""
    dice, topic = arena.dice, arena.views.topic
    reader = Consumer(client_config(arena.bootstrap) | {"group.id": "outcry-tampering", "enable.auto.commit": False})
    writer = Producer(client_config(arena.bootstrap) | {"message.max.bytes": topics.MAX_RECORD_BYTES})
    place = TopicPartition(topics.BLOCKS, PARTITION)
    place.offset = reader.get_watermark_offsets(place, timeout=10)[1]
    reader.assign([place])

    def bring(message: Message, value: bytes | None = None) -> None:
        writer.produce(topic, value or message.value(), message.key(), PARTITION, headers=message.headers())

    late: list[Message] = []
    end = time.monotonic() + TAMPERED_S
    while time.monotonic() < end:
        for message in messages(reader, 0.1, AT_ONCE):
            what = dice.random()
            if what < 0.1:
                late.append(message)
                continue
            if what < 0.2:
                continue
            value = bytearray(message.value() or b"")
            if what < 0.25:
                value[dice.randrange(len(value))] ^= 1
            for _ in range(2 if what < 0.35 else 1):
                bring(message, bytes(value))
            if late and what > 0.9:
                bring(dice.choice(late))
        writer.poll(0)
    writer.flush()
    reader.close()


def view_meets_its_poison(arena: Arena) -> None:
    """One view has a bug and cannot take a block in: it stops there with an alarm, the others go on; a release without the bug resumes."""
    views = arena.views
    (ill,) = views.workers
    if not views.wait(lambda now: bool(now) and now["depth"] > POISON, ALARMED_WITHIN_S):
        raise StackFailed(f"the other views did not go on beyond block {POISON}")
    alarm = f"view quotes of partition {PARTITION} stopped before block {POISON}: ZeroDivisionError: a bug"
    if not any(line.get("message") == alarm for line in ill.said()):
        arena.findings.append(f"poison: nobody was told that quotes stopped before block {POISON}")
    shown = {each["view"]: (each["seq"], each["stopped"]) for each in views.shown() if each["stopped"]}
    if shown != {"quotes": (POISON - 1, f"stopped before block {POISON}: ZeroDivisionError: a bug")}:
        arena.findings.append(f"poison: `outcry views` does not say that quotes stand at block {POISON - 1}, and no others: {shown}")
    views.stop(ill)
    views.sabotage = tuple(each for each in views.sabotage if each != "chokes-on-a-block")
    views.start(1)


def everything_is_killed(arena: Arena) -> None:
    """SIGKILL of all servers and all workers at once, those of views too; then everything is started."""
    views, count = arena.views, len(arena.views.workers)
    for worker in list(views.workers):
        views.kill(worker)
    views.server.kill()
    faults.everything_is_killed(arena)
    views.server.start()
    views.start(count)


def anything(arena: Arena) -> None:
    """One fault after the other, to views or to whoever trades, whichever comes, many times; faults.log says which, and when."""
    with (arena.folder / "faults.log").open("w") as log:
        for _ in range(faults.AT_RANDOM):
            fault = arena.dice.choice(ANYTHING)
            print(datetime.now(UTC).isoformat(), fault.__name__, arena.views.watcher.positions(), file=log, flush=True)
            fault(arena)
            arena.load.wait_told(1, faults.BACK_WITHIN_S)
            arena.pause(0.0, 2.0)


ANYTHING: Final = (
    *faults.ANYTHING,
    keeper_is_killed,
    keeper_sleeps,
    keepers_come_and_go,
    views_server_is_killed,
    redis_is_replaced,
    redis_is_full,
    redis_is_replaced_overnight,
    views_server_hangs_in_a_crowd,
    everything_is_killed,
)


def _replace_redis(arena: Arena) -> None:
    server = arena.views.server
    with arena.views.redis_watcher.looking_away():
        server.kill()
        shutil.rmtree(server.folder / "appendonlydir")
        server.start()
