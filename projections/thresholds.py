"""Many levels on one value, of which a block touches only those that the value crossed.

A level is *armed* until the value reaches it, which fires it, and armed again once the value has gone back to its rearm level. So when the
last value was v, every armed level lies beyond v and every disarmed one's rearm level before it: those that a block may touch lie between v
and the block's extremes, and two binary searches find them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from projections.columns import Ints

FAR: Final = 2**62
_AT_ONCE: Final = 1_024


class Fired(NamedTuple):
    """Rules that fired, and where in the block's values each did first."""

    rules: Ints
    at: Ints


class Levels:
    """The levels that a value reaches from below. For those reached from above give all with the other sign.

    Bound: 41 bytes a level.
    """

    def __init__(self) -> None:
        self._rules = np.zeros(0, np.int64)
        self._levels = np.zeros(0, np.int64)  # ascending
        self._rearms = np.zeros(0, np.int64)
        self._armed = np.zeros(0, np.bool_)
        self._by_rearm = np.zeros(0, np.int64)  # places, by rearm level
        self._sorted_rearms = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self._rules)

    def add(self, rules: Ints, levels: Ints, rearms: Ints, armed: NDArray[np.bool_]) -> None:
        """More of them; armed: which of them are. rearms < levels."""
        self._keep(
            np.append(self._rules, rules), np.append(self._levels, levels), np.append(self._rearms, rearms), np.append(self._armed, armed)
        )

    def remove(self, rules: Ints) -> None:
        """Forget the levels of *rules*."""
        stay = ~np.isin(self._rules, rules)
        self._keep(self._rules[stay], self._levels[stay], self._rearms[stay], self._armed[stay])

    def arm_beyond(self, value: int) -> None:
        """The first value: what lies beyond it is armed."""
        self._armed[:] = self._levels > value

    def arm(self, rules: Ints) -> None:
        """*rules* are armed, others not."""
        self._armed = np.isin(self._rules, rules)

    def armed_rules(self) -> Ints:
        """Those that wait for the value to reach their level."""
        return self._rules[self._armed]

    def _keep(self, rules: Ints, levels: Ints, rearms: Ints, armed: NDArray[np.bool_]) -> None:
        order = np.lexsort((rules, levels))
        self._rules, self._levels, self._rearms, self._armed = rules[order], levels[order], rearms[order], armed[order]
        self._by_rearm = np.argsort(self._rearms, kind="stable")
        self._sorted_rearms = self._rearms[self._by_rearm]

    def follow(self, values: Ints, last: int) -> Fired:
        """The value was *last* and then each of *values* (at least one). Each rule fires at most once."""
        if not len(self):
            return Fired(self._rules, self._rules)
        low, high = int(values.min()), int(values.max())
        begin, end = np.searchsorted(self._levels, [last, high], side="right").tolist()
        armed = begin + np.flatnonzero(self._armed[begin:end])
        begin, end = np.searchsorted(self._sorted_rearms, [low, last], side="left").tolist()
        waiting = self._by_rearm[begin:end]
        waiting = waiting[~self._armed[waiting]]
        if not len(armed) and not len(waiting):
            return Fired(armed, armed)
        highest = np.maximum.accumulate(values)
        places, at = [armed], [np.searchsorted(highest, self._levels[armed])]
        for rearmed in _runs(np.searchsorted(-np.minimum.accumulate(values), -self._rearms[waiting])):
            begun, these = rearmed[0], waiting[rearmed[1]]
            again = np.searchsorted(np.maximum.accumulate(values[begun:]), self._levels[these])
            fires = again < len(values) - begun
            places.append(these[fires])
            at.append(begun + again[fires])
        self._settle(np.concatenate([armed, waiting]), values)
        return Fired(self._rules[np.concatenate(places)], np.concatenate(at))

    def _settle(self, places: Ints, values: Ints) -> None:
        """Each of *places* is as what *values* did to it last left it."""
        reached = np.searchsorted(-np.maximum.accumulate(values[::-1])[::-1], -self._levels[places], side="right")
        went_back = np.searchsorted(np.minimum.accumulate(values[::-1])[::-1], self._rearms[places], side="right")
        self._armed[places] = went_back > reached

    def quiet(self, last: int) -> tuple[int, int]:
        """The value may go from *last* to anything between these two without touching a level."""
        down, up = -FAR, FAR
        if not len(self):
            return down, up
        for end in range(int(np.searchsorted(self._sorted_rearms, last)), 0, -_AT_ONCE):
            begin = max(0, end - _AT_ONCE)
            disarmed = np.flatnonzero(~self._armed[self._by_rearm[begin:end]])
            if len(disarmed):
                down = int(self._sorted_rearms[begin + disarmed[-1]])
                break
        begin = int(np.searchsorted(self._levels, last, side="right"))
        if self._armed[begin:].any():
            up = int(self._levels[begin + np.argmax(self._armed[begin:])])
        return down, up


def _runs(values: Ints) -> list[tuple[int, Ints]]:
    """Each distinct value and where it stands."""
    distinct, inverse = np.unique(values, return_inverse=True)
    return [(int(value), np.flatnonzero(inverse == number)) for number, value in enumerate(distinct)]
