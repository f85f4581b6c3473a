"""The bounded queue before a writer: many threads put, one takes."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from typing import NamedTuple

from commands.ports import Committed, Full, Inputs


class Submission(NamedTuple):
    """A batch on its way: rows (size*128 bytes), positions of its sources, and the promise to its sender."""

    rows: bytes
    size: int
    inputs: Inputs
    future: Future[Committed]


class Closed(Exception):
    """The inbox takes nothing more."""


class Inbox:
    """Submissions in the order of their coming, at most *bound* commands."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._waiting: deque[Submission] = deque()
        self._commands = 0
        self._closed = False
        self._woken = False
        self._changed = threading.Condition()

    def put(self, submission: Submission, *, wait: bool) -> None:
        """Queue *submission*; at the bound wait for room, or raise Full. Raises Closed."""
        with self._changed:
            while not self._closed and self._commands + submission.size > self._bound:
                if not wait:
                    raise Full(self._commands, submission.size, self._bound)
                self._changed.wait()
            if self._closed:
                raise Closed
            self._waiting.append(submission)
            self._commands += submission.size
            self._changed.notify_all()

    def take(self, patience_s: float | None) -> Submission | None:
        """The oldest submission; None after *patience_s* (None: for ever) without one, when woken, or when closed and empty."""
        with self._changed:
            if not self._waiting and not self._closed and not self._woken:
                self._changed.wait(patience_s)
            self._woken = False
            if not self._waiting:
                return None
            taken = self._waiting.popleft()
            self._commands -= taken.size
            self._changed.notify_all()
            return taken

    def wake(self) -> None:
        """Let take return."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def close(self) -> None:
        """Take nothing more; what waits can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def commands(self) -> int:
        """How many commands wait."""
        return self._commands

    @property
    def finished(self) -> bool:
        """Closed and empty."""
        with self._changed:
            return self._closed and not self._waiting
