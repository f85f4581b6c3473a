"""A process that looks on while something is measured, so that what it does costs the measured process no interpreter."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Final, Generic, Self, TypeVar

Seen = TypeVar("Seen")
PATIENCE_S: Final = 120.0


class Onlooker(Generic[Seen]):
    """Runs *look* (url, cluster, pipe) while the context lasts: it says that it is ready, hears up to which block it is to look, and says
    what it saw.
    """

    def __init__(self, look: Callable[[str, str, Connection], None], url: str, cluster: str) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._ours, theirs = spawn.Pipe()
        self._process = spawn.Process(target=look, args=(url, cluster, theirs), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self._ours.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def until(self, seq: int) -> list[Seen]:
        """What it saw, once that is all up to block *seq*. Raises TimeoutError."""
        self._ours.send(seq)
        if not self._ours.poll(PATIENCE_S):
            raise TimeoutError(f"block {seq} is not seen after {PATIENCE_S:.0f} s")
        seen: Any = self._ours.recv()
        return list(seen)
