"""Blocks read and decoded in a thread while those before are applied: fetching and decompressing leave the interpreter lock to others."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from eventstore.blocks import Block

DEPTH: Final = 3  # blocks that wait, decoded: 9 MB each when full


class Decoded(NamedTuple):
    """A block, its command rows and its event rows."""

    block: Block
    commands: bytes
    events: bytes


def decoded(blocks: Iterator[Block]) -> Generator[Decoded, None, None]:
    """The blocks with their rows, in order; at most DEPTH wait. Raises what reading or decoding raises, where it stands."""
    waiting: queue.Queue[Decoded | BaseException | None] = queue.Queue(DEPTH)
    over = threading.Event()

    def put(found: Decoded | BaseException | None) -> None:
        while not over.is_set():
            with suppress(queue.Full):
                waiting.put(found, timeout=0.1)
                return

    def run() -> None:
        try:
            for block in blocks:
                put(Decoded(block, *block.rows()))
                if over.is_set():
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised where the block would have come
            put(error)

    thread = threading.Thread(target=run, name="read ahead", daemon=True)
    thread.start()
    try:
        while (found := waiting.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield found
    finally:
        over.set()
        thread.join()
