"""A partition as a flow needs it, as often as it is needed: set up once, then restored from a snapshot."""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks.flows import Flow
from domain.partition import Partition

NUMBER = 1
_SNAPSHOT_ACCOUNTS = 2_000_000  # beyond, a snapshot beside the state would cost more memory than it saves time


class Market:
    """The state in which a flow begins."""

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


def execute(partition: Partition, batches: Sequence[bytes]) -> tuple[float, list[bytes]]:
    """Seconds to execute *batches*, and the events."""
    began = time.perf_counter()
    happened = [partition.execute(batch) for batch in batches]
    return time.perf_counter() - began, happened


def apply(partition: Partition, batches: Sequence[bytes], happened: Sequence[bytes]) -> float:
    """Seconds to apply what *batches* caused."""
    began = time.perf_counter()
    for batch, events in zip(batches, happened, strict=True):
        partition.apply(batch, events)
    return time.perf_counter() - began
