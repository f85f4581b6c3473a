"""A partition as a flow needs it, as often as it is needed, and its two ways through a flow."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from benchmarks.flows import Flow
from domain.partition import Partition

NUMBER: Final = 1
_SNAPSHOT_ACCOUNTS: Final = 2_000_000  # beyond, a snapshot beside the state would cost more memory than it saves time


class Market:
    """The state in which a flow begins: set up once and then restored from a snapshot; set up anew when it is too big for that."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._kept = self._made().snapshot() if flow.accounts <= _SNAPSHOT_ACCOUNTS else None

    def fresh(self) -> Partition:
        """A partition of one's own, set up. Drop the one before first when it is big."""
        return self._made() if self._kept is None else Partition.restore(self._kept)

    def _made(self) -> Partition:
        partition = Partition(NUMBER)
        for batch in self._flow.set_up():
            partition.execute(batch)
        return partition


def events_of(partition: Partition, batches: Sequence[bytes]) -> list[bytes]:
    """The events of each batch: all are kept, so this is not for measuring."""
    return [partition.execute(batch) for batch in batches]


def execute(partition: Partition, batches: Sequence[bytes]) -> float:
    """Seconds to execute *batches*; nobody keeps the events, as nobody keeps those of a block that is committed."""
    began = time.perf_counter()
    for batch in batches:
        partition.execute(batch)
    return time.perf_counter() - began


def apply(partition: Partition, batches: Sequence[bytes], happened: Sequence[bytes]) -> float:
    """Seconds to apply what *batches* caused."""
    began = time.perf_counter()
    for batch, events in zip(batches, happened, strict=True):
        partition.apply(batch, events)
    return time.perf_counter() - began
