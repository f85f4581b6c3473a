"""A partition at one worker: its warm standby, or its writer, and how the one becomes the other.

Who should own a partition is agreed elsewhere (a consumer group, an operator); that somebody does is proved by the record alone: taking
over raises the epoch there, and whoever wrote before is fenced by the storage statement. So it does no harm to be wrong about it.
"""

from __future__ import annotations

import threading

from commands.follower import Follower
from commands.keeper import keep
from commands.ports import OnCommit
from commands.writer import Writer
from eventstore.blocks import Head
from eventstore.ports import BlockLog, SnapshotStore


class Ownership:
    """Partition *partition* of *log*, followed until it is taken over. May be used from several threads.

    seen    the head of the record when it was last followed
    writer  not None while this worker owns the partition, as far as it knows; its `failure` says that it does no longer
    Raises  Damaged, NewerSchema, StoreFailed, from every method that reads the record
    """

    def __init__(self, log: BlockLog, snapshots: SnapshotStore, partition: int, *, inbox_commands: int, snapshot_every_events: int) -> None:
        self._log, self._snapshots, self._partition = log, snapshots, partition
        self._inbox_commands, self._snapshot_every_events = inbox_commands, snapshot_every_events
        self._standby: Follower | None = None
        self.seen: Head | None = None
        self._lock = threading.Lock()
        self.writer: Writer | None = None

    @property
    def followed_seq(self) -> int:
        """The last block that the standby has; 0 while there is none."""
        standby = self._standby
        return 0 if standby is None else standby.head.seq

    def follow(self) -> None:
        """Bring the standby up to date, if this worker is not the owner. A standby that fails is dropped, and rebuilt by the next call."""
        with self._lock:
            if self.writer is None:
                standby, self._standby = self._standby, None
                standby = standby or Follower.open(self._log, self._snapshots, self._partition)
                self.seen = standby.advance()
                self._standby = standby

    def take_over(self, on_commit: OnCommit) -> Writer:
        """Fence whoever writes, apply what is missing, and write from now on. An own writer that failed is dropped.

        on_commit  as for Writer
        """
        with self._lock:
            assert self.writer is None or self.writer.failure is not None, "a partition is taken over by who does not write it"
            standby, self._standby, self.writer = self._standby, None, None
            self.writer = Writer(
                self._log,
                self._snapshots,
                self._partition,
                inbox_commands=self._inbox_commands,
                snapshot_every_events=self._snapshot_every_events,
                warm=standby,
                on_commit=on_commit,
            )
            return self.writer

    def hand_over(self) -> None:
        """Commit what was taken, then follow. Raises what stopped the writer, if anything did; it is no longer the writer then either."""
        with self._lock:
            if self.writer is not None:
                writer, self.writer = self.writer, None
                self._standby = writer.hand_over()

    def close(self) -> None:
        """Hand over, then keep a snapshot: whoever is next need not wait for it. Raises what stopped the writer, if anything did."""
        self.hand_over()
        with self._lock:
            standby, self._standby = self._standby, None
            if standby is not None and standby.state.events > standby.snapshot_event:
                keep(self._snapshots, standby.head, standby.state.snapshot())
