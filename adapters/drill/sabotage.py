"""Workers without a safeguard: what the oracle must catch. For drills only; the product has no such switch.

Each alteration is put in place before the worker serves, in its own process (alter.py).
"""

# ruff: noqa: SLF001 - safeguards are inside
from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple, replace
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Final

PATIENCE_S: Final = 0.3
AHEAD_S: Final = 0.2


def acknowledges_first() -> None:
    """A block is published, and clients so answered, before it is committed."""
    from commands import committer
    from commands.draft import Decided
    from eventstore.blocks import chain

    commit = committer.Committer._commit

    def _commit(self: committer.Committer, decided: Decided) -> None:
        self._on_commit(chain(self.head, decided.content), decided.rows, 0.0)
        time.sleep(AHEAD_S)
        commit(self, decided)

    put(committer.Committer, "_commit", _commit)


def believes_it_arrived() -> None:
    """A connection that is lost inside a commit counts as a commit."""
    from eventstore.blocks import Block
    from eventstore.postgres import PostgresLog

    def _settle(_self: PostgresLog, _block: Block, _cause: str) -> None:
        """It will have."""

    put(PostgresLog, "_settle", _settle)


def retries_blindly() -> None:
    """What was not answered soon is sent again, behind whatever is there by then, and nobody looks whether it arrived."""
    from psycopg.types.numeric import Int4, Int8

    from eventstore import postgres, postgres_reads
    from eventstore.blocks import Block, digest
    from eventstore.postgres_server import connect

    def once(db: Any, block: Block, done: list[bool]) -> None:
        head = postgres_reads.head(db, block.partition)
        behind = replace(block, seq=head.seq + 1, epoch=head.epoch, prev_hash=head.hash, first_event=head.next_event)
        part, *numbers = astuple(replace(behind, hash=digest(behind)))[:8]
        values = (Int4(part), *map(Int8, numbers), *astuple(replace(behind, hash=digest(behind)))[8:])
        row = db.execute(postgres._APPEND, values, binary=True).fetchone()
        done.append(bool(row and row[0]))

    def quiet(db: Any, block: Block, done: list[bool]) -> None:
        with suppress(Exception):  # that nobody looks is the point
            once(db, block, done)

    def append(self: postgres.PostgresLog, block: Block) -> None:
        done: list[bool] = []
        while not any(done):
            done = []  # whoever was given up is not listened to
            try:
                db = connect(self._conninfo)
            except Exception:  # noqa: BLE001
                time.sleep(PATIENCE_S)
                continue
            attempt = threading.Thread(target=quiet, args=(db, block, done), daemon=True)
            attempt.start()
            attempt.join(PATIENCE_S)

    put(postgres.PostgresLog, "append", append)


def forgets_what_it_saw() -> None:
    """Nothing is compared with what was sequenced before. Runs the kernel interpreted, which can be altered."""

    class Interpreted(MetaPathFinder):
        """Finds the sources of the kernel before what was compiled from them."""

        def find_spec(self, name: str, path: Any, _target: ModuleType | None = None) -> ModuleSpec | None:
            if not name.startswith("domain.") or path is None:
                return None
            return spec_from_file_location(name, Path(next(iter(path))) / f"{name.removeprefix('domain.')}.py")

    sys.meta_path.insert(0, Interpreted())
    from domain import apply, dedupe, execute

    def remember(*what: Any) -> None:
        if not dedupe.seen(*what[:4]):
            dedupe.remember(*what)

    put(execute, "seen", lambda *_: False)
    put(execute, "remember", remember)
    put(apply, "remember", remember)


def never_looks_again() -> None:
    """What the brokers acknowledged once counts as there, also for who relays next: the file DRILL_ACKNOWLEDGED says how much."""
    from confluent_kafka import KafkaError

    from eventstore import agreement
    from eventstore.blocks import Block
    from eventstore.publisher import Publisher, Sender

    acknowledged, note = Path(os.environ["DRILL_ACKNOWLEDGED"]), Publisher._note

    def _erred(_self: Sender, _error: KafkaError) -> None:
        """They will have kept what they had."""

    def _note(self: Publisher, block: Block, error: KafkaError | None, offset: int) -> None:
        note(self, block, error, offset)
        acknowledged.write_text(str(self.acknowledged))

    put(Sender, "_erred", _erred)
    put(Publisher, "_note", _note)
    put(agreement, "place", lambda *_: int(acknowledged.read_text() or 0))


