"""A store that a test can hold at the commit, or make fail there. Everything else of it is the real one in memory."""

from __future__ import annotations

import threading

from eventstore.blocks import Block
from eventstore.memory import MemoryLog
from tests.waiting import PATIENCE_S


class HeldLog(MemoryLog):
    """A MemoryLog whose append waits while `hold`, and raises `fails` (before writing, or after it) when that is set."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()
        self.free.set()
        self.fails: Exception | None = None
        self.fails_after_writing = False

    def hold(self) -> None:
        self.free.clear()

    def release(self) -> None:
        self.free.set()

    def append(self, block: Block) -> None:
        assert self.free.wait(PATIENCE_S), "the test released the store"
        if self.fails and not self.fails_after_writing:
            raise self.fails
        super().append(block)
        if self.fails:
            raise self.fails
