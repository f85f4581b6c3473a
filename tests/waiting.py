"""Waiting for what must come, on a machine that does much else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

Found = TypeVar("Found")

PATIENCE_S: Final = 60.0


class Late(AssertionError):
    """It did not come in time. A test that ends so is tried once more, and shown as tried again; one with a wrong answer never is."""


def eventually(
    what: Callable[[], Found | None], why: Callable[[], object] = lambda: "it never came", patience_s: float = PATIENCE_S
) -> Found:
    """What *what* returns, as soon as that is true. Raises Late, with *why()*."""
    end_s, pause_s = time.monotonic() + patience_s, 0.001
    while not (found := what()):
        if time.monotonic() > end_s:
            raise Late(f"not within {patience_s} s: {why()}")
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.05)
    return found
