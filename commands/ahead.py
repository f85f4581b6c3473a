"""Blocks read and decoded ahead, while those before are applied."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import NamedTuple

from eventstore.ahead import ahead
from eventstore.blocks import Block


class Decoded(NamedTuple):
    """A block, its command rows and its event rows."""

    block: Block
    commands: memoryview
    events: memoryview


def decoded(blocks: Iterator[Block]) -> Generator[Decoded, None, None]:
    """The blocks with their rows, in order; a few wait (eventstore/ahead.py). Raises what reading or decoding raises, where it stands."""
    return ahead(Decoded(block, *block.views()) for block in blocks)
