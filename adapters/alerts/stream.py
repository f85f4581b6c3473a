"""Alerts in Redis: a stream for each partition, in which each that fired stands exactly once.

key                                     holds
outcry:{CLUSTER:alerts:PARTITION}       number of the block up to which alerts are in the stream
  ...:stream                            id SEQ-N: the N-th alert of block SEQ; fields id (its name for ever) and alert (its row)
  ...:stopped                           why whoever evaluates the rules stopped, if he did
  ...:dead                              what could not be delivered (adapters/alerts/deliver.py)

One script adds the alerts and moves the position, and only from the very position that its writer left; as for rows of other views
(adapters/redis_view.py). Without a position there is no stream: who folds the record anew begins a new one, with the same alerts.
One that is made beside the one that is read has @anew behind the braces of its keys, until it takes that one's place.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple, cast

import redis

from adapters.redis_view import RedisView, base_key
from projections.alert_rules import ALERT, Alert
from projections.view import Displaced, Rows

VIEW: Final = "alerts"
STREAM_BOUND: Final = 1_000_000  # of a partition; beyond, the oldest give way, delivered or not. About 250 bytes each
READ_AT_ONCE: Final = 1_000
WRITE: Final = """\
local stream, at = KEYS[1] .. ':stream', redis.call('GET', KEYS[1]) or '0'
if at == ARGV[2] then return at end
if at ~= ARGV[1] then return at end
if at == '0' then redis.call('DEL', stream) end
for i = 4, #ARGV, 3 do
  redis.call('XADD', stream, 'MAXLEN', '~', ARGV[3], ARGV[i], 'id', ARGV[i + 1], 'alert', ARGV[i + 2])
end
redis.call('DEL', KEYS[1] .. ':stopped')
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]
"""
SWITCH: Final = """\
local function at(key) return tonumber(redis.call('GET', key) or '0') end
if at(KEYS[1]) < at(KEYS[2]) then return 0 end
redis.call('DEL', KEYS[2] .. ':stream', KEYS[2] .. ':stopped')
if redis.call('EXISTS', KEYS[1] .. ':stream') == 1 then redis.call('RENAME', KEYS[1] .. ':stream', KEYS[2] .. ':stream') end
redis.call('RENAME', KEYS[1], KEYS[2])
return 1
"""


class Entry(NamedTuple):
    """An alert of the stream. id: its place there, SEQ-N; name: what it is called for ever, in its partition."""

    id: str
    name: str
    alert: Alert

    @property
    def seq(self) -> int:
        """The block in which it fired."""
        return int(self.id.partition("-")[0])


class AlertStream(RedisView):
    """The alerts of a cluster (see projections.view.RemoteView). Every method raises ViewAway. anew: the stream that is made beside it."""

    def __init__(self, client: redis.Redis, cluster: str, stopping: threading.Event | None = None, *, anew: bool = False) -> None:
        super().__init__(client, cluster, VIEW, 0)
        self._anew = anew
        self._add, self._replace = map(client.register_script, (WRITE, SWITCH))
        self._stopping = stopping or threading.Event()

    def write(self, rows: Rows, partition: int, seq: int) -> None:
        """See View: every row is added to the stream."""
        left_at = self.position(partition)
        assert seq > left_at, f"block {seq} for a view that is as of block {left_at}"
        del self._left_at[partition]
        with self._asking(f"writing block {seq} of partition {partition}"):
            found = self._add([self._key(partition)], [left_at, seq, STREAM_BOUND, *_entries(rows, left_at)])
        if int(cast("bytes", found)) != seq:
            raise Displaced(partition, left_at, int(cast("bytes", found)))
        self._left_at[partition] = seq

    def clear(self, partition: int) -> None:
        """Begin without anything."""
        key = self._key(partition)
        self._left_at.pop(partition, None)
        with self._asking(f"taking the stream of partition {partition} away"):
            self._client.unlink(key, f"{key}:stream", f"{key}:stopped")

    def switch(self, partition: int) -> bool:
        """Be the stream that is read from now on, in one step; False: that one is as of a later block."""
        assert self._anew, "only one that is made anew takes another's place"
        with self._asking(f"switching partition {partition}"):
            return bool(self._replace([self._key(partition), base_key(self._cluster, VIEW, partition)]))

    def entries(self, partition: int, seq: int) -> Iterator[tuple[int, int, str, bytes]]:
        """All there are up to block *seq*, oldest first: block, number in it, name and row."""
        last = b"-"
        while True:
            with self._asking(f"reading the stream of partition {partition}"):
                some = self._client.xrange(f"{self._key(partition)}:stream", last, f"{seq}-{2**64 - 1}", READ_AT_ONCE)
            for place, fields in cast("list[tuple[bytes, dict[bytes, bytes]]]", some):
                block, _, number = place.partition(b"-")
                yield int(block), int(number), fields[b"id"].decode(), fields[b"alert"]
                last = b"(" + place
            if not some:
                return

    def count(self, partition: int) -> int:
        """How many there are. Beyond STREAM_BOUND the oldest have given way."""
        with self._asking(f"counting the stream of partition {partition}"):
            return self._client.xlen(f"{self._key(partition)}:stream")

    def _key(self, partition: int) -> str:
        return super()._key(partition) + ("@anew" if self._anew else "")

    def say(self, partition: int, why: str) -> None:
        """See RemoteView. Whoever is told to end while he waits has not met a block that he cannot take in."""
        if not self._stopping.is_set():
            super().say(partition, why)


def stream_key(cluster: str, partition: int) -> str:
    """Where the alerts of a partition are."""
    return f"{base_key(cluster, VIEW, partition)}:stream"


def entry(entry_id: bytes, fields: dict[bytes, bytes]) -> Entry:
    """What Redis gives, read. Raises OtherLayout."""
    return Entry(entry_id.decode(), fields[b"id"].decode(), ALERT.one(fields[b"alert"]))


def _entries(rows: Rows, left_at: int) -> list[str | bytes]:
    """Id, name and row of each. Those of blocks that the stream has are not added: a fold that began before it may hand them over."""
    words: list[str | bytes] = []
    count: Counter[str] = Counter()
    for key, row in rows.items():
        seq = key.split(":", 2)[1]
        if int(seq) > left_at:
            words += (f"{seq}-{count[seq]}", key, row)
            count[seq] += 1
    return words
