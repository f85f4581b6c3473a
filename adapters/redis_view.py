"""Views in Redis, for every process that reads them.

key                                     holds
outcry:{CLUSTER:VIEW:PARTITION}         number of the block the rows are as of
  ...:BUCKET                            hash: key of a row -> the row; BUCKET = CRC-32 of the key without its last part, modulo BUCKETS
  ...:stopped                           why whoever keeps the view stopped, if he did
  ...:generation                        N when the view was rebuilt: its keys then begin outcry:{CLUSTER:VIEW:PARTITION}@N

So a group of rows (`balance:7`) lies in one bucket, and many small rows share one: 10 M balances take 50 bytes each,
and would take 180 with a key of their own. The braces keep all of a partition's view on one node where Redis is a cluster.

One script, sent once a block, writes rows and position. It does so only on the very position that its writer left: a Redis that came back
without its last writes, an empty one in its place and a second writer are noticed before a row is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, TypeAlias, cast
from zlib import crc32

import msgspec
import redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError  # noqa: A004 - Redis's own
from redis.retry import Retry

from projections.view import Displaced, Rows, ViewAway

Word: TypeAlias = int | str | msgspec.Raw
KEEPS_ALL: Final = "noeviction"
BUCKETS: Final = 65_536
BYTES: Final = b"\xdb"  # how MessagePack used to begin bytes: the only way that Redis's Lua knows
KEYS_AT_ONCE: Final = 4_096
ROWS_AT_ONCE: Final = 1_000  # of one bucket in one command: Lua hands over no more than 7,999 values
_BASE: Final = """\
local base, generation = KEYS[1], ARGV[1]
if generation == '' then generation = redis.call('GET', base .. ':generation') or '0' end
if generation ~= '0' then base = base .. '@' .. generation end
"""
WRITE: Final = f"""{_BASE}\
local at = redis.call('GET', base) or '0'
if at == ARGV[3] then return at end
if at ~= ARGV[2] then return at end
local kept, gone = unpack(cmsgpack.unpack(ARGV[4]))
for _, row in ipairs(kept) do redis.call('HSET', base .. ':' .. row[1], unpack(row, 2)) end
for _, row in ipairs(gone) do redis.call('HDEL', base .. ':' .. row[1], unpack(row, 2)) end
redis.call('DEL', base .. ':stopped')
redis.call('SET', base, ARGV[3])
return ARGV[3]
"""
READ: Final = f"""{_BASE}\
return {{redis.call(ARGV[2], base .. ':' .. ARGV[3], unpack(ARGV, 4)), redis.call('GET', base)}}
"""  # a script, since a full Redis refuses even to be read between MULTI and EXEC
STATUS: Final = f"""{_BASE}\
return {{redis.call('GET', base) or '0', generation, redis.call('GET', base .. ':stopped') or ''}}
"""
SAY: Final = f"{_BASE} redis.call('SET', base .. ':stopped', ARGV[2])"
SWITCH: Final = """\
local function at(generation) return tonumber(redis.call('GET', KEYS[1] .. (generation == '0' and '' or '@' .. generation)) or '0') end
local old = redis.call('GET', KEYS[1] .. ':generation') or '0'
if at(ARGV[1]) < at(old) then return old end
redis.call('SET', KEYS[1] .. ':generation', ARGV[1])
return ARGV[1]
"""


def connect(url: str, *, patience_s: float = 1.0) -> redis.Redis:
    """A client that tries again for *patience_s*, or some times as long when Redis takes calls and is silent.

    Trying again repeats nothing: a block that is there already is not written a second time.
    """
    return redis.Redis.from_url(
        url,
        socket_timeout=patience_s,
        socket_connect_timeout=patience_s,
        retry=Retry(ExponentialBackoff(cap=patience_s / 4, base=0.01), retries=8),
        retry_on_error=[BusyLoadingError, ConnectionError, TimeoutError],
    )


class Status(NamedTuple):
    """What is known of a view without reading it. stopped: why it stands still, empty when nobody said so."""

    seq: int
    generation: int
    stopped: str


class RedisView:
    """A view of a cluster in Redis: see projections.view.RemoteView. Any number of objects read it, one writes it.

    cluster     id that keeps several records apart in one Redis
    name        of the view: quotes
    generation  None: whichever is looked at now; else that one, looked at or not
    Every method raises ViewAway.
    """

    rows_at_once: Final = 20_000  # a script that writes as many small ones keeps Redis from its readers for 20 ms

    def __init__(self, client: redis.Redis, cluster: str, name: str, generation: int | None = None) -> None:
        self._client, self._cluster, self.name = client, cluster, name
        self._generation = "" if generation is None else str(generation)
        self._write, self._read, self._status, self._say = map(client.register_script, (WRITE, READ, STATUS, SAY))
        self._left_at: dict[int, int] = {}

    def position(self, partition: int) -> int:
        """See View. Asked once, then as this object left it."""
        if partition not in self._left_at:
            with self._asking(f"reading the position of partition {partition}"):
                self._refuse_eviction()
            self._left_at[partition] = self.status(partition).seq
        return self._left_at[partition]

    def status(self, partition: int) -> Status:
        """As Redis has it now."""
        with self._asking(f"reading the position of partition {partition}"):
            seq, generation, stopped = cast("list[bytes]", self._status([self._key(partition)], [self._generation]))
        return Status(int(seq), int(generation), stopped.decode())

    def say(self, partition: int, why: str) -> None:
        """See RemoteView."""
        with self._asking(f"saying why partition {partition} stands still"):
            self._say([self._key(partition)], [self._generation, why])

    def forget(self, partition: int) -> None:
        """See RemoteView."""
        self._left_at.pop(partition, None)

    def write(self, rows: Rows, partition: int, seq: int) -> None:
        """See View. Raises Displaced; after it and after ViewAway the position is asked anew."""
        left_at = self.position(partition)
        assert seq > left_at, f"block {seq} for a view that is as of block {left_at}"
        del self._left_at[partition]
        with self._asking(f"writing block {seq} of partition {partition}"):
            found = self._write([self._key(partition)], [self._generation, left_at, seq, msgspec.msgpack.encode(_by_bucket(rows))])
        if int(cast("bytes", found)) != seq:
            raise Displaced(partition, left_at, int(cast("bytes", found)))
        self._left_at[partition] = seq

    def read(self, key: str, partition: int) -> tuple[bytes, int]:
        """A row (empty: there is none) and the block it is as of."""
        row, seq = self._together(partition, "hget", bucket_of(key), key)
        return row or b"", seq

    def group(self, group: str, partition: int) -> tuple[Rows, int]:
        """The rows whose keys are *group*, a colon and one part more, in no order; and the block they are as of."""
        found, seq = self.bucket(bucket_of(f"{group}:"), partition)
        return {key: row for key, row in found.items() if key.rpartition(":")[0] == group}, seq

    def bucket(self, number: int, partition: int) -> tuple[Rows, int]:
        """All rows of a bucket, in no order; and the block they are as of."""
        found, seq = self._together(partition, "hgetall", number)
        return {key.decode(): row for key, row in zip(found[::2], found[1::2], strict=True)}, seq

    def _refuse_eviction(self) -> None:
        policy = cast("dict[str, str]", self._client.info("memory"))["maxmemory_policy"]
        if policy != KEEPS_ALL:
            raise ViewAway(
                f"view {self.name}: Redis drops rows when it is full, and nobody would know (maxmemory-policy is {policy}); "
                f"right would be {KEEPS_ALL}, with which it refuses to be written"
            )

    def switch(self, partition: int) -> bool:
        """Let this generation be looked at from now on, in one step; False: the one looked at is as of a later block."""
        with self._asking(f"switching partition {partition} to generation {self._generation}"):
            now = self._client.register_script(SWITCH)([self._key(partition)], [self._generation])
        return cast("bytes", now).decode() == self._generation

    def clear(self, partition: int) -> None:
        """Take this generation's rows and position away, wherever it stopped. It is not the one looked at."""
        assert self._generation, "which generation is taken away is said, not asked"
        base = self._key(partition) + ("" if self._generation == "0" else f"@{self._generation}")
        self._left_at.pop(partition, None)
        with self._asking(f"taking generation {self._generation} of partition {partition} away"):
            self._client.unlink(base, f"{base}:stopped")  # the position first: what is half gone is not gone on with
            for first in range(0, BUCKETS, KEYS_AT_ONCE):
                self._client.unlink(*(f"{base}:{number}" for number in range(first, first + KEYS_AT_ONCE)))

    def _together(self, partition: int, command: str, bucket: int, *arguments: str) -> tuple[Any, int]:
        """What *command* says of a bucket, and the position at that moment."""
        with self._asking(f"reading partition {partition}"):
            answer, position = cast("list[Any]", self._read([self._key(partition)], [self._generation, command, bucket, *arguments]))
        return answer, int(position or 0)

    def _key(self, partition: int) -> str:
        return base_key(self._cluster, self.name, partition)

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as failed:
            raise ViewAway(
                f"view {self.name}: {what}: Redis: {failed}; it goes on when Redis answers, and has room (maxmemory)"
            ) from failed


def base_key(cluster: str, view: str, partition: int) -> str:
    """Where the position of a view stands; what all of its other keys begin with."""
    return f"outcry:{{{cluster}:{view}:{partition}}}"


def bucket_of(key: str) -> int:
    """Where the row of *key* lies, with all of its group."""
    return crc32(key.rpartition(":")[0].encode()) % BUCKETS


def _by_bucket(rows: Rows) -> tuple[list[list[Word]], list[list[Word]]]:
    """What is kept: bucket, key, row, key, row, ...; what is gone: bucket, key, key, ..."""
    kept: dict[int, list[Word]] = {}
    gone: dict[int, list[Word]] = {}
    for key, row in rows.items():
        if row:
            kept.setdefault(bucket_of(key), []).extend((key, msgspec.Raw(BYTES + len(row).to_bytes(4, "big") + row)))
        else:
            gone.setdefault(bucket_of(key), []).append(key)
    return _lines(kept, 2 * ROWS_AT_ONCE), _lines(gone, ROWS_AT_ONCE)


def _lines(buckets: dict[int, list[Word]], longest: int) -> list[list[Word]]:
    return [[bucket, *words[at : at + longest]] for bucket, words in buckets.items() for at in range(0, len(words), longest)]
