"""The single writer of a partition: batch -> events -> block -> commit -> answer.

The executing thread takes batches from the bounded inbox, decides them in memory, where it is alone, and lays out blocks; the
committer's thread seals and commits the ones before. Nobody is answered before the commit. So memory is ahead of the record by a few
blocks; when a commit fails they never were: every sender who waits gets that error, memory is dropped, and who wants to go on
opens a new Writer, which rebuilds from the record.

Bounds: what waits in the inbox (65,536 commands unless told otherwise, Full beyond), one block in the making, BLOCKS_AHEAD
laid out, one being committed. A block holds at most 16,384 commands.

Laying out stays with the executing thread because it is hundreds of short array operations, and each would wait for the
interpreter lock that the kernel holds for milliseconds: in the committer's thread it measured 45 % slower in all. Compression
and hashing are two long steps without the lock: in the committer's thread the whole path measured 10 % faster.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import nullcontext, suppress
from types import MappingProxyType, TracebackType
from typing import Final, Self

import msgspec

from commands.committer import Committer
from commands.draft import Answer, Decided, Draft, fail, received_ns, stamped, tick
from commands.follower import Follower
from commands.inbox import Closed, Inbox, Submission
from commands.keeper import Keeper, keep
from commands.ports import Clock, Committed, Full, Inputs, OnCommit, RowBytes, Stopped
from commands.recovery import Progress
from domain import queries
from domain.columns import MAX_BATCH_COMMANDS
from domain.partition import Partition
from domain.verbs import COMMAND_BYTES
from eventstore.blocks import Block, Head, lay_out
from eventstore.ports import BlockLog, SnapshotStore

__all__ = ["Committed", "Full", "Stopped", "Writer"]

MAX_WAIT_S: Final = 0.002
NO_INPUTS: Final[Inputs] = MappingProxyType({})


def _nobody(_block: Block, _rows: RowBytes, _took_s: float) -> None:
    """Nobody wants to hear of commits."""


class Writer:
    """The one writer of *partition*: whoever wrote it before is fenced from now on. Use it in a `with`, or close it.

    clock                  stamps rows that no door stamped (received_ns 0)
    inbox_commands         bound of the inbox, in commands
    snapshot_every_events  a snapshot is taken after so many events, or once the one before is kept, and on closing
    warm                   the partition as a standby followed it, so that only the blocks since are read; it is used up
    progress               without *warm*: called with blocks read and blocks in all while the partition is rebuilt, before this returns
    on_commit              is told of each block once it is on record (commands/ports.py)
    Raises                 Damaged, NewerSchema, StoreFailed
    """

    def __init__(
        self,
        log: BlockLog,
        snapshots: SnapshotStore,
        partition: int,
        *,
        clock: Clock = time.time_ns,
        inbox_commands: int = 4 * MAX_BATCH_COMMANDS,
        snapshot_every_events: int = 5_000_000,
        warm: Follower | None = None,
        progress: Progress | None = None,
        on_commit: OnCommit = _nobody,
    ) -> None:
        self._number = partition
        self._clock = clock
        self._log, self._snapshots = log, snapshots
        head = log.claim(partition)
        found = warm or Follower.open(log, snapshots, partition, progress)
        found.advance_to(head)
        self._state, self._positions, self._snapshot_event = found.state, found.positions, found.snapshot_event
        self._snapshot_every = snapshot_every_events
        self._failure: BaseException | None = None
        self._inbox = Inbox(inbox_commands)
        self._keeper = Keeper(snapshots)
        self._committer = Committer(log, self._keeper, head, self._inbox.wake, on_commit)
        self._draft = Draft()
        self._thread = threading.Thread(target=self._run, name=f"partition {partition} execute", daemon=True)
        self._thread.start()

    def submit(self, rows: bytes, inputs: Inputs = NO_INPUTS) -> Future[Committed]:
        """Take a batch of 1 to 16,384 command rows (128 bytes each); the future resolves after its commit, and never before.

        inputs  position of each source that is consumed with this batch
        Raises  Full: the inbox is at its bound, nothing was taken; Stopped; ValueError on a length that is no batch
        The future raises Fenced, OutcomeUnknown or StoreFailed when its block could not be committed.
        """
        return self._put(rows, inputs, wait=False)

    def put(self, rows: bytes, inputs: Inputs = NO_INPUTS) -> Future[Committed]:
        """As submit, but wait for room instead of raising Full: for a source that keeps what is not taken yet."""
        return self._put(rows, inputs, wait=True)

    def let_expire(self, now_ns: int) -> None:
        """Have orders that are due by *now_ns* expire, though nobody sends anything; whoever serves asks now and then.

        A full inbox is no matter, the next batch has them expire first; nor is a writer that stopped, which its `failure` says.
        """
        with suppress(Full, Stopped):
            if 0 < self.partition.next_expiry_ns() <= now_ns:
                self.submit(tick(now_ns))

    def write_all(self, batches: Iterable[bytes], on_committed: Callable[[Committed], None] | None = None) -> None:
        """Write *batches* in order, waiting for room instead of raising Full; all are committed when this returns.

        on_committed is called in this thread for each that is, in order, also when one after it fails or *batches* raises.
        Raises as submit and its futures do.
        """
        flight: deque[Future[Committed]] = deque()
        try:
            for batch in batches:
                flight.append(self._put(batch, NO_INPUTS, wait=True))
                while flight and flight[0].done():
                    _report(flight.popleft(), on_committed)
        finally:
            while flight:
                _report(flight.popleft(), on_committed)

    @property
    def partition(self) -> Partition:
        """The state in memory: while batches are in flight, ahead of the record. Raises Stopped once a commit has failed."""
        if self._failure is not None:
            raise Stopped(self._number, self._failure) from self._failure
        return self._state

    @property
    def positions(self) -> Mapping[str, int]:
        """How far each source was consumed: where its reader goes on after a restart."""
        return MappingProxyType(self._positions)

    def last_sequence(self, session: int) -> int:
        """Last sequence of *session*, 0 when it has none. Ask before the first batch of the session is submitted."""
        return queries.last_sequence(self.partition, session)

    @property
    def failure(self) -> BaseException | None:
        """What stopped it; None while it writes."""
        return self._failure

    @property
    def head(self) -> Head:
        """The last block on record."""
        return self._committer.head

    @property
    def waiting_commands(self) -> int:
        """How many commands wait in the inbox."""
        return self._inbox.commands

    @property
    def in_flight_blocks(self) -> int:
        """How many blocks were decided and are not on record yet."""
        return self._committer.in_flight

    def close(self) -> None:
        """Take nothing more, commit what was taken, keep a snapshot. Raises what stopped the writer, if anything did."""
        self._drain()
        if self._state.events > self._snapshot_event:
            keep(self._snapshots, self._committer.head, self._state.snapshot())
            self._snapshot_event = self._state.events

    def hand_over(self) -> Follower:
        """As close, without a snapshot: the state goes on as a warm standby of the partition's next writer."""
        self._drain()
        return Follower(self._log, self._committer.head, self._state, self._positions, self._snapshot_event)

    def _drain(self) -> None:
        self._inbox.close()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with nullcontext() if error is None else suppress(Exception):  # the first error is the one to see
            self.close()

    def _put(self, rows: bytes, inputs: Inputs, *, wait: bool) -> Future[Committed]:
        size = len(rows) // COMMAND_BYTES
        if size * COMMAND_BYTES != len(rows) or not 1 <= size <= MAX_BATCH_COMMANDS:
            raise ValueError(f"a batch is 1 to {MAX_BATCH_COMMANDS} rows of {COMMAND_BYTES} bytes, not {len(rows)} bytes")
        future: Future[Committed] = Future()
        future.set_running_or_notify_cancel()  # from now on it cannot be cancelled: it may be in the record already
        try:
            self._inbox.put(Submission(rows, size, inputs, future), wait=wait)
        except Closed:
            raise Stopped(self._number, self._failure) from self._failure
        return future

    # -- in the executing thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._committer.failure is None and not (self._inbox.finished and self._draft.size == 0):
                self._step()
        except BaseException as error:  # noqa: BLE001 - a broken invariant stops the partition, and senders wait
            self._failure = error
        self._failure = self._failure or self._committer.failure
        self._inbox.close()
        self._committer.finish()
        self._failure = self._failure or self._committer.failure
        if self._failure is not None:
            self._give_up(self._failure)

    def _step(self) -> None:
        """Hand the block over when it has waited long enough, else execute the next batch that comes until then."""
        patience_s = self._patience_s()
        if patience_s == 0:
            self._hand_over()
        elif (submission := self._inbox.take(patience_s)) is not None:
            self._execute(submission)

    def _patience_s(self) -> float | None:
        """How long the block may wait for more commands: not at all while the store is idle, at most MAX_WAIT_S while it is busy."""
        if self._draft.size == 0:
            return None
        if self._committer.is_idle or self._inbox.finished:
            return 0
        if self._committer.is_full:
            return None
        return max(0.0, self._draft.opened_s + MAX_WAIT_S - time.monotonic())

    def _execute(self, submission: Submission) -> None:
        try:
            rows = stamped(submission.rows, self._clock)
            self._expire(max(self._state.time_ns, received_ns(rows)))
            self._make_room(submission.size)
            first_event = self._state.events
            events = self._state.execute(rows)
        except BaseException as error:
            submission.future.set_exception(error)
            raise
        self._draft.add(rows, submission.size, events)
        self._draft.answers.append(Answer(submission.future, first_event, events))
        self._positions.update(submission.inputs)
        if not self._draft.has_room(1):
            self._hand_over()

    def _expire(self, time_ns: int) -> None:
        """Before anything received at *time_ns* is sequenced, orders that are due by then expire."""
        while 0 < self._state.next_expiry_ns() <= time_ns:
            self._make_room(1)
            row = tick(time_ns)
            self._draft.add(row, 1, self._state.execute(row))

    def _make_room(self, size: int) -> None:
        if not self._draft.has_room(size):
            self._hand_over()

    def _hand_over(self) -> None:
        draft = self._draft
        inputs = msgspec.json.encode(self._positions, order="sorted")
        rows = RowBytes(b"".join(draft.commands), b"".join(draft.events))
        content = lay_out(*rows, self._state.time_ns, inputs)
        image = None
        if self._keeper.is_idle and self._state.events - self._snapshot_event >= self._snapshot_every:
            image, self._snapshot_event = self._keeper.take(self._state), self._state.events
        self._draft = Draft()  # not before: if anything above fails, its senders are told
        self._committer.hand_over(Decided(content, rows, self._state.events, draft.answers, image))

    def _give_up(self, error: BaseException) -> None:
        """Memory is ahead of the record: drop it, and tell everyone who still waits."""
        del self._state
        fail(self._draft.answers, error)
        while (submission := self._inbox.take(0)) is not None:
            submission.future.set_exception(error)


def _report(future: Future[Committed], on_committed: Callable[[Committed], None] | None) -> None:
    committed = future.result()
    if on_committed is not None:
        on_committed(committed)
