"""A record opened for trading by hand: names and decimals in, readable events out, every command on record before the answer.

Embedded, this process is the partition's writer. In a stack it is a client like any other: it reads the record to know what is listed,
sends its commands through Kafka, and learns from the committed blocks what became of them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final

import msgspec

from adapters import example, names
from adapters.directory import Directory
from adapters.settings import Settings
from adapters.wiring import Store, reading, writing
from commands import batch, wellformed
from commands.codec import BadRow, events, to_row
from commands.messages import Command, Event
from commands.ports import Unanswered
from commands.writer import Writer
from domain.partition import Partition

ANSWER_S: Final = 15.0
Send = Callable[[Sequence[Command]], list[Event]]


@dataclass(frozen=True, slots=True)
class Market:
    """directory is as of the opening; began says that the record was empty and got the example market; durability is that of an answer."""

    deliver: Send
    directory: Directory
    began: bool
    durability: str

    def send(self, *commands: Command) -> list[Event]:
        """Have *commands* decided and recorded as one batch; what became of them.

        Raises BadRow when one is malformed: then nothing was sent; Fenced, OutcomeUnknown, StoreFailed, Unanswered.
        """
        for wrong in wellformed.check(b"".join(map(to_row, commands))):
            raise BadRow(f"{wrong.verb}.{wrong.field} is {wrong.value}: {wrong.rule}")
        return self.deliver(commands)


@contextmanager
def trading(settings: Settings, symbol: str = "", open_writer: Callable[[Store], Writer] = Store.writer) -> Iterator[Market]:
    """The market in which *symbol* is traded; an empty one begins as the example.

    Raises BadName, BadSettings, Damaged, NewerSchema, StoreFailed, Unanswered, OSError.
    """
    opened = _in_process(settings, open_writer) if settings.profile == "embedded" else _through_kafka(settings, symbol)
    with opened as (deliver, state, durability):
        partition = state()
        began = partition.events == 0
        if began:
            deliver(list(example.commands()))
            names.save(settings.folder, example.NAMES)
            partition = state()
        yield Market(deliver, Directory(partition, names.load(settings.folder)), began, durability)


Opened = tuple[Send, Callable[[], Partition], str]


@contextmanager
def _in_process(settings: Settings, open_writer: Callable[[Store], Writer]) -> Iterator[Opened]:
    with writing(settings) as store, open_writer(store) as writer:
        yield (lambda commands: _write(writer, commands)), lambda: writer.partition, store.log.durability


def _write(writer: Writer, commands: Sequence[Command]) -> list[Event]:
    committed = writer.submit(b"".join(map(to_row, commands))).result()
    return events(committed.events, committed.first_event)


@contextmanager
def _through_kafka(settings: Settings, symbol: str) -> Iterator[Opened]:
    from adapters.kafka_client import CommandsTopic, Outcomes
    from eventstore.kafka import BlocksTopic
    from eventstore.topics import BLOCKS

    with reading(settings, symbol, history=False) as store:
        prefix = settings.topic_prefix
        topic = BlocksTopic(settings.kafka, settings.cluster, prefix + BLOCKS)
        with (
            closing(CommandsTopic(settings.kafka, prefix=prefix)) as sender,
            closing(Outcomes(topic, store.number)) as outcomes,
        ):

            def deliver(commands: Sequence[Command]) -> list[Event]:
                named = [msgspec.structs.replace(command, session=0, sequence=secrets.randbits(62) + 1) for command in commands]
                answers = [outcomes.expect(account=command.account, sequence=command.sequence) for command in named]
                sender.send(store.number, batch.encode(b"".join(map(to_row, named))))
                sender.flush()
                try:
                    return [event for answer in answers for event in answer.result(ANSWER_S).events]
                except TimeoutError:
                    raise Unanswered(store.number, ANSWER_S) from None

            yield deliver, store.state, store.log.durability
