"""The alerts of all partitions, read from their streams."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

import redis

from adapters.alerts.stream import Entry, entry, stream_key
from adapters.redis_view import base_key
from projections.view import ViewAway

BLOCK_MS: Final = 500
AT_ONCE: Final = 1_000


def entries(client: redis.Redis, cluster: str, partitions: int, last: int, *, once: bool = False) -> Iterator[tuple[int, Entry]]:
    """Partition and alert: the *last* ones of each stream, then those that come, unless *once*. Raises ViewAway."""
    keys = {stream_key(cluster, partition): partition for partition in range(1, partitions + 1)}
    places: dict[str, str] = {}
    try:
        for key, partition in keys.items():
            begun = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrevrange(key, count=max(last, 1)))[::-1]
            places[key] = begun[-1][0].decode() if begun else "0"
            for place, fields in begun[-last:] if last else ():
                yield partition, entry(place, fields)
        while not once:
            found = cast("list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]", client.xread(cast("Any", places), AT_ONCE, BLOCK_MS))
            for key_read, come in found:
                for place, fields in come:
                    places[key_read.decode()] = place.decode()
                    yield keys[key_read.decode()], entry(place, fields)
    except redis.RedisError as failed:
        raise ViewAway(f"alerts: Redis: {failed}") from failed


def dead_key(cluster: str, partition: int) -> str:
    """Where what could not be delivered is."""
    return f"{base_key(cluster, 'alerts', partition)}:dead"


def dead_letters(client: redis.Redis, cluster: str, partition: int) -> list[dict[str, Any]]:
    """What could not be delivered, oldest first. Raises ViewAway."""
    try:
        found = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(dead_key(cluster, partition)))
    except redis.RedisError as failed:
        raise ViewAway(f"alerts: Redis: {failed}") from failed
    return [{name.decode(): value.decode(errors="replace") for name, value in fields.items() if name != b"alert"} for _, fields in found]
