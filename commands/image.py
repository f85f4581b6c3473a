"""The state as it is at one moment, copied by a child process while the executing thread goes on after a few milliseconds.

fork() gives the child the memory as it was: the kernel copies a page only when somebody writes to it afterwards. Copying the state in the
executing thread stops it for as long as memory takes, 0.4 s with hashing for a million orders.

A fork of a process with threads has only the thread that forked; whatever the others held is held for ever. So the child asks for
nothing that another thread could hold: no lock, no import, no garbage collection, no signal handler. It writes vectors into memory that
it shares with its parent, and ends. Should it fail, there is one snapshot less; should its parent die, it ends within the second.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import Final, NoReturn, Self

from domain.partition import Partition
from domain.snapshot import hash_of

PIECE_BYTES: Final = 8 * 2**20  # hashed at a time


class Image:
    """A snapshot of a partition that is being copied. Call `bytes` or `drop` once.

    events  how many events the state has
    """

    @classmethod
    def take(cls, partition: Partition) -> Self:
        """Begin to copy *partition*; it may change when this returns. Raises OSError when the system has no memory or process for it."""
        if sys.platform != "linux":
            raise OSError(errno.ENOSYS, "a snapshot while trading needs Linux; one is kept on closing")
        parts = partition.snapshot_parts()
        memory = os.memfd_create("outcry snapshot")
        old = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            child = os.fork()
            if child == 0:
                _write_and_end(memory, parts)
        except OSError:
            os.close(memory)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, old)
        return cls(partition.events, child, memory)

    def __init__(self, events: int, child: int, memory: int) -> None:
        self.events = events
        self._child, self._memory = child, memory

    def bytes(self) -> bytes:
        """The snapshot, once it is whole. It is never copied with the interpreter lock held. Raises OSError when the child failed."""
        with os.fdopen(self._memory, "r+b", buffering=0) as memory:
            status = os.waitstatus_to_exitcode(os.waitpid(self._child, 0)[1])
            if status != 0:
                raise OSError(f"the process that copied the state ended with {status}")
            memory.write(hash_of(_pieces(memory.fileno())))  # goes on where the child ended
            memory.seek(0)
            return memory.readall()

    def drop(self) -> None:
        """Nobody wants it any more."""
        os.close(self._memory)
        os.kill(self._child, signal.SIGKILL)
        os.waitpid(self._child, 0)


def _write_and_end(memory: int, parts: Sequence[bytes | memoryview]) -> NoReturn:
    """In the child."""
    status = 1
    try:
        gc.disable()
        for part in parts:
            done = 0
            while done < len(part):
                done += os.write(memory, part[done:])
        status = 0
    finally:
        os._exit(status)  # never back into the parent's program, nor through its exit handlers


def _pieces(memory: int) -> Iterator[bytes]:
    at = 0
    while piece := os.pread(memory, PIECE_BYTES, at):
        yield piece
        at += len(piece)
