"""Messages as bytes: made once for each form in which somebody wants them, however many get it."""

from __future__ import annotations

import zlib
from typing import Final, NamedTuple

import msgspec

DEFLATED_FROM: Final = 256  # bytes; what is shorter is not made smaller
_LEVEL: Final = 1
_RAW: Final = -15  # deflate without a header, window of 32 KiB
_TAIL: Final = b"\x00\x00\xff\xff"
_MSGPACK: Final = msgspec.msgpack.Encoder()
_JSON: Final = msgspec.json.Encoder()


class Form(NamedTuple):
    """How a client wants messages: as msgpack (else JSON), compressed where that pays."""

    is_msgpack: bool = False
    is_deflated: bool = False


class Frame(NamedTuple):
    """What a frame carries, whether it is compressed, and whether it is no text."""

    payload: bytes
    is_deflated: bool = False
    is_binary: bool = False

    def wire(self) -> bytes:
        """The frame as a server sends it (RFC 6455, 5.2)."""
        first, size = (0x82 if self.is_binary else 0x81) | (0x40 if self.is_deflated else 0), len(self.payload)
        if size < 126:
            head = bytes((first, size))
        elif size < 2**16:
            head = bytes((first, 126)) + size.to_bytes(2, "big")
        else:
            head = bytes((first, 127)) + size.to_bytes(8, "big")
        return head + self.payload


class TooLarge(ValueError):
    """A message that would be larger than it may, once it is inflated."""


class Packed:
    """One message, for all who get it. seq: block that it is of; 0: it is for whoever asked, whatever he has."""

    __slots__ = ("_frames", "message", "seq")

    def __init__(self, message: msgspec.Struct) -> None:
        self.message, self.seq = message, 0
        self._frames: list[Frame | None] = [None] * 4

    def frame(self, form: Form) -> Frame:
        """The message in a form."""
        place = form.is_msgpack + 2 * form.is_deflated
        frame = self._frames[place]
        if frame is None:
            frame = self._frames[place] = self._made(form)
        return frame

    def _made(self, form: Form) -> Frame:
        payload = (_MSGPACK if form.is_msgpack else _JSON).encode(self.message)
        if form.is_deflated and len(payload) >= DEFLATED_FROM:
            return Frame(deflate(payload), is_deflated=True, is_binary=form.is_msgpack)
        return Frame(payload, is_binary=form.is_msgpack)


def deflate(payload: bytes) -> bytes:
    """As RFC 7692 has it, without what came before: so that one frame is right for every client."""
    made = zlib.compressobj(_LEVEL, wbits=_RAW)
    return (made.compress(payload) + made.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_TAIL)


def inflate(payload: bytes, most: int) -> bytes:
    """The bytes that were deflated. Raises TooLarge beyond *most*, zlib.error when it is no such thing."""
    made = zlib.decompressobj(wbits=_RAW)
    found = made.decompress(payload + _TAIL, most + 1)
    if len(found) > most:
        raise TooLarge(f"the message has more than {most} bytes when it is inflated")
    return found
