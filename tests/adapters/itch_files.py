"""ITCH 5.0 as bytes, packed from the specification's tables and not by our decoder."""

from __future__ import annotations

import struct
from pathlib import Path

# Type -> fields after the header (type, locate 2, tracking 2, timestamp 6), as the specification's tables have them.
SPECIFICATION = {
    "S": "c",
    "R": "8s c c I c c 2s c c c c c I c",
    "H": "8s c c 4s",
    "Y": "8s c",
    "L": "4s 8s c c c",
    "V": "Q Q Q",
    "W": "c",
    "K": "8s I c I",
    "J": "8s I I I I",
    "h": "8s c c",
    "A": "Q c I 8s I",
    "F": "Q c I 8s I 4s",
    "E": "Q I Q",
    "C": "Q I Q c I",
    "X": "Q I",
    "D": "Q",
    "U": "Q Q I I",
    "P": "Q c I 8s I Q",
    "Q": "Q 8s I Q c",
    "B": "Q",
    "I": "Q Q c 8s I I I c c",
    "N": "8s c",
    "O": "8s c I I I Q I I",
}
LENGTHS = {  # of the whole message, from the same tables
    "S": 12, "R": 39, "H": 25, "Y": 20, "L": 26, "V": 35, "W": 12, "K": 28, "J": 35, "h": 21, "A": 36, "F": 40, "E": 31, "C": 36,
    "X": 23, "D": 19, "U": 35, "P": 44, "Q": 40, "B": 19, "I": 50, "N": 20, "O": 48,
}  # fmt: skip


def body(letter: str, *values: int | str, locate: int = 7, time_ns: int = 1_000, tracking: int = 0) -> bytes:
    """One message without its length; text is padded with spaces."""
    codes = SPECIFICATION[letter].split()
    widths = [int(code[:-1] or 1) if code.endswith("s") else 1 for code in codes]
    raw = [value.encode().ljust(width) if isinstance(value, str) else value for value, width in zip(values, widths, strict=True)]
    head = struct.pack(">cHH", letter.encode(), locate, tracking) + time_ns.to_bytes(6, "big")
    return head + struct.pack(">" + "".join(codes), *raw)


def framed(*bodies: bytes) -> bytes:
    """Messages with their lengths before them."""
    return b"".join(struct.pack(">H", len(message)) + message for message in bodies)


def message(letter: str, *values: int | str, locate: int = 7, time_ns: int = 1_000) -> bytes:
    """One message with its length."""
    return framed(body(letter, *values, locate=locate, time_ns=time_ns))


def add(reference: int, side: str, shares: int, price: int, *, time_ns: int = 1_000, locate: int = 7, stock: str = "ACME") -> bytes:
    return message("A", reference, side, shares, stock, price, time_ns=time_ns, locate=locate)


def execute(reference: int, shares: int, match: int, *, time_ns: int = 2_000, locate: int = 7) -> bytes:
    return message("E", reference, shares, match, time_ns=time_ns, locate=locate)


def written(folder: Path, *messages: bytes, name: str = "acme.itch50") -> Path:
    """A file of *messages*."""
    path = folder / name
    path.write_bytes(b"".join(messages))
    return path
