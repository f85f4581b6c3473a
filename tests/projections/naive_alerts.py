"""Alerts as a reader of the record would find them: every rule asked after every event, one after the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from domain import verbs as v
from projections.alert_rules import KINDS, Alert, Change, Rule
from projections.layouts import Bar
from tests.market import Event
from tests.projections.naive import Bargain, Naive

WIDE = 2**31 - 1


@dataclass
class Waiting:
    """One rule, and whether it would fire."""

    rule: Rule
    armed: bool = False
    knows: bool = False
    fired_in: int = 0

    def sees(self, value: int) -> bool:
        """Whether it fires."""
        sign = 1 if self.rule.above else -1
        level, back = sign * (self.rule.level if self.rule.kind != "halt" else 1), max(self.rule.hysteresis, 1)
        if not self.knows:
            self.knows, self.armed = True, level > sign * value
            return False
        fires = self.armed and sign * value >= level
        if sign * value >= level:
            self.armed = False
        elif sign * value <= level - back:
            self.armed = True
        return fires


@dataclass
class Window:
    """The trades of an instrument since a rule first asked for them, and the last value that came of them."""

    trades: list[Bargain] = field(default_factory=list)
    value: int | None = None


@dataclass
class NaiveAlerts(Naive):
    """fired: (block, event, rule) -> what was said."""

    waiting: dict[int, Waiting] = field(default_factory=dict)
    windows: dict[tuple[str, int, int], Window] = field(default_factory=dict)
    fired: dict[tuple[int, int, int], Alert] = field(default_factory=dict)
    fills: dict[int, list[Bargain]] = field(default_factory=lambda: defaultdict(list))  # of this block, by rule
    seq: int = 0

    def bar(self, instrument: int, bargains: list[Bargain], start_ns: int) -> Bar:
        return Bar(*[0] * 9)

    def follow(self, commands: bytes, events: bytes, changes: Sequence[Change] = ()) -> None:
        """The next block, before which the rules changed."""
        self.seq += 1
        for change in changes:
            if change.rule is None:
                self.waiting.pop(change.removes, None)
            else:
                self.add(change.number, change.rule)
        used = {(waiting.rule.kind, waiting.rule.instrument, waiting.rule.window_s) for waiting in self.waiting.values()}
        self.windows = {key: window for key, window in self.windows.items() if key in used}  # one that is asked for anew at once is kept
        self.fills.clear()
        self.take(commands, events)
        self.next_event -= 1  # what is so at the end of a block is told with its last event
        for number, waiting in self.waiting.items():
            rule = waiting.rule
            if rule.kind in {"spread", "balance"}:
                self.see(number, self.now(rule))
            for bargain in self.fills[number][-1:]:
                lots = sum(each.trade.quantity_lots for each in self.fills[number])
                self.tell(number, bargain.trade.price_ticks, bargain.trade.number, bargain.trade.time_ns, len(self.fills[number]), lots)
        self.next_event += 1

    def add(self, number: int, rule: Rule) -> None:
        waiting = self.waiting[number] = Waiting(rule)
        if rule.window_s:
            self.windows.setdefault((rule.kind, rule.instrument, rule.window_s), Window())
        if rule.kind != "fills":
            known = self.now(rule)
            if known is not None:
                waiting.sees(known)

    def now(self, rule: Rule) -> int | None:
        match rule.kind:
            case "price":
                trades = self.trades.get(rule.instrument)
                return trades[-1].price_ticks if trades else None
            case "spread":
                bids, asks = (self.levels(rule.instrument, side) for side in (v.BUY, v.SELL))
                return asks[0].price_ticks - bids[0].price_ticks if bids and asks else WIDE
            case "halt":
                return int(self.states.get(rule.instrument, (0,))[0] == v.HALTED)
            case "balance":
                return self.balances[rule.account, rule.asset][0]
            case _:
                return self.windows[rule.kind, rule.instrument, rule.window_s].value

    def see(self, number: int, value: int | None) -> None:
        waiting = self.waiting[number]
        if value is not None and waiting.sees(value) and waiting.fired_in != self.seq:
            waiting.fired_in = self.seq
            self.tell(number, value, self.number, self.time_ns)

    def tell(self, number: int, value: int, event: int, time_ns: int, fills: int = 0, lots: int = 0) -> None:
        rule = self.waiting[number].rule
        said = (rule.account, KINDS.index(rule.kind), rule.instrument, rule.asset, int(rule.above), rule.level)
        self.fired[self.seq, event, number] = Alert(number, *said, value, fills, lots, event, time_ns)

    def take_InstrumentStateChanged(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        super().take_InstrumentStateChanged(event, command, outcome)
        for number, waiting in self.waiting.items():
            if waiting.rule.kind == "halt" and waiting.rule.instrument == event.instrument:
                self.see(number, self.now(waiting.rule))

    def take_TradeExecuted(self, event: Event, command: dict[str, int], outcome: Event) -> None:
        super().take_TradeExecuted(event, command, outcome)
        bargain = self.bargains[-1]
        for (kind, instrument, window_s), window in self.windows.items():
            if instrument == event.instrument:
                window.trades.append(bargain)
                value = moved(window, window_s) if kind == "move" else swollen(window, window_s)
                window.value = value if value is not None else window.value
                for number, waiting in self.waiting.items():
                    if (waiting.rule.kind, waiting.rule.instrument, waiting.rule.window_s) == (kind, instrument, window_s):
                        self.see(number, value)
        for number, waiting in self.waiting.items():
            if waiting.rule.kind == "price" and waiting.rule.instrument == event.instrument:
                self.see(number, event.price_ticks)
            if waiting.rule.kind == "fills" and waiting.rule.instrument in {0, event.instrument}:
                self.fills[number] += [bargain for side in (bargain.taker, bargain.maker) if side[0] == waiting.rule.account]


def moved(window: Window, window_s: int) -> int:
    """How far the last trade's price is from that of a window ago."""
    step_ns = window_s * 10**9 // 60
    now = window.trades[-1].trade
    old = [each.trade for each in window.trades if each.trade.time_ns // step_ns <= now.time_ns // step_ns - 60]
    before = (old[-1] if old else window.trades[0].trade).price_ticks
    return (now.price_ticks - before) * 10**6 // before


def swollen(window: Window, window_s: int) -> int | None:
    """The running interval's volume, as so many thousandths of the mean of up to 20 before it."""

    def interval(bargain: Bargain) -> int:
        return bargain.trade.time_ns // (window_s * 10**9)

    now, began = interval(window.trades[-1]), interval(window.trades[0])
    running = sum(each.trade.quantity_lots for each in window.trades if interval(each) == now)
    before = sum(each.trade.quantity_lots for each in window.trades if now - 20 <= interval(each) < now)
    return running * min(20, now - began) * 1_000 // before if before else None
