"""How a fold becomes a view: once, in order, the position written with the rows.

fold   state + block -> changed rows; knows nothing of where rows go or who drives it
view   keeps rows, and with them the position they are as of
runner reads blocks and calls advance(): in process (projections/runner.py), or a worker fed by the topic
"""

from __future__ import annotations

import threading
from typing import Protocol, TypeAlias, runtime_checkable

from projections.columns import Columns

Rows: TypeAlias = dict[str, bytes]


class Fold(Protocol):
    """A pure fold over the blocks of one partition: the same blocks give the same rows, on every machine.

    One with a true `takes_runs` may be given several blocks at once (projections/runs.py).
    """

    @property
    def version(self) -> int:
        """Rises when state() says something else, or other rows come of the same blocks: a state of another is not begun from."""

    def fold(self, block: Columns) -> Rows:
        """Take the next block in; the rows that changed, whole (an empty value: gone)."""

    def state(self) -> bytes:
        """All it knows, for restore(): a runner may keep it so as not to begin at the first block again."""

    def restore(self, state: bytes) -> None:
        """Become the fold that said *state*."""


@runtime_checkable
class Whole(Fold, Protocol):
    """A fold whose state has all that it shows, so that an empty view can begin with it."""

    def rows(self, partition: int) -> Rows:
        """Every row there is, as of the block that the fold is as of."""


class View(Protocol):
    """Where rows are looked at. Its definition is tests/contracts/test_view.py. All of it raises ViewAway."""

    def position(self, partition: int) -> int:
        """Number of the block the rows are as of; 0: none yet."""

    def write(self, rows: Rows, partition: int, seq: int) -> None:
        """Keep *rows* and the position in one write, so that neither is ever seen alone. Raises Displaced."""


class RemoteView(View, Protocol):
    """A view outside this process, whose readers are told why it stands still."""

    @property
    def rows_at_once(self) -> int:
        """When as many rows wait they are written, be there more blocks to take in or not."""

    def say(self, partition: int, why: str) -> None:
        """Leave word why the view stands still; the next write takes it away. Raises ViewAway."""

    def forget(self, partition: int) -> None:
        """As this object left it counts no longer: the view is asked for its position when that is asked for next."""


class Gap(Exception):
    """Blocks are missing before this one. Read them from the record, from *expected* on."""

    def __init__(self, partition: int, expected: int, got: int) -> None:
        super().__init__(
            f"partition {partition}: block {expected} comes next, got {got}; read the blocks from {expected} on from the record"
        )
        self.partition, self.expected, self.got = partition, expected, got


class Stopped(Exception):
    """An earlier block could not be taken in, so this projection may be half of it. Make a new one and read the record again."""


class ViewAway(OSError):
    """The view cannot be asked or written now. What it has stays; what was being written is there whole or not at all."""


class Displaced(Exception):
    """The view is not as its writer left it, or is behind the fold that writes it: rows would be missing that do not change again."""

    def __init__(self, partition: int, left_at: int, found_at: int) -> None:
        super().__init__(
            f"partition {partition}: the view is as of block {found_at}, was left as of {left_at}: another writes it, or it lost what it "
            f"had; see that there is one writer, then make a new projection with a state as of block {found_at} or before"
        )
        self.partition, self.left_at, self.found_at = partition, left_at, found_at


