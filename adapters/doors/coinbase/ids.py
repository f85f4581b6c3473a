"""Numbers of ours <-> UUIDs of the dialect.

A number becomes a UUID of version 8 (RFC 9562): six bytes that spell "outcry", what it is a number of, and the number; so the one follows
from the other, at every gateway and for ever. A client's own UUID (client_oid) becomes a number of 63 bits by SHA-256. Two of an account
that come to the same number are one to us: among a million of them that happens with a chance of one in ten million.
"""

from __future__ import annotations

import hashlib
from typing import Final
from uuid import UUID

ORDER: Final = 1
CLIENT_ORDER: Final = 2
PROFILE: Final = 3
ACCOUNT: Final = 4
ASSET_BITS: Final = 16
_OUTCRY: Final = "6f757463-7279"
_VERSION: Final = 8
_VARIANT: Final = 0b10
_LOW_BITS: Final = 62
_LOW: Final = 2**_LOW_BITS - 1


class BadId(ValueError):
    """What was given is no UUID."""


def to_uuid(kind: int, number: int) -> str:
    """*number* (64 bits, not below 0) of *kind* (ORDER, ..., 15 at most)."""
    low = f"{_VARIANT << _LOW_BITS | number & _LOW:016x}"
    return f"{_OUTCRY}-{_VERSION}{kind:x}{number >> _LOW_BITS:02x}-{low[:4]}-{low[4:]}"


def of_uuid(kind: int, text: str) -> int | None:
    """The number that a UUID of ours was made of; None: it is not one of *kind*. Raises BadId."""
    uuid = _uuid(text)
    number = (uuid.int >> 64 & 0b11) << _LOW_BITS | uuid.int & _LOW
    return number if to_uuid(kind, number) == str(uuid) else None


def client_order_id(client_oid: str) -> int:
    """Our number for a client's own UUID, or for one that to_uuid made for an order without. Raises BadId."""
    made = of_uuid(CLIENT_ORDER, client_oid)
    if made:
        return made
    return (int.from_bytes(hashlib.sha256(_uuid(client_oid).bytes).digest()[:8]) >> 1) or 1


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise BadId(f"{text!r} is no UUID; right would be for example {to_uuid(ORDER, 1)}") from None
