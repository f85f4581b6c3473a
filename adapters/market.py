"""A store opened for trading by hand: names and decimals in, readable events out, every command in the record before the answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from adapters import example, names
from adapters.directory import Directory
from adapters.settings import Settings
from adapters.wiring import writing
from commands.codec import events, to_row
from commands.messages import Command, Event
from commands.writer import Writer


@dataclass(frozen=True, slots=True)
class Market:
    """directory is as of the opening; began says that the store was empty and got the example market."""

    writer: Writer
    directory: Directory
    began: bool

    def send(self, *commands: Command) -> list[Event]:
        """Decide *commands* and record them as one batch; what became of them. Raises BadRow, Fenced, OutcomeUnknown, StoreFailed."""
        return _send(self.writer, commands)


@contextmanager
def trading(settings: Settings) -> Iterator[Market]:
    """The market of a store; an empty one begins as the example. Raises BadName, Damaged, NewerSchema, StoreFailed, OSError."""
    with writing(settings) as store, store.writer() as writer:
        began = writer.partition.events == 0
        if began:
            names.save(settings.store, example.NAMES)
            _send(writer, example.commands())
        yield Market(writer, Directory(writer.partition, names.load(settings.store)), began)


def _send(writer: Writer, commands: Iterable[Command]) -> list[Event]:
    committed = writer.submit(b"".join(map(to_row, commands))).result()
    return events(committed.events, committed.first_event)
