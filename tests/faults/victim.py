"""A process that trades until it is killed: a Writer on a SQLite file, and one client that notes what was acknowledged.

    python -m tests.faults.victim FOLDER SESSION ACKNOWLEDGED [--hasty] [--largest-file BYTES]

The client sends what follows command ACKNOWLEDGED of its session, as one does that lost the connection. A line for everything it learns:

    open STATE_HASH                                the writer is open, in this state
    ack SEQUENCE FIRST_EVENT ROWS CRC32            the batch that ends with SEQUENCE was acknowledged with these event rows
    stopped ERROR TEXT                             the writer stopped, and the process ends with status 3
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import sys
import time
import zlib
from concurrent.futures import Future
from pathlib import Path
from typing import Final

import commands.writer
from commands.committer import Committer
from commands.draft import Decided
from commands.writer import Committed, Full, Stopped, Writer
from domain import verbs as v
from domain.events import EVENT_BYTES
from eventstore.ports import StoreFailed
from eventstore.snapshots import FileSnapshots
from eventstore.sqlite import SqliteLog
from tests import market

PARTITION: Final = 1
OPENING: Final = (  # what session 1 sends first
    market.list_instrument(1),
    market.set_state(v.OPEN),
    market.open_account(1),
    market.deposit(1, market.BASE, 10**9),
    market.deposit(1, market.QUOTE, 10**9),
)


class HastyCommitter(Committer):
    """The negative control: answers when a block is handed over, before it is committed."""

    def hand_over(self, decided: Decided) -> None:
        for future, first_event, events in decided.answers:
            future.set_result(Committed(0, first_event, events))
        super().hand_over(decided._replace(answers=[]))


def command(session: int, sequence: int) -> bytes:
    """Command *sequence* of *session*: the same bytes each time it is sent."""
    if session == 1 and sequence <= len(OPENING):
        row = OPENING[sequence - 1]
    else:
        chance = random.Random(session * 2**32 + sequence)
        row = chance.choice([market.buy, market.sell])(1, chance.randint(1, 5), chance.randint(95, 105))
    return market.with_word(market.with_word(row, v.SESSION, session), v.SEQUENCE, sequence)


def tell(*words: object) -> None:
    """One line, in one write: killed or not, it is there or not."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def trade(writer: Writer, session: int, sequence: int) -> None:
    """Send batches of 1 to 30 commands for ever. Raises Stopped."""
    while True:
        last = sequence + random.randint(1, 30)
        batch = b"".join(command(session, number) for number in range(sequence + 1, last + 1))
        try:
            future = writer.submit(batch)
        except Full:
            time.sleep(0.001)
            continue
        future.add_done_callback(lambda done, last=last: acknowledge(done, last))  # type: ignore[misc]
        sequence = last


def acknowledge(done: Future[Committed], sequence: int) -> None:
    if done.exception() is None:
        _, first_event, events = done.result()
        tell("ack", sequence, first_event, len(events) // EVENT_BYTES, zlib.crc32(events))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("session", type=int)
    parser.add_argument("acknowledged", type=int)
    parser.add_argument("--hasty", action="store_true")
    parser.add_argument("--largest-file", type=int)
    given = parser.parse_args()
    if given.hasty:
        setattr(commands.writer, "Committer", HastyCommitter)  # noqa: B010 - a type is not to be assigned to, except here
    if given.largest_file:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that writing beyond it is an error, not the end
        resource.setrlimit(resource.RLIMIT_FSIZE, (given.largest_file, given.largest_file))
    try:
        log = SqliteLog(given.folder / "record.sqlite")
        writer = Writer(log, FileSnapshots(given.folder / "snapshots"), PARTITION, snapshot_every_events=1_000)
        tell("open", writer.partition.state_hash().hex())
        trade(writer, given.session, given.acknowledged)
    except (Stopped, StoreFailed) as error:
        cause = error.__cause__ if isinstance(error, Stopped) else error
        tell("stopped", type(cause).__name__, cause)
    return 3


if __name__ == "__main__":
    sys.exit(main())
