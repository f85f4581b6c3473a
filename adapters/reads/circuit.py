"""Does not ask again at once what has just failed again and again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

FAILURES: Final = 3
REST_S: Final = 0.5


class Circuit:
    """Closed: ask. After FAILURES in a row it is open for REST_S, then one may try. For one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._tries_s = 0.0

    def lets_through(self) -> bool:
        """Whether to ask now; whoever is let through says how it went."""
        now_s = self._clock()
        if self._failures >= FAILURES:
            if now_s < self._tries_s:
                return False
            self._tries_s = now_s + REST_S  # the others wait for what becomes of this one
        return True

    def answered(self) -> None:
        """All is well."""
        self._failures = 0

    def failed(self) -> None:
        """It did not answer."""
        self._failures += 1
        self._tries_s = self._clock() + REST_S
