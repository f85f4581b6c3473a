"""Where the doors of a store are: a file in it, there as long as somebody serves the store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

FILE: Final = "doors.json"


class Address(msgspec.Struct, frozen=True):
    """URLs of the doors, and the process that serves them."""

    rest: str
    websocket: str
    pid: int


@contextmanager
def announced(store: Path, rest: str, websocket: str) -> Iterator[None]:
    """Say where they are while the context lasts. Raises OSError."""
    path = store / FILE
    new = path.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(Address(rest, websocket, os.getpid())))
    new.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def of(store: Path) -> Address | None:
    """Where the doors of *store* are; None when nobody serves it. Raises OSError."""
    try:
        found = msgspec.json.decode((store / FILE).read_bytes(), type=Address)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    try:
        os.kill(found.pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return found  # somebody else's process
    return found
