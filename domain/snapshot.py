"""A snapshot is a copy of the vectors: header, then every vector's length and bytes, then a SHA-256 over all of it.

Layout, little-endian: 8 bytes magic, 8 bytes version, 8 bytes number of vectors; per vector 8 bytes length in words and the
words; 32 bytes SHA-256 of everything before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from librt.strings import read_i64_le
from librt.vecs import vec
from mypy_extensions import i64

from domain.columns import COUNTERS, MAX_PARTITION, PARTITION
from domain.state import VECTORS, State
from domain.vectors import placed

MAGIC: Final = b"OUTCRYSN"
SNAPSHOT_VERSION: Final = 2
HEADER_BYTES: Final = 24
HASH_BYTES: Final = 32


class BadSnapshot(ValueError):
    """These bytes are no snapshot that this version can restore: use the record instead."""


def vectors(s: State) -> list[vec[i64]]:
    """The vectors, in the order of VECTORS."""
    return [
        counters(s),
        s.orders,
        s.accounts,
        s.wallets,
        s.instruments,
        s.supplies,
        s.sides,
        s.pages,
        s.expiries,
        s.sessions,
        s.outcomes,
        s.ids,
        s.client_ids,
        s.wallet_index,
        s.page_index,
        s.nodes,
        s.id_index,
    ]


def counters(s: State) -> vec[i64]:
    """The counters as one vector; `set_counters` takes it apart."""
    vector = vec[i64]([0] * COUNTERS)
    vector[0] = s.partition
    vector[1] = s.time_ns
    vector[2] = s.event_count
    vector[3] = s.command_count
    vector[4] = s.order_top
    vector[5] = s.order_free
    vector[6] = s.live_orders
    vector[7] = s.entries
    vector[8] = s.wallet_top
    vector[9] = s.page_top
    vector[10] = s.page_free
    vector[11] = s.page_count
    vector[12] = s.expiry_count
    vector[13] = s.session_top
    vector[14] = s.ids_seen
    vector[15] = s.account_top
    vector[16] = s.instrument_top
    vector[17] = s.incoming
    return vector


def set_counters(s: State, vector: vec[i64]) -> None:
    """Set the counters from the vector that `counters` made."""
    s.partition = vector[0]
    s.time_ns = vector[1]
    s.event_count = vector[2]
    s.command_count = vector[3]
    s.order_top = vector[4]
    s.order_free = vector[5]
    s.live_orders = vector[6]
    s.entries = vector[7]
    s.wallet_top = vector[8]
    s.page_top = vector[9]
    s.page_free = vector[10]
    s.page_count = vector[11]
    s.expiry_count = vector[12]
    s.session_top = vector[13]
    s.ids_seen = vector[14]
    s.account_top = vector[15]
    s.instrument_top = vector[16]
    s.incoming = vector[17]


def pack(s: State) -> bytes:
    """The state as bytes."""
    content = parts(s)
    content.append(hash_of(content))
    return b"".join(content)


def parts(s: State) -> list[bytes | memoryview]:
    """The state as bytes but for the hash at the end, where they lie: not copied, and right only until the state changes."""
    content: list[bytes | memoryview] = [MAGIC, SNAPSHOT_VERSION.to_bytes(8, "little"), len(VECTORS).to_bytes(8, "little")]
    for vector in vectors(s):
        content.append(int(len(vector)).to_bytes(8, "little"))
        content.append(memoryview(vector).cast("B"))
    return content


def hash_of(content: Iterable[bytes | memoryview]) -> bytes:
    """What ends a snapshot: the SHA-256 of everything before."""
    digest = hashlib.sha256()
    for part in content:
        digest.update(part)
    return digest.digest()


def unpack(data: bytes) -> State:
    """The state of a snapshot. Raises BadSnapshot naming what is wrong; nothing is allocated beyond the size of *data*."""
    check_frame(data)
    read: list[vec[i64]] = []
    place: i64 = HEADER_BYTES
    end: i64 = len(data) - HASH_BYTES
    for name in VECTORS:
        if place + 8 > end:
            raise BadSnapshot(f"ends before the vector {name}")
        words = read_i64_le(data, place)
        if words < 0 or words > (end - place - 8) // 8:
            raise BadSnapshot(f"vector {name} claims {words} words, {(end - place - 8) // 8} are left")
        read.append(placed(memoryview(data)[place + 8 : place + 8 + words * 8].cast("q"), words))
        place += 8 + words * 8
    if place != end:
        raise BadSnapshot(f"{end - place} bytes too many after the last vector")
    if len(read[0]) != COUNTERS or not 1 <= read[0][PARTITION] <= MAX_PARTITION:
        raise BadSnapshot("its counters are not those of a partition")
    return state_of(read)


def check_frame(data: bytes) -> None:
    """Magic, version, number of vectors and hash. Raises BadSnapshot."""
    if len(data) < HEADER_BYTES + HASH_BYTES:
        raise BadSnapshot(f"{len(data)} bytes are too short for a snapshot")
    if data[:8] != MAGIC:
        raise BadSnapshot(f"begins with {data[:8]!r}, a snapshot begins with {MAGIC!r}")
    version = int.from_bytes(data[8:16], "little")
    if version != SNAPSHOT_VERSION:
        raise BadSnapshot(f"has version {version}, this program reads version {SNAPSHOT_VERSION}")
    if int.from_bytes(data[16:24], "little") != len(VECTORS):
        raise BadSnapshot(f"has {int.from_bytes(data[16:24], 'little')} vectors, version {SNAPSHOT_VERSION} has {len(VECTORS)}")
    if hash_of([memoryview(data)[:-HASH_BYTES]]) != data[-HASH_BYTES:]:
        raise BadSnapshot("its hash does not match its bytes: damaged")


def state_of(read: list[vec[i64]]) -> State:
    """A state made of vectors in the order of VECTORS."""
    s = State(read[0][PARTITION])
    set_counters(s, read[0])
    s.orders = read[1]
    s.accounts = read[2]
    s.wallets = read[3]
    s.instruments = read[4]
    s.supplies = read[5]
    s.sides = read[6]
    s.pages = read[7]
    s.expiries = read[8]
    s.sessions = read[9]
    s.outcomes = read[10]
    s.ids = read[11]
    s.client_ids = read[12]
    s.wallet_index = read[13]
    s.page_index = read[14]
    s.nodes = read[15]
    s.id_index = read[16]
    return s
