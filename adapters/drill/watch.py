"""A reader of views: all the time while things break he reads rows and the position they are said to be as of, and keeps both."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from random import Random
from typing import Any, Final, cast

import redis

from adapters.drill.market import TRADERS
from adapters.drill.record import Found
from adapters.drill.shown import VIEWS, Rows, bucket_of
from adapters.drill.view_oracle import Seen, judge

PAUSE_S: Final = 0.004
RESTS: Final = 4  # times as long as the look before took, when that is longer: a crowded machine has better to do
RESTS_AT_MOST_S: Final = 0.05
PATIENCE_S: Final = 0.3
SCANNED: Final = 1_000
BUCKET_SCRIPT: Final = """\
local base = KEYS[1]
local generation = redis.call('GET', base .. ':generation') or '0'
if generation ~= '0' then base = base .. '@' .. generation end
return {redis.call('GET', base) or '0', redis.call('HGETALL', base .. ':' .. ARGV[1])}
"""
GROUPS: Final[dict[str, Sequence[str]]] = {
    "quotes": ("quote",),
    "depth": ("depth:1",),
    "book": ("book:1",),
    "trades": ("trades",),
    "executions": [f"execution:{account}" for account in range(1, TRADERS + 1)],
    "balances": [f"balance:{account}" for account in range(TRADERS + 1)],
}


class Watcher:
    """Reads groups of rows at random, of the views of *partition* of *cluster* in the Redis at *url*, until `stop`."""

    def __init__(self, url: str, cluster: str, partition: int, dice: Random) -> None:
        self.seen: list[Seen] = []
        self._client = redis.Redis.from_url(url, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S)
        self._cluster, self._partition, self._dice = cluster, partition, dice
        self._life = 0
        self._stop = threading.Event()
        self._reading = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self._thread.start()

    @contextmanager
    def looking_away(self) -> Iterator[None]:
        """Whatever Redis had is taken away meanwhile: from now on views may begin anew."""
        with self._reading:
            self._life += 1
            yield

    def positions(self) -> dict[str, int]:
        """The block that each view is as of; nothing when Redis does not answer."""
        with suppress(redis.RedisError):
            return {view: self._read(view, GROUPS[view][0]).seq for view in VIEWS}
        return {}

    def stop(self) -> None:
        """Read no more."""
        self._stop.set()
        self._thread.join()

    def judge(self, blocks: Sequence[Found]) -> Iterator[str]:
        """What is wrong with what was seen; *blocks* are the record's."""
        return judge(blocks, self.seen, self._partition)

    def read_all(self) -> None:
        """Every row of every view, once; nobody writes any more. Raises redis.RedisError."""
        for view in VIEWS:
            rows: Rows = {}
            keys = cast("Iterator[bytes]", self._client.scan_iter(f"{self._base(view)}*:[0-9]*", SCANNED))
            generation = cast("bytes | None", self._client.get(f"{self._base(view)}:generation")) or b"0"
            of_it = self._base(view) + ("" if generation == b"0" else f"@{generation.decode()}")
            for key in keys:
                if key.decode().rpartition(":")[0] == of_it:
                    rows |= _rows(cast("dict[bytes, bytes]", self._client.hgetall(key)).items())
            self.seen.append(Seen(view, "", self._read(view, GROUPS[view][0]).seq, rows, self._life))

    def _run(self) -> None:
        while not self._stop.is_set():
            view = self._dice.choice(VIEWS)
            with self._reading:
                began_s = time.monotonic()
                with suppress(redis.RedisError):
                    self.seen.append(self._read(view, self._dice.choice(GROUPS[view])))
                took_s = time.monotonic() - began_s
            time.sleep(max(PAUSE_S, min(RESTS * took_s, RESTS_AT_MOST_S)))

    def _read(self, view: str, group: str) -> Seen:
        answer: Any = self._client.eval(BUCKET_SCRIPT, 1, self._base(view), bucket_of(group))
        rows = _rows(zip(answer[1][::2], answer[1][1::2], strict=True))
        return Seen(view, group, int(answer[0]), {key: row for key, row in rows.items() if key.rpartition(":")[0] == group}, self._life)

    def _base(self, view: str) -> str:
        return f"outcry:{{{self._cluster}:{view}:{self._partition}}}"


def _rows(pairs: Any) -> Rows:
    return {key.decode(): row for key, row in pairs}
