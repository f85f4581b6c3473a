"""The log of a client's intents: what it means to send, before it sends it; what it was told, once it was told. JSON, a line each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from adapters.drill.market import name_of
from commands.outcomes import Name


class Intent(msgspec.Struct, frozen=True, tag="intent"):
    """A command about to be sent for the first time. row: its 128 bytes."""

    row: bytes

    @property
    def name(self) -> Name:
        """What it is called."""
        return name_of(self.row)


class Again(msgspec.Struct, frozen=True, tag="again"):
    """Commands that are sent once more, under the same names."""

    names: list[Name]


class Told(msgspec.Struct, frozen=True, tag="told"):
    """What became of a command, as its client was told it.

    at_ns    monotonic
    block    number of the block that says it
    kind     of the outcome; when it was a repeat, of the first outcome, and 0 when that is no longer known
    detail   word 1 of that outcome
    repeat   it was told what had become of it before
    """

    name: Name
    at_ns: int
    block: int
    kind: int
    detail: int
    repeat: bool


class Poison(msgspec.Struct, frozen=True, tag="poison"):
    """A record of `commands` that is no batch stands at *offset*; error: what is wrong with it, as the event will say."""

    offset: int
    error: str


Line = Intent | Again | Told | Poison
_DECODER: Final = msgspec.json.Decoder(Line)


class IntentLog:
    """Appends to *path*; what was written is with the system when `write` returns, and outlives whoever is killed."""

    def __init__(self, path: Path) -> None:
        self.path, self._file = path, path.open("ab", buffering=0)

    def write(self, *lines: msgspec.Struct) -> None:
        """All of *lines*, in one go."""
        self._file.write(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))

    def close(self) -> None:
        """Write nothing more."""
        self._file.close()


def read(path: Path) -> Iterator[Line]:
    """What was written."""
    with path.open("rb") as file:
        for line in file:
            yield _DECODER.decode(line)
