"""Workers whose views lack a safeguard, or have a bug; and a market that waits for its views. See sabotage.py."""

# ruff: noqa: SLF001 - safeguards are inside
from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from adapters.drill.sabotage import put

APART_S: Final = 0.002
WAITS_S: Final = 60.0
POISON: Final = 40  # number of the block


def parts_rows_from_position() -> None:
    """The position is written first and the rows a moment later, wherever the view was."""
    from adapters.redis_view import RedisView, bucket_of
    from projections.view import Rows

    def write(self: RedisView, rows: Rows, partition: int, seq: int) -> None:
        base = self._key(partition)
        with self._asking("writing"):
            self._client.set(base, seq)
            time.sleep(APART_S)
            for key, row in rows.items():
                self._client.hset(f"{base}:{bucket_of(key)}", key, row) if row else self._client.hdel(f"{base}:{bucket_of(key)}", key)
        self._left_at[partition] = seq

    put(RedisView, "write", write)


def writes_blindly() -> None:
    """A block counts as shown once it was sent to Redis; nobody looks whether it arrived, nor what was there before."""
    import redis

    from adapters import redis_view
    from adapters.redis_view import RedisView, bucket_of
    from projections.view import Rows

    def write(self: RedisView, rows: Rows, partition: int, seq: int) -> None:
        base = self._key(partition)
        with suppress(redis.RedisError), self._client.pipeline() as both:
            for key, row in rows.items():
                both.hset(f"{base}:{bucket_of(key)}", key, row) if row else both.hdel(f"{base}:{bucket_of(key)}", key)
            both.set(base, seq)
            both.execute()
        self._left_at[partition] = seq

    put(redis_view, "connect", lambda url: redis.Redis.from_url(url, socket_timeout=0.2, retry=None))
    put(RedisView, "write", write)


def believes_the_topic() -> None:
    """What the topic brings is what comes next: that blocks are missing is not noticed."""
    from projections.columns import Columns
    from projections.view import Projection

    take = Projection.take

    def believing(self: Projection, block: Columns) -> bool:
        self.seq = max(self.seq, block.seq - 1)
        return take(self, block)

    put(Projection, "take", believing)


def passes_over_poison() -> None:
    """A block that a view cannot take in is left out, and nothing is said of it."""
    from projections.columns import Columns
    from projections.view import Gap, Projection

    take = Projection.take

    def passing(self: Projection, block: Columns) -> bool:
        try:
            return take(self, block)
        except Gap:
            raise
        except Exception:  # noqa: BLE001 - whatever it is
            self.seq, self._failed_at = block.seq, 0
            return True

    put(Projection, "take", passing)


def chokes_on_a_block() -> None:
    """No safeguard less, a bug: quotes cannot take block POISON in."""
    from projections.columns import Columns
    from projections.quotes import Quotes
    from projections.view import Rows

    fold = Quotes.fold

    def choking(self: Quotes, block: Columns) -> Rows:
        if block.first_seq <= POISON <= block.seq:
            raise ZeroDivisionError("a bug")
        return fold(self, block)

    put(Quotes, "fold", choking)


def never_looks_at_views() -> None:
    """That Redis lost what it had is noticed when there is something to write."""
    from projections.keeper import Keeper

    def looking_away(self: Keeper) -> None:
        """Nothing is looked at."""

    put(Keeper, "_look", looking_away)


def documents_last() -> None:
    """Of the audit index the position is written first, the documents a moment later."""
    from adapters.search.view import OpenSearchView

    file, move, later = OpenSearchView._file, OpenSearchView._put, list[Callable[[], object]]()

    def filed(self: OpenSearchView, *what: Any) -> int:
        later.append(lambda: file(self, *what))
        return 0

    def moved(self: OpenSearchView, *to: Any) -> Any:
        left = move(self, *to)
        time.sleep(APART_S)
        while later:
            later.pop(0)()
        return left

    put(OpenSearchView, "_file", filed)
    put(OpenSearchView, "_put", moved)


def trades_wait_for_views() -> None:
    """Whoever trades asks the server of the views, which DRILL_VIEWS names, about each block before he answers."""
    import httpx
    import redis

    from commands import committer
    from commands.draft import Decided

    url, commit = os.environ["DRILL_VIEWS"], committer.Committer._commit
    ask: Callable[[], object] = redis.Redis.from_url(url).ping if url.startswith("unix") else lambda: httpx.get(url, timeout=WAITS_S)

    def waiting(self: committer.Committer, decided: Decided) -> None:
        ask()
        commit(self, decided)

    put(committer.Committer, "_commit", waiting)


def _named(*alterations: Callable[[], None]) -> dict[str, Callable[[], Any]]:
    return {alteration.__name__.replace("_", "-"): alteration for alteration in alterations}


ALTERATIONS: Final = _named(
    parts_rows_from_position,
    writes_blindly,
    never_looks_at_views,
    documents_last,
    believes_the_topic,
    passes_over_poison,
    chokes_on_a_block,
    trades_wait_for_views,
)
