"""The last alerts of a partition, in the memory of a process: what fired, for whom, by which rule."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from projections.alert_rules import Alert, Rule

KEPT: Final = 16_384  # about 1 KB each


class Told(NamedTuple):
    """An alert. seq: the block in which it fired; name: what it is called for ever, in its partition; rule: None, it is not known."""

    partition: int
    seq: int
    name: str
    alert: Alert
    rule: Rule | None


class Fired:
    """The last KEPT of *partition*. One thread adds, any reads.

    floor  every alert after that block is here
    seq    the block up to which alerts are here
    """

    def __init__(self, partition: int, floor: int = 0, kept: int = KEPT) -> None:
        self.partition, self.floor, self.seq, self._kept = partition, floor, floor, kept
        self._all: deque[Told] = deque()
        self._of: defaultdict[int, deque[Told]] = defaultdict(deque)
        self._lock = threading.Lock()
        self.watchers: tuple[Callable[[], None], ...] = ()

    def take(self, alerts: Sequence[Told], seq: int) -> None:
        """All that fired up to block *seq*, in order; those who watch are told that there is more."""
        with self._lock:
            for each in alerts:
                self._all.append(each)
                self._of[each.alert.account].append(each)
            while len(self._all) > self._kept:
                gone = self._all.popleft()
                self._of[gone.alert.account].popleft()
                if not self._of[gone.alert.account]:
                    del self._of[gone.alert.account]
                self.floor = gone.seq
            self.seq = seq
        if alerts:
            for watcher in self.watchers:
                watcher()

    def of(self, account: int) -> list[Told]:
        """Those of an account, as they fired."""
        with self._lock:
            return list(self._of.get(account, ()))

    def since(self, seq: int) -> list[Told]:
        """Those after block *seq* that are here, the last first."""
        found: list[Told] = []
        with self._lock:
            for each in reversed(self._all):
                if each.seq <= seq:
                    break
                found.append(each)
        return found
