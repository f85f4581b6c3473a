"""A store opened for trading by hand: names and decimals in, readable events out, every command in the record before the answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters import example, names
from adapters.directory import Directory
from adapters.wiring import PARTITION, Store, writing
from commands.codec import events, to_row
from commands.messages import Command, Event


@dataclass(frozen=True, slots=True)
class Market:
    """directory is as of the opening; began says that the store was empty and got the example market."""

    store: Store
    directory: Directory
    began: bool

    def send(self, *commands: Command) -> list[Event]:
        """Decide *commands* and record them as one batch; what became of them. Raises BadRow, Fenced, OutcomeUnknown, StoreFailed."""
        return _send(self.store, commands)


@contextmanager
def trading(folder: Path) -> Iterator[Market]:
    """The market in *folder*; an empty one begins as the example. Raises BadName, Damaged, NewerSchema, StoreFailed, OSError."""
    with writing(folder) as store:
        began = store.log.head(PARTITION).seq == 0
        if began:
            _send(store, tuple(example.commands()))
            names.save(folder, example.NAMES)
        yield Market(store, Directory(store.partition(), names.load(folder)), began)


def _send(store: Store, commands: tuple[Command, ...]) -> list[Event]:
    with store.writer() as writer:
        committed = writer.submit(b"".join(map(to_row, commands))).result()
    return events(committed.events, committed.first_event)
