"""Rows <-> payload of a block."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import numpy as np
import zstandard
from numpy.typing import NDArray

from domain.events import EVENT_BYTES, EVENT_WORDS
from domain.verbs import COMMAND_BYTES, COMMAND_WORDS

MAX_COMMANDS: Final = 16_384
MAX_EVENTS: Final = 2**22
_COUNTS: Final = struct.Struct("<II")


class BadPayload(ValueError):
    """These bytes are no payload; the text says why."""


class Rows(NamedTuple):
    """commands int64[k, 16], events int64[n, 8]"""

    commands: NDArray[np.int64]
    events: NDArray[np.int64]


def encode(commands: bytes, events: bytes) -> bytes:
    """Payload of a block from its command rows and event rows."""
    k, n = len(commands) // COMMAND_BYTES, len(events) // EVENT_BYTES
    assert k * COMMAND_BYTES == len(commands) and k <= MAX_COMMANDS
    assert n * EVENT_BYTES == len(events) and n <= MAX_EVENTS
    return _COUNTS.pack(k, n) + zstandard.ZstdCompressor(1).compress(commands + events)


def decode(payload: bytes) -> Rows:
    """The rows. Raises BadPayload on anything that encode did not make."""
    if len(payload) < _COUNTS.size:
        raise BadPayload("too short")
    k, n = _COUNTS.unpack_from(payload)
    if k > MAX_COMMANDS or n > MAX_EVENTS:
        raise BadPayload("too many rows")
    size = k * COMMAND_BYTES + n * EVENT_BYTES
    try:
        if zstandard.frame_content_size(payload[8:]) != size:
            raise BadPayload("wrong size")
        raw = zstandard.ZstdDecompressor().decompress(payload[8:])
    except zstandard.ZstdError as bad:
        raise BadPayload(str(bad)) from None
    words = np.frombuffer(raw, np.int64)
    return Rows(words[: k * COMMAND_WORDS].reshape(k, COMMAND_WORDS), words[k * COMMAND_WORDS :].reshape(n, EVENT_WORDS))
