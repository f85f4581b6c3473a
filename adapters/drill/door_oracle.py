"""The oracle of the doors: whether what clients were answered and shown is what the record says, and whether what each meant happened once.

It knows the layouts of docs/events.md and nothing of the engine. An order is known by what it is, not by its id: so it is seen when a
client whose answer was lost had it executed twice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from adapters.drill.asked import Answered, Asked, Execution, Line, Missing, Printed, Refused, Shown, Unheard
from adapters.drill.oracle import Verdict
from adapters.drill.record import Found
from domain import events as e
from domain import verbs as v
from domain.rules import RULES
from eventstore.codec import BadPayload

NUMBERS: Final = 2**53  # of one partition: orders, trades, events
SIDES: Final = ("buy", "sell")
OUTCOMES_BELOW: Final = 32
_RULES: Final = {rule.code: rule.name for rule in RULES}


class Name(NamedTuple):
    """Of a command."""

    account: int
    command_id: int


class What(NamedTuple):
    """An order, as its account meant it."""

    account: int
    side: str
    price_ticks: int
    lots: int


class Entry(NamedTuple):
    """A command in the record: the block and number of its outcome, kind and word 1 of that, and its trades."""

    seq: int
    event: int
    kind: int
    detail: int
    fills: list[int]


class DoorOracle:
    """Judges one partition. Tell it the record, then what clients wrote; what it finds is added to *verdict*."""

    def __init__(self, partition: int, verdict: Verdict) -> None:
        self._first, self.verdict = partition * NUMBERS, verdict
        self._entries: defaultdict[Name, list[Entry]] = defaultdict(list)
        self._whats: dict[Name, What] = {}
        self._executed: defaultdict[int, list[tuple[int, Execution]]] = defaultdict(list)  # by account, block and execution; 0: the market

    def see_record(self, blocks: Sequence[Found]) -> None:
        """All of it, in its order."""
        owners: dict[int, int] = {}
        for block in blocks:
            try:
                commands, events, causes = (column.tolist() for column in block.rows())
            except BadPayload as bad:
                self.verdict.wrong.append(f"chain: block {block.seq} cannot be opened: {bad}")
                return
            entry = None
            for index, (event, cause) in enumerate(zip(events, causes, strict=True), self._first + block.first_event):
                command, kind = commands[cause], event[0] & 255
                if kind < OUTCOMES_BELOW:
                    entry = Entry(block.seq, index, kind, event[1], [])
                    if kind == e.ORDER_ACCEPTED:
                        owners[event[1]] = command[v.ACCOUNT]
                    if command[v.SEQUENCE] and kind != e.COMMAND_REPEATED:
                        self._enter(command, entry)
                elif kind == e.TRADE_EXECUTED:
                    assert entry is not None, "a trade follows an outcome"
                    entry.fills.append(index)
                    self._trade(block.seq, index, event, entry.detail, command[v.ACCOUNT])

    def see_clients(self, lines: Iterable[Line]) -> None:
        """What they asked, were answered and were shown."""
        asked: dict[Name, Asked] = {}
        also: dict[Name, Name] = {}  # ids under which something was sent again -> the first
        answered: dict[Name, Answered | Refused] = {}
        shown: defaultdict[int, list[Shown | Printed]] = defaultdict(list)
        missing: defaultdict[int, list[Missing]] = defaultdict(list)
        for line in lines:
            if isinstance(line, Asked):
                asked[Name(line.account, line.command_id)] = line
            elif isinstance(line, Unheard):
                name, later = Name(line.account, line.command_id), Name(line.account, line.next_id)
                if name != later:
                    also[later] = also.get(name, name)
            elif isinstance(line, Answered | Refused):
                name = Name(line.account, line.command_id)
                answered[also.get(name, name)] = line
                self._compare(line)
            elif isinstance(line, Missing):
                missing[line.account].append(line)
            else:
                shown[line.account if isinstance(line, Shown) else 0].append(line)
        self._compare_asked(asked, also)
        for account in {0, *(name.account for name in asked)}:
            self._compare_shown(account, shown[account], missing[account])
        self.verdict.acknowledged, self.verdict.unknown = len(answered), len(asked.keys() - answered.keys())
        times = sorted(line.at_ns for line in answered.values())
        self.verdict.longest_pause_s = max((after - before for before, after in pairwise(times)), default=0) / 1e9

    # -- the record ---------------------------------------------------------------------------------------------------

    def _enter(self, command: list[int], entry: Entry) -> None:
        name = Name(command[v.ACCOUNT], command[v.SEQUENCE])
        self._entries[name].append(entry)
        if command[v.VERB] == v.NEW_ORDER:
            side = SIDES[command[v.TERMS] & 1]
            self._whats[name] = What(command[v.ACCOUNT], side, command[v.PRICE_TICKS], command[v.QUANTITY_LOTS])

    def _trade(self, seq: int, number: int, event: list[int], taker_order: int, taker: int) -> None:
        maker_order, maker, price, lots = event[1:5]
        for account, order in ((taker, taker_order), (maker, maker_order), (0, 0)):
            self._executed[account].append((seq, Execution(number, order, price, lots)))

    # -- the clients --------------------------------------------------------------------------------------------------

    def _compare(self, line: Answered | Refused) -> None:
        """Of one answer: the record has it, as it was said."""
        name = Name(line.account, line.command_id)
        entries = self._entries.get(name)
        if not entries:
            self.verdict.lost.append(f"lost: {name} was answered ({line}), and is not in the record")
            return
        entry = entries[0]
        if isinstance(line, Refused):
            was = _RULES.get(entry.detail, "") if entry.kind == e.COMMAND_REFUSED else f"outcome {entry.kind}"
            self._must(line.rule == was, f"answer: {name} was told that {line.rule} refuses it, the record has {was}")
            return
        self._must(entry.kind not in (e.COMMAND_REFUSED, e.COMMAND_REPEATED), f"answer: {name} was told that it is done, it was refused")
        self._must(line.order in (0, entry.detail), f"answer: {name} was told order {line.order}, it is {entry.detail}")
        if not line.is_repeat:
            told, is_so = (line.seq, line.event, line.fills), (entry.seq, entry.event, entry.fills)
            self._must(told == is_so, f"answer: {name} was told block, event and trades {told}, they are {is_so}")

    def _compare_asked(self, asked: dict[Name, Asked], also: dict[Name, Name]) -> None:
        """Each order in the record was asked for, as it is; and what was meant happened once."""
        for name, what in self._whats.items():
            meant = asked.get(also.get(name, name))
            right = meant and What(meant.account, meant.what, meant.price_ticks, meant.lots)
            self._must(right == what, f"command: {name} in the record is {what}, asked for was {meant}")
        for name, entries in self._entries.items():
            if len(entries) > 1:
                self.verdict.doubled.append(f"doubled: {name} is in blocks {', '.join(str(entry.seq) for entry in entries)}")
        accepted = Counter(what for name, what in self._whats.items() if self._entries[name][0].kind == e.ORDER_ACCEPTED)
        self.verdict.doubled += [
            f"doubled: {what} was meant once, and accepted {count} times" for what, count in accepted.items() if count > 1
        ]

    def _compare_shown(self, account: int, pushed: Sequence[Shown | Printed], missing: Sequence[Missing]) -> None:
        """What happened, in its order, each once; what is missing is what he was told is missing."""
        who = f"account {account}" if account else "who watches the market"
        for before, after in pairwise(pushed):
            self._must(before.seq < after.seq, f"shown: {who} was pushed block {after.seq} after block {before.seq}")
        seen = [each for line in pushed for each in (line.executions if isinstance(line, Shown) else line.trades)]
        there = [each for _, each in self._executed[account]]
        owed = [each for seq, each in self._executed[account] if not any(gap.after < seq <= gap.seq for gap in missing)]
        self._must(len(set(seen)) == len(seen), f"shown: {who} was pushed {len(seen) - len(set(seen))} executions more than once")
        self.verdict.wrong += [f"shown: {who} was pushed {each}, which is not so" for each in _without(seen, there)]
        self.verdict.wrong += [f"shown: {who} was not pushed {each}" for each in _without(owed, seen)]
        self._must(seen == sorted(seen), f"shown: {who} was pushed executions out of order")

    def _must(self, right: bool, otherwise: str) -> None:
        if not right:
            self.verdict.wrong.append(otherwise)


def _without(these: Sequence[Execution], those: Sequence[Execution]) -> Iterator[Execution]:
    there = set(those)
    return (each for each in these if each not in there)
