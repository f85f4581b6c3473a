"""Alerts of a stack, as its streams bring them: the last ones, then those that come, each once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import Any, Final, cast

import redis

from adapters.alerts.fired import KEPT, Fired, Told
from adapters.alerts.rules import AlertRules
from adapters.alerts.stream import Entry, entry, stream_key
from eventstore.errors import StoreFailed
from projections.alert_rules import Rule
from projections.packed import OtherLayout

BLOCK_MS: Final = 500
AT_ONCE: Final = 1_000
AGAIN_S: Final = 1.0
_LOG: Final = logging.getLogger(__name__)
_Entries = list[tuple[bytes, dict[bytes, bytes]]]


class Streams:
    """Follows the streams of *partitions*, in a thread of its own. Close it.

    fired    by partition
    trouble  why nothing comes now; empty: all is well
    """

    def __init__(self, client: redis.Redis, cluster: str, rules: AlertRules, partitions: Iterable[int]) -> None:
        self._client, self._rules = client, rules
        self._known: dict[tuple[int, int], Rule | None] = {}
        self.fired = {partition: Fired(partition) for partition in partitions}
        self._of = {stream_key(cluster, partition): fired for partition, fired in self.fired.items()}
        self._places: dict[str, str] = {}
        self.trouble = ""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Follow no more."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._follow()
            except (redis.RedisError, StoreFailed, OtherLayout) as away:
                if not self.trouble:
                    _LOG.warning("alerts are not followed, it is tried again: %s", away)
                self.trouble = str(away)
                self._closing.wait(AGAIN_S)

    def _follow(self) -> None:
        for key, fired in self._of.items():
            if key not in self._places:
                self._begin(key, fired)
        while not self._closing.is_set():
            found = cast("list[tuple[bytes, _Entries]]", self._client.xread(cast("Any", self._places), AT_ONCE, BLOCK_MS))
            for name, come in found:
                key = name.decode()
                entries = [entry(*each) for each in come]
                if len(entries) >= AT_ONCE:  # the last block may be there in part
                    last = entries[-1].seq
                    entries = [each for each in entries if each.seq < last] + self._block(key, last)
                self._take(key, entries)
            self.trouble = ""

    def _begin(self, key: str, fired: Fired) -> None:
        """With the last KEPT that are there; the oldest block of them may be there in part, unless it is all there is."""
        come = cast("_Entries", self._client.xrevrange(key, count=KEPT))[::-1]
        entries = [entry(*each) for each in come]
        place = entries[-1].id if entries else "0"
        if len(entries) >= KEPT:
            fired.floor = fired.seq = entries[0].seq
            entries = [each for each in entries if each.seq > fired.floor]
        self._take(key, entries)
        self._places[key] = place

    def _block(self, key: str, seq: int) -> list[Entry]:
        """All alerts of a block: one script added them."""
        return [entry(*each) for each in cast("_Entries", self._client.xrange(key, f"{seq}", f"{seq}"))]

    def _take(self, key: str, entries: list[Entry]) -> None:
        if not entries:
            return
        fired = self._of[key]
        told = [Told(fired.partition, each.seq, each.name, each.alert, self._rule(fired.partition, each.alert.rule)) for each in entries]
        fired.take(told, entries[-1].seq)
        self._places[key] = entries[-1].id

    def _rule(self, partition: int, number: int) -> Rule | None:
        name = partition, number
        if name not in self._known:
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[name] = self._rules.rule(*name)
        return self._known[name]
