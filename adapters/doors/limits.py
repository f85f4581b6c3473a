"""How often somebody may ask: a bucket of tokens for each key, account and address, filled at a steady rate.

At most MAX_BUCKETS are remembered; beyond that those that are full again are forgotten first, for they say nothing, then the oldest.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

MAX_BUCKETS: Final = 2**17


class Rate(NamedTuple):
    """per_s tokens a second, burst at once."""

    per_s: float
    burst: float


class TooOften(Exception):
    """retry_after_s: when there are enough tokens."""

    def __init__(self, name: str, rate: Rate, retry_after_s: float) -> None:
        super().__init__(f"{name} may ask {rate.per_s:g} times a second, {rate.burst:g} at once; try again in {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class Buckets:
    """Buckets of one *rate* by name: `address 192.0.2.1`. For one thread."""

    def __init__(self, rate: Rate, max_buckets: int = MAX_BUCKETS) -> None:
        self.rate, self._bound = rate, max_buckets
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # name -> tokens at a time; the one asked last is last

    def take(self, name: str, now_s: float, tokens: float = 1.0) -> None:
        """Take *tokens* out of a bucket at *now_s*, a time that does not go back. Raises TooOften: nothing was taken then.

        More than a bucket holds are let through when it is full, and paid back after.
        """
        held, since_s = self._buckets.pop(name, (self.rate.burst, now_s))
        held = min(held + (now_s - since_s) * self.rate.per_s, self.rate.burst)
        wanted = min(tokens, self.rate.burst)
        refused = held < wanted
        self._buckets[name] = (held if refused else held - tokens, now_s)
        self._forget(now_s)
        if refused:
            raise TooOften(name, self.rate, (wanted - held) / self.rate.per_s)

    def _forget(self, now_s: float) -> None:
        while self._buckets:
            name, (held, since_s) = next(iter(self._buckets.items()))
            is_full = held + (now_s - since_s) * self.rate.per_s >= self.rate.burst
            if not is_full and len(self._buckets) <= self._bound:
                return
            del self._buckets[name]
