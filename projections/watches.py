"""The values that alert rules wait for: one watch for each value, whatever the number of its rules.

A value that has not been seen yet arms what lies beyond it, and fires nothing: to cross a level a value must have been on its other side.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec
import numpy as np

from projections.alert_rules import PPM, Rule
from projections.columns import Ints, starts
from projections.moves import ACCOUNT_BITS
from projections.thresholds import FAR, Levels

STEPS: Final = 60  # of a window, in which prices are remembered
INTERVALS: Final = 20  # before the running one, which volumes are compared with
TIMES_UNIT: Final = 1_000
_NS: Final = 10**9
_MOST_LOTS: Final = 2**62 // (INTERVALS * TIMES_UNIT)  # of an interval: 2 x 10^14; beyond, it counts as so many
_NOTHING: Final = np.zeros(0, np.int64)


class Key(NamedTuple):
    """What is watched. which: instrument, account (fills) or wallet (balance)."""

    kind: str
    which: int
    window_s: int = 0


def key_of(rule: Rule) -> Key:
    """What *rule* watches."""
    match rule.kind:
        case "fills":
            return Key(rule.kind, rule.account)
        case "balance":
            return Key(rule.kind, rule.asset << ACCOUNT_BITS | rule.account)
        case _:
            return Key(rule.kind, rule.instrument, rule.window_s)


class Watch:
    """The levels on one value.

    last    the value, of those that remember it themselves
    bounds  between these two nothing happens; without a value yet there is no such
    """

    def __init__(self) -> None:
        self.last: int | None = None
        self.bounds = (FAR, -FAR)
        self._above, self._below = Levels(), Levels()  # the latter with all signs turned

    def __len__(self) -> int:
        return len(self._above) + len(self._below)

    def add(self, rules: Mapping[int, Rule], last: int | None) -> None:
        """More rules, by number. last: the value now; None: there was none yet."""
        for levels, sign, above in ((self._above, 1, True), (self._below, -1, False)):
            mine = {number: rule for number, rule in rules.items() if rule.above is above}
            numbers = np.array([*mine], np.int64)
            at = np.array([sign * rule.level if rule.kind != "halt" else 1 for rule in mine.values()], np.int64)
            back = np.array([max(rule.hysteresis, 1) for rule in mine.values()], np.int64)
            armed = at > sign * last if last is not None else np.zeros(len(at), np.bool_)
            if len(numbers):
                levels.add(numbers, at, at - back, armed)
        self.look(last)

    def remove(self, number: int) -> None:
        """Forget a rule. The bounds may stay narrower than they need be."""
        for levels in (self._above, self._below):
            levels.remove(np.array([number]))

    def is_quiet(self, values: Ints) -> bool:
        """Whether none of *values* touches a rule."""
        low, high = self.bounds
        return bool(values.min() > low and values.max() < high)

    def follow(self, values: Ints, last: int | None) -> tuple[Ints, Ints]:
        """The value was *last* (None: not seen yet), then each of *values*: the rules that fired, and where in *values*."""
        if last is None:
            last = int(values[0])
            self._above.arm_beyond(last)
            self._below.arm_beyond(-last)
        self.last = int(values[-1])
        if self.is_quiet(values):
            return _NOTHING, _NOTHING
        above, below = self._above.follow(values, last), self._below.follow(-values, -last)
        self.look(self.last)
        return np.concatenate([above.rules, below.rules]), np.concatenate([above.at, below.at])

    def look(self, last: int | None) -> None:
        """Find the bounds when the value is *last*; None: there was none yet."""
        if last is not None:
            (down, up), (turned_down, turned_up) = self._above.quiet(last), self._below.quiet(-last)
            self.bounds = max(down, -turned_up), min(up, -turned_down)

    def state(self) -> bytes:
        """All that the rules themselves do not say."""
        armed = [levels.armed_rules().astype("<i8").tobytes() for levels in (self._above, self._below)]
        return msgspec.msgpack.encode((self.last, *armed, self._memory()))

    def restore(self, state: bytes) -> None:
        """Become what state() said; the rules were added before."""
        self.last, above, below, memory = msgspec.msgpack.decode(state, type=tuple[int | None, bytes, bytes, list[list[int]]])
        for levels, armed in ((self._above, above), (self._below, below)):
            levels.arm(np.frombuffer(armed, "<i8").astype(np.int64))
        self._remember(memory)

    def _memory(self) -> list[list[int]]:
        return []

    def _remember(self, memory: list[list[int]]) -> None:
        assert not memory, "it has no window"


class Moved(Watch):
    """How far the price is from the one of a window ago, in 10^-6 of that: of the last trade before the running step of a sixtieth of the
    window and the 59 before it. While there was none, from the first trade seen.
    """

    def __init__(self, window_s: int) -> None:
        super().__init__()
        self._step_ns = window_s * _NS // STEPS
        self._closes: deque[tuple[int, int]] = deque()  # step and its last price, oldest first; the first is what prices are compared with

    def values(self, times_ns: Ints, prices: Ints, _lots: Ints) -> tuple[Ints, Ints]:
        """Of each trade (rising in time), and which trades they are."""
        moved = np.empty(len(prices), np.int64)
        for step, begin, end in _steps(times_ns, self._step_ns):
            if not self._closes:
                self._closes.append((-FAR, int(prices[begin])))
            while len(self._closes) > 1 and self._closes[1][0] <= step - STEPS:
                self._closes.popleft()
            before = self._closes[0][1]
            moved[begin:end] = (prices[begin:end] - before) * PPM // before
            if self._closes[-1][0] == step:
                self._closes.pop()
            self._closes.append((step, int(prices[end - 1])))
        return moved, np.arange(len(prices))

    def _memory(self) -> list[list[int]]:
        return [[*close] for close in self._closes]

    def _remember(self, memory: list[list[int]]) -> None:
        self._closes = deque((step, price) for step, price in memory)


class Swollen(Watch):
    """The volume of the running interval, in 10^-3 of the mean of up to 20 intervals before it. There is none before an interval has ended
    in which there was a trade.
    """

    def __init__(self, window_s: int) -> None:
        super().__init__()
        self._interval_ns = window_s * _NS
        self._volumes: deque[tuple[int, int]] = deque()  # interval and its lots, those with trades; the last is the running one
        self._began: int | None = None

    def values(self, times_ns: Ints, _prices: Ints, lots: Ints) -> tuple[Ints, Ints]:
        """Of each trade (rising in time) from which on it is known, and which trades they are."""
        values: list[Ints] = []
        seen: list[Ints] = []
        for interval, begin, end in _steps(times_ns, self._interval_ns):
            if self._began is None:
                self._began = interval
            if not self._volumes or self._volumes[-1][0] != interval:
                self._volumes.append((interval, 0))
            while self._volumes[0][0] < interval - INTERVALS:
                self._volumes.popleft()
            _, begun = self._volumes.pop()
            count, before = min(INTERVALS, interval - self._began), sum(volume for _, volume in self._volumes)
            running = begun + np.cumsum(lots[begin:end])
            if before:
                values.append(np.minimum(running, _MOST_LOTS) * count * TIMES_UNIT // before)
                seen.append(np.arange(begin, end))
            self._volumes.append((interval, int(running[-1])))
        return (np.concatenate(values), np.concatenate(seen)) if seen else (_NOTHING, _NOTHING)

    def _memory(self) -> list[list[int]]:
        return [[-1 if self._began is None else self._began, 0], *([*volume] for volume in self._volumes)]

    def _remember(self, memory: list[list[int]]) -> None:
        (began, _), *volumes = memory
        self._began = None if began == -1 else began
        self._volumes = deque((interval, lots) for interval, lots in volumes)


def _steps(times_ns: Ints, step_ns: int) -> list[tuple[int, int, int]]:
    """The steps in which *times_ns*, rising, at least one, lie: number, and from where to where."""
    if (step := int(times_ns[0]) // step_ns) == int(times_ns[-1]) // step_ns:  # nearly always: a block is short
        return [(step, 0, len(times_ns))]
    steps = times_ns // step_ns
    first = starts(steps)
    return list(zip(steps[first].tolist(), first.tolist(), [*first[1:].tolist(), len(steps)], strict=True))
