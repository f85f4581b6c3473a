"""What the writer asks of the outside, what it gives back, and how it says no."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from eventstore.blocks import Block

Clock = Callable[[], int]
"""Nanoseconds of UTC now. It may stand still or go back: the domain makes time rise."""

Inputs = Mapping[str, int]
"""Source -> position up to which its commands are in this batch and those before it, so that its reader knows where to go on."""


class RowBytes(NamedTuple):
    """What a block was made of: its command rows of 128 bytes, and its event rows of 64."""

    commands: bytes
    events: bytes


OnCommit = Callable[[Block, RowBytes, float], None]
"""Called in the store's thread with each block once it is on record: the block, its rows, and the seconds that the store took for it.
It must be quick and not raise."""


class Committed(NamedTuple):
    """A batch is in the record.

    block_seq    the block it is in
    first_event  index in the partition of its first event: event i of the batch has number first_event + i
    events       its event rows, 64 bytes each; the k-th outcome row belongs to its k-th command
    """

    block_seq: int
    first_event: int
    events: bytes


class Full(Exception):
    """The inbox is at its bound and the batch was not taken. Come back when what is in flight is committed."""

    def __init__(self, waiting: int, offered: int, bound: int) -> None:
        super().__init__(f"{waiting} commands wait, {offered} more would pass the inbox's bound of {bound}; nothing was taken, try again")


class Stopped(Exception):
    """The writer takes nothing more: it was closed, or stopped at the error that is the cause. Open a new one on the record."""

    def __init__(self, partition: int, why: BaseException | None) -> None:
        what = "was closed" if why is None else f"stopped: {why}"
        super().__init__(f"the writer of partition {partition} {what}; nothing was taken, open a new one")


class Unanswered(Exception):
    """A command is on its way and nobody has answered: it may yet be executed. Look at the record before sending it again."""

    def __init__(self, partition: int, waited_s: float) -> None:
        super().__init__(
            f"partition {partition}: no answer within {waited_s:.0f} s, so perhaps no worker owns it (see `outcry top`). "
            "The command waits in Kafka and may still be executed: look at the record before you send it again"
        )