class Projection:
    """One fold of one partition, and the view it keeps.

    seq    the block *fold* is as of: 0 for a new one, else that of the state it was restored from
    waits  rows that take() has and write() has not yet

    A fold that begins before the position of its view (a restart) takes the blocks in and writes nothing until it is beyond.
    """

    def __init__(self, partition: int, fold: Fold, view: View, seq: int = 0) -> None:
        self.partition, self.fold, self.view, self.seq = partition, fold, view, seq
        self.waits: Rows = {}
        self._written = seq
        self._failed_at = 0
        self._is_whole = False  # what waits is all there is, and may not come on top of anything
        self._within = list[range]()  # of runs that wait, all blocks but the last: a view as of one may lack rows that changed back since

    @classmethod
    def of_empty(cls, partition: int, fold: Whole, view: View, seq: int) -> Projection:
        """*view* is empty: all that *fold* shows as of block *seq* is what it gets first."""
        projection = cls(partition, fold, view, seq)
        projection.waits, projection._written, projection._is_whole = fold.rows(partition), 0, True
        return projection

    def advance(self, block: Columns) -> bool:
        """Take *block* in and write it; False when it was taken in before. Raises what take() and write() raise."""
        taken = self.take(block)
        self.write()
        return taken

    def take(self, block: Columns) -> bool:
        """Fold *block*, its rows wait to be written; False when it was taken in before. Raises Gap, Stopped, what the fold raises."""
        assert block.partition == self.partition, f"block of partition {block.partition} for a projection of {self.partition}"
        self._refuse_to_go_on_half_way()
        if block.seq <= self.seq:
            return False
        if block.first_seq != self.seq + 1:
            raise Gap(self.partition, self.seq + 1, block.first_seq)
        self._failed_at = block.seq
        rows = self.fold.fold(block)
        self.seq, self._failed_at = block.seq, 0
        if block.first_seq < block.seq:
            self._within.append(range(block.first_seq, block.seq))
        if self.waits:
            self.waits.update(rows)  # rows are whole: of several blocks the last says it
        else:
            self.waits = rows
        return True

    def write(self) -> None:
        """Write what waits, of however many blocks, as of the last of them. Raises ViewAway, Displaced (also when nothing waits), what else
        the view raises.

        After ViewAway and Displaced the rows still wait: call again, before or after more blocks.
        """
        at = self.view.position(self.partition)
        if at < self._written or (self._is_whole and 0 < at < self.seq):
            raise Displaced(self.partition, self._written or self.seq, at)
        if self.seq == self._written:
            return
        if any(at in blocks for blocks in self._within):
            raise Displaced(self.partition, self.seq, at)
        if at < self.seq:
            try:
                self.view.write(self.waits, self.partition, self.seq)
            except (ViewAway, Displaced):
                raise
            except BaseException:
                self._failed_at = self.seq
                raise
        self._written, self.waits, self._is_whole = self.seq, {}, False
        self._within.clear()

    def _refuse_to_go_on_half_way(self) -> None:
        if self._failed_at:
            raise Stopped(
                f"partition {self.partition}: stopped at block {self._failed_at}; make a new projection and read the record again"
            )


class MemoryView:
    """A view in this process, to be read from any thread. Bound: one entry per row of its fold.

    One thread writes. Who reads takes no lock, but looks whether a write began meanwhile, and waits for that one if so.
    """

    def __init__(self) -> None:
        self.rows: Rows = {}
        self._groups: dict[str, dict[str, None]] = {}  # what a key begins with -> the keys, in the order in which they came
        self._begun: dict[int, int] = {}  # the block that is, or was last, being written
        self._positions: dict[int, int] = {}
        self._lock = threading.Lock()

    def position(self, partition: int) -> int:
        """See View."""
        return self._positions.get(partition, 0)

    def write(self, rows: Rows, partition: int, seq: int) -> None:
        """See View."""
        with self._lock:
            self._begun[partition] = seq
            for key in [key for key in rows if key not in self.rows]:
                self._groups.setdefault(group_of(key), {})[key] = None
            self.rows.update(rows)
            for gone in [key for key, row in rows.items() if not row]:
                del self.rows[gone]
                members = self._groups[group_of(gone)]
                del members[gone]
                if not members:
                    del self._groups[group_of(gone)]
            self._positions[partition] = seq

    def read(self, key: str, partition: int) -> tuple[bytes, int]:
        """A row (empty: there is none) and the block it is as of."""
        seq, row = self.position(partition), self.rows.get(key, b"")
        if self._begun.get(partition, 0) == seq:
            return row, seq
        with self._lock:
            return self.rows.get(key, b""), self.position(partition)

    def group(self, group: str, partition: int) -> tuple[Rows, int]:
        """The rows whose keys are *group*, a colon and one part more; and the block they are as of."""
        seq = self.position(partition)
        rows = {key: self.rows.get(key, b"") for key in tuple(self._groups.get(group, ()))}
        if self._begun.get(partition, 0) == seq:
            return rows, seq
        with self._lock:
            return {key: self.rows[key] for key in self._groups.get(group, ())}, self.position(partition)


def group_of(key: str) -> str:
    """All of a key but its last part."""
    return key.rpartition(":")[0]
