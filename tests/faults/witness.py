"""What the tests do with a victim: start it, end it, and hold what it acknowledged against the record."""

from __future__ import annotations

import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from commands.outcomes import outcome_rows
from domain import audit
from domain import verbs as v
from domain.events import COMMAND_REPEATED, EVENT_BYTES
from domain.partition import Partition
from eventstore.sqlite import SqliteLog
from tests.faults.victim import PARTITION
from tests.waiting import PATIENCE_S, eventually

REPOSITORY = Path(__file__).parents[2]


class Acknowledged(NamedTuple):
    """A batch that its sender was told is on record."""

    sequence: int
    first_event: int
    rows: int
    checksum: int


class Victim:
    """A running victim of *session* on the store in *folder*; it goes on after command *acknowledged*. Its notes lie beside the folder."""

    def __init__(self, folder: Path, session: int = 1, acknowledged: int = 0, *options: str) -> None:
        self.session = session
        self._notes = folder.parent / f"notes-{time.monotonic_ns()}"
        arguments = [sys.executable, "-m", "tests.faults.victim", str(folder), str(session), str(acknowledged), *options]
        with self._notes.open("wb") as notes:
            self._process = subprocess.Popen(arguments, cwd=REPOSITORY, stdout=notes)

    def notes(self) -> list[list[str]]:
        """The whole lines so far, as words."""
        return [line.split() for line in self._notes.read_text().split("\n")[:-1]]

    def first(self, word: str) -> list[str] | None:
        """The first line that begins with *word*."""
        return next((line for line in self.notes() if line[0] == word), None)

    def wait_for(self, word: str) -> list[str]:
        """The first line that begins with *word*, once it is there."""

        def line() -> list[str] | None:
            ended = self._process.poll() is not None
            found = self.first(word)
            assert found or not ended, f"it ended without {word}: {self.notes()[-1:]}"
            return found

        return eventually(line, lambda: f"it never came to {word}")

    def acknowledged(self) -> list[Acknowledged]:
        return [Acknowledged(*map(int, line[1:])) for line in self.notes() if line[0] == "ack"]

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait(PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def end(self) -> int:
        """Its exit status, once it stopped by itself."""
        return self._process.wait(PATIENCE_S)


def examine(folder: Path, acknowledged: dict[int, list[Acknowledged]]) -> str:
    """Assert that the record in *folder* has all that was acknowledged (session -> batches), once. The hash of its state.

    Reading verifies the chain; applying asserts the invariants of the domain.
    """
    log, partition = SqliteLog(folder / "record.sqlite"), Partition(PARTITION)
    decided: dict[int, list[int]] = {session: [] for session in acknowledged}
    events = bytearray()
    for block in log.read(PARTITION):
        commands, caused = block.rows()
        partition.apply(commands, caused)
        events += caused
        rows = np.frombuffer(commands, "<i8").reshape(-1, v.COMMAND_WORDS)
        outcomes = [caused[start * EVENT_BYTES] for start in outcome_rows(caused)]
        for (session, sequence), kind in zip(rows[:, [v.SESSION, v.SEQUENCE]].tolist(), outcomes, strict=True):
            if session in decided and kind != COMMAND_REPEATED:
                decided[session].append(sequence)
    log.close()
    audit.check(partition)
    for session, batches in acknowledged.items():
        assert decided[session] == list(range(1, len(decided[session]) + 1)), "each command once, and none left out"
        for batch in batches:
            assert batch.sequence <= len(decided[session]), f"acknowledged and not on record: command {batch.sequence} of session {session}"
            promised = events[batch.first_event * EVENT_BYTES : (batch.first_event + batch.rows) * EVENT_BYTES]
            assert zlib.crc32(promised) == batch.checksum, (
                f"command {batch.sequence} of session {session} has other events than were acknowledged"
            )
    return partition.state_hash().hex()