def fires_and_forgets() -> None:
    """What was given to the client of Kafka counts as relayed, and nobody looks where the topic ends."""
    from confluent_kafka import Producer

    from eventstore import agreement
    from eventstore.blocks import Block
    from eventstore.kafka import BlocksTopic, client_config
    from eventstore.publisher import Publisher, Sender

    begin, send = Publisher.__init__, Publisher.send

    class Careless(Sender):
        def __init__(self, bootstrap: str) -> None:
            self.out_of_sight = False
            settings = {"acks": 0, "linger.ms": 500, "message.timeout.ms": 700, "message.max.bytes": 2**26}
            Producer.__init__(self, client_config(bootstrap) | settings)

    def careless(self: Publisher, topic: BlocksTopic, after_seq: int, *_: object) -> None:
        begin(self, topic, after_seq, Careless(topic.bootstrap))

    def sent(self: Publisher, block: Block) -> None:
        send(self, block)
        self.acknowledged = block.seq

    put(Publisher, "__init__", careless)
    put(Publisher, "send", sent)
    put(Publisher, "_note", lambda *_: None)
    put(agreement, "place", lambda log, _topic, partition: log.head(partition).seq)


def trusts_the_clock() -> None:
    """A block has the time that the host's clock shows, and nobody minds when that goes back."""
    from commands import committer, writer
    from eventstore.blocks import Block, Content, Head, chain, lay_out

    def now(commands: bytes, events: bytes, _time_ns: int, inputs: bytes) -> Content:
        return lay_out(commands, events, time.time_ns(), inputs)

    def unminded(head: Head, content: Content) -> Block:
        return chain(replace(head, time_ns=0), content)

    put(writer, "lay_out", now)
    put(committer, "chain", unminded)


def skips_what_it_cannot_read() -> None:
    """A record that is no batch is passed over, and nothing is said of it."""
    from adapters import kafka_inbox
    from commands import batch
    from eventstore.kafka import messages

    def is_batch(message: Any) -> bool:
        try:
            batch.decode(message.value() or b"")
        except batch.BadBatch:
            return False
        return True

    def readable(*asked: Any) -> list[Any]:
        return [message for message in messages(*asked) if message.error() is not None or is_batch(message)]

    put(kafka_inbox, "messages", readable)


def hosts_clock_jumps() -> None:
    """No safeguard less: the wall clock is what the system says and what the file that DRILL_CLOCK names says, in seconds."""
    offset, time_ns = Path(os.environ["DRILL_CLOCK"]), time.time_ns

    def shifted_ns() -> int:
        return time_ns() + int(offset.read_text() or "0") * 10**9

    put(time, "time_ns", shifted_ns)
    put(time, "time", lambda: shifted_ns() / 1e9)


def alone() -> None:
    """No safeguard less: the worker is in a consumer group of its own, and so is sure that it owns everything."""
    from adapters import worker

    put(worker, "GROUP", f"outcry-alone-{os.getpid()}")


ALTERATIONS: Final[dict[str, Callable[[], None]]] = {
    alteration.__name__.replace("_", "-"): alteration
    for alteration in (
        acknowledges_first,
        believes_it_arrived,
        retries_blindly,
        forgets_what_it_saw,
        never_looks_again,
        fires_and_forgets,
        trusts_the_clock,
        skips_what_it_cannot_read,
        hosts_clock_jumps,
        alone,
    )
}


def put(owner: Any, name: str, value: Any) -> None:
    """Replace an attribute that is there."""
    assert hasattr(owner, name), f"{owner} has no {name} any more: this alteration alters nothing"
    setattr(owner, name, value)
