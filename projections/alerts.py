"""Alerts: users' rules over blocks. A row for each rule that fired, and nothing is ever taken away: rows are told, not looked at.

A rule waits for a value to reach its level. Values that many rules wait for are computed once, and a block touches only the rules whose
level was crossed (projections/thresholds.py). Prices, moves and volumes are followed trade by trade, so that up and back within a block
counts; spreads and balances are what they are at the end of a block. A rule fires at most once in a block.

Bound: price levels (projections/spreads.py), wallets as of balances, 5 MB, about 1 KB per rule, and 61 prices or 21 volumes for each
instrument and window that a rule names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from domain import events as e
from domain.columns import MAX_INSTRUMENT
from domain.verbs import HALTED
from projections.alert_rules import ALERT, KINDS, Change, Rule, alert_key
from projections.columns import Columns, Ints, grown, starts, summed
from projections.facts import Facts
from projections.moves import ACCOUNT_BITS, all_changes
from projections.spreads import WIDE, Spreads
from projections.table import Table
from projections.thresholds import FAR
from projections.view import Rows
from projections.watches import Key, Moved, Swollen, Watch, key_of

_STATE_WORD: Final = next(field.word for field in e.EVENT_BY_CODE[e.INSTRUMENT_STATE_CHANGED].fields if field.name == "state")


class _Fire(NamedTuple):
    """Rules that fired, the event with which each did, and the value seen; of the kind fills also int64[n, 2], fills and lots."""

    rules: Ints
    at: Ints
    values: Ints
    counts: Ints | None = None


class Alerts:
    """Fold of alerts (see Fold). The same blocks with the same changes of rules before each of them give the same rows.

    changed  number of the last change that it was told of
    """

    version: Final = 2
    takes_runs: Final = True

    def __init__(self) -> None:
        self.changed = 0
        self._rules: dict[int, Rule] = {}
        self._watches: dict[Key, Watch] = {}
        self._of_instrument: defaultdict[int, list[Key]] = defaultdict(list)  # watches that need each trade: moves and volumes
        self._of_account: defaultdict[int, list[int]] = defaultdict(list)  # rules of the kind fills
        self._has_fills = np.zeros(0, np.int64)  # by account
        self._wallets_watched = np.zeros((3, 0), np.int64)  # wallet, ascending; between which balances no rule is touched
        self._wallets_changed = False  # which are watched
        self._time_ns = 0
        self._facts = Facts()
        self._books = Spreads()
        self._wallets = Table(1)  # available
        self._prices, self._halted = np.zeros((2, MAX_INSTRUMENT + 1), np.int64)  # last, 0: none yet; 1: halted
        self._spreads = np.full(MAX_INSTRUMENT + 1, WIDE)
        self._quiet = {kind: _nothing() for kind in ("price", "spread")}  # between which values no rule is touched, by instrument

    # --- rules

    def change(self, changes: Sequence[Change]) -> None:
        """Rules come and go. They are as they now are for every block to come: a window that is asked for before and after is kept."""
        added: defaultdict[Key, list[int]] = defaultdict(list)
        gone: list[tuple[Key, int]] = []
        for number, _, rule, removes in changes:
            assert number > self.changed, f"change {number} after change {self.changed}"
            self.changed = number
            if rule is not None:
                self._rules[number] = rule
                added[key_of(rule)].append(number)
            elif removes in self._rules:
                key = key_of(self._rules.pop(removes))
                if removes in added[key]:
                    added[key].remove(removes)
                else:
                    gone.append((key, removes))
        for key, numbers in added.items():
            if numbers:
                self._add(key, numbers)
        for key, number in gone:
            self._remove(key, number)

    def _add(self, key: Key, numbers: list[int]) -> None:
        if key.kind == "fills":
            self._of_account[key.which] += numbers
            self._has_fills = grown(self._has_fills, key.which)
            self._has_fills[key.which] = 1
            return
        if key not in self._watches:
            self._watches[key] = Watch() if key.kind not in {"move", "volume"} else (Moved if key.kind == "move" else Swollen)(key.window_s)
            if key.window_s:
                self._of_instrument[key.which].append(key)
        watch = self._watches[key]
        watch.add({number: self._rules[number] for number in numbers}, self._last(key))
        self._look_at(key)

    def _remove(self, key: Key, number: int) -> None:
        if key.kind == "fills":
            self._of_account[key.which].remove(number)
            if not self._of_account[key.which]:
                del self._of_account[key.which]
                self._has_fills[key.which] = 0
            return
        self._watches[key].remove(number)
        if not len(self._watches[key]):
            del self._watches[key]
            if key.window_s:
                self._of_instrument[key.which].remove(key)
        self._look_at(key)

    def _last(self, key: Key) -> int | None:
        """The value as of the last block; None when there was none yet."""
        match key.kind:
            case "price":
                return int(self._prices[key.which]) or None
            case "spread":
                return int(self._spreads[key.which])
            case "halt":
                return int(self._halted[key.which])
            case "balance":
                place = self._wallets.places(np.array([key.which]))  # may move the values: not to be looked at before
                return int(self._wallets.values[place, 0][0])
            case _:
                return self._watches[key].last if key in self._watches else None

    def _look_at(self, key: Key) -> None:
        """Note from which values on the watch of *key* must be asked."""
        if key.kind == "balance":
            self._wallets_changed = True
        elif key.kind in self._quiet:
            watch = self._watches.get(key)
            self._quiet[key.kind][:, key.which] = (-FAR, FAR) if watch is None else watch.bounds

    # --- blocks

    def fold(self, block: Columns) -> Rows:
        """See Fold. Of a run, during which no rule comes or goes, each block fires what it would alone."""
        self._facts.learn(block)
        fired = [*self._trades(block), *self._states(block), *self._spread(block), *self._balances(block)]
        before_ns, self._time_ns = self._time_ns, block.time_ns
        return self._rows(block, fired, before_ns) if fired else {}

    def _ask(self, key: Key, values: Ints, at: Ints, block: Columns, last: int | None) -> Iterator[_Fire]:
        """What *values*, seen with the events *at*, do to the rules of *key*, block by block; *last*: the value before."""
        watch = self._watches[key]
        for begin, end in [(0, len(values))] if watch.is_quiet(values) else block.pieces(at):
            some = values[begin:end]
            rules, places = watch.follow(some, last)
            last = int(some[-1])
            if len(rules):
                yield _Fire(rules, at[begin:end][places], some[places])

    def _trades(self, block: Columns) -> Iterator[_Fire]:
        at = block.at(e.TRADE_EXECUTED)
        if not len(at):
            return
        yield from self._fills(block, at)
        prices, instruments = block.of(e.TRADE_EXECUTED, 3), block.instruments(e.TRADE_EXECUTED)
        order = np.argsort(instruments, kind="stable") if (instruments != instruments[0]).any() else slice(None)
        at, prices, instruments = at[order], prices[order], instruments[order]
        first = starts(instruments)
        ends = np.append(first[1:], len(at))
        instruments = instruments[first]
        low, high = self._quiet["price"][:, instruments]
        touched = np.flatnonzero((np.minimum.reduceat(prices, first) <= low) | (np.maximum.reduceat(prices, first) >= high)).tolist()
        for n in touched:
            key, mine = Key("price", int(instruments[n])), slice(first[n], ends[n])
            yield from self._ask(key, prices[mine], at[mine], block, self._last(key))
        self._prices[instruments] = prices[ends - 1]
        for n in touched:
            self._look_at(Key("price", int(instruments[n])))
        if self._of_instrument:
            lots, times_ns = block.of(e.TRADE_EXECUTED, 4)[order], block.times_ns(self._time_ns)[block.command[at]]
            for instrument, begin, end in zip(instruments.tolist(), first.tolist(), ends.tolist(), strict=True):
                mine = slice(begin, end)
                yield from self._windows(instrument, at[mine], times_ns[mine], prices[mine], lots[mine], block)

    def _windows(self, instrument: int, at: Ints, times_ns: Ints, prices: Ints, lots: Ints, block: Columns) -> Iterator[_Fire]:
        """Moves and volumes of an instrument, from its trades."""
        for key in self._of_instrument.get(instrument, ()):
            watch = self._watches[key]
            assert isinstance(watch, Moved | Swollen), "it has a window"
            values, seen = watch.values(times_ns, prices, lots)
            if len(values):
                yield from self._ask(key, values, at[seen], block, watch.last)

    def _fills(self, block: Columns, trades: Ints) -> Iterator[_Fire]:
        """One alert per rule and block, of all that its account traded."""
        if not self._of_account:
            return
        accounts = np.column_stack([block.account(trades), block.of(e.TRADE_EXECUTED, 2)]).ravel()
        mine = np.flatnonzero(self._has_fills.take(accounts, mode="clip") * (accounts < len(self._has_fills)))
        groups = np.searchsorted(block.ends, trades[mine // 2], side="right") << ACCOUNT_BITS | accounts[mine]
        mine = mine[np.argsort(groups, kind="stable")]
        at = trades[mine // 2]
        instruments, prices, lots = (words[mine // 2] for words in self._traded(block))
        first = starts(np.sort(groups)).tolist()
        fired: list[tuple[int, int, int, int]] = []  # rule, its last fill, fills, lots
        for begin, end in zip(first, [*first[1:], len(mine)], strict=False):
            traded = int(lots[begin:end].sum())
            for rule in self._of_account[int(accounts[mine[begin]])]:
                wanted = self._rules[rule].instrument
                if not wanted:
                    fired.append((rule, end - 1, end - begin, traded))
                elif len(fills := begin + np.flatnonzero(instruments[begin:end] == wanted)):
                    fired.append((rule, int(fills[-1]), len(fills), int(lots[fills].sum())))
        if fired:
            table = np.array(fired, np.int64)
            yield _Fire(table[:, 0], at[table[:, 1]], prices[table[:, 1]], table[:, 2:])

    @staticmethod
    def _traded(block: Columns) -> tuple[Ints, Ints, Ints]:
        """Instrument, price and lots of each trade."""
        return block.instruments(e.TRADE_EXECUTED), block.of(e.TRADE_EXECUTED, 3), block.of(e.TRADE_EXECUTED, 4)

    def _states(self, block: Columns) -> Iterator[_Fire]:
        at = block.at(e.INSTRUMENT_STATE_CHANGED)
        if not len(at):
            return
        halted = (block.of(e.INSTRUMENT_STATE_CHANGED, _STATE_WORD) == HALTED).astype(np.int64)
        instruments = block.instruments(e.INSTRUMENT_STATE_CHANGED)
        for instrument in np.unique(instruments).tolist():
            mine, key = instruments == instrument, Key("halt", instrument)
            if key in self._watches:
                yield from self._ask(key, halted[mine], at[mine], block, self._last(key))
            self._halted[instrument] = halted[mine][-1]

    def _spread(self, block: Columns) -> Iterator[_Fire]:
        instruments, spreads = self._books.advance(block)
        low, high = self._quiet["spread"][:, instruments]
        touched = np.flatnonzero((spreads.min(axis=1, initial=FAR) <= low) | (spreads.max(axis=1, initial=-FAR) >= high)).tolist()
        for n in touched:
            key = Key("spread", int(instruments[n]))
            yield from self._ask(key, spreads[n], block.ends - 1, block, self._last(key))
        self._spreads[instruments] = spreads[:, -1]
        for n in touched:
            self._look_at(Key("spread", int(instruments[n])))

    def _balances(self, block: Columns) -> Iterator[_Fire]:
        wallets, changes, at = all_changes(block, self._facts)
        available = changes[:, 0]
        watched, low, high = self._watched()
        if len(watched):
            places = np.minimum(np.searchsorted(watched, wallets), len(watched) - 1)
            mine = np.flatnonzero(watched[places] == wallets)
            balances = np.zeros((len(watched), len(block.ends)), np.int64)
            np.add.at(balances, (places[mine], np.searchsorted(block.ends, at[mine], side="right")), available[mine])
            before = self._wallets.places(watched)  # may move the values: not to be looked at before
            balances = self._wallets.values[before] + np.cumsum(balances, axis=1)
            for n in np.flatnonzero((balances.min(axis=1) <= low) | (balances.max(axis=1) >= high)).tolist():
                key = Key("balance", int(watched[n]))
                yield from self._ask(key, balances[n], block.ends - 1, block, self._last(key))
                self._wallets_watched[1:, n] = self._watches[key].bounds
        wallets, sums = summed(wallets, changes[:, :1])
        places = self._wallets.places(wallets)
        self._wallets.values[places] += sums

    def _watched(self) -> Ints:
        if self._wallets_changed:
            found = sorted((key.which, *watch.bounds) for key, watch in self._watches.items() if key.kind == "balance")
            self._wallets_watched, self._wallets_changed = np.array(found, np.int64).reshape(-1, 3).T.copy(), False
        return self._wallets_watched

    def _rows(self, block: Columns, fired: list[_Fire], before_ns: int) -> Rows:
        rules = np.concatenate([each.rules for each in fired])
        at = np.concatenate([each.at for each in fired])
        values = np.concatenate([each.values for each in fired])
        counts = np.concatenate([np.zeros((len(each.rules), 2), np.int64) if each.counts is None else each.counts for each in fired])
        order = np.lexsort((rules, at))
        rules, at, values, counts = rules[order], at[order], values[order], counts[order]
        said = np.array([_said(self._rules[rule]) for rule in rules.tolist()], np.int64).T
        times_ns, numbers = block.times_ns(before_ns)[block.command[at]], block.number(at)
        rows = ALERT.pack_each([rules, *said, values, *counts.T, numbers, times_ns])
        seqs = block.first_seq + np.searchsorted(block.ends, at, side="right")
        keys = [alert_key(*named) for named in zip(seqs.tolist(), numbers.tolist(), rules.tolist(), strict=True)]
        return dict(zip(keys, rows, strict=True))

    # --- state

    def state(self) -> bytes:
        """See Fold."""
        traded, halted = np.flatnonzero(self._prices), np.flatnonzero(self._halted)
        wallets, balances = self._wallets.items()
        arrays = (traded, self._prices[traded], halted, wallets, balances)
        watches = [(key, watch.state()) for key, watch in self._watches.items()]
        return msgspec.msgpack.encode(
            (
                self.changed,
                self._time_ns,
                [(number, rule) for number, rule in self._rules.items()],
                watches,
                self._facts.state(),
                self._books.state(),
                [each.astype("<i8").tobytes() for each in arrays],
            )
        )

    def restore(self, state: bytes) -> None:
        """See Fold."""
        shape = tuple[int, int, list[tuple[int, Rule]], list[tuple[Key, bytes]], bytes, bytes, list[bytes]]
        changed, time_ns, rules, watches, facts, books, arrays = msgspec.msgpack.decode(state, type=shape)
        self.__init__()  # type: ignore[misc] # all of it is made anew
        self.changed, self._time_ns, self._rules = changed, time_ns, dict(rules)
        self._facts.restore(facts)
        self._books.restore(books)
        traded, prices, halted, wallets, balances = (np.frombuffer(each, "<i8").astype(np.int64) for each in arrays)
        self._prices[traded], self._halted[halted] = prices, 1
        self._wallets.put(wallets, balances.reshape(-1, 1))
        quoted, spreads = self._books.now()
        self._spreads[quoted] = spreads
        by_key: defaultdict[Key, list[int]] = defaultdict(list)
        for number, rule in rules:
            by_key[key_of(rule)].append(number)
        for key, numbers in by_key.items():
            self._add(key, numbers)
        for key, watch in watches:
            self._watches[key].restore(watch)
            self._watches[key].look(self._last(key))
            self._look_at(key)


def _nothing() -> Ints:
    """From and to which value no rule is touched, for every instrument: anything."""
    return np.tile(np.array([[-FAR], [FAR]], np.int64), MAX_INSTRUMENT + 1)


def _said(rule: Rule) -> tuple[int, ...]:
    """The fields of an Alert that its rule says."""
    return rule.account, KINDS.index(rule.kind), rule.instrument, rule.asset, int(rule.above), rule.level


def wallet(account: int, asset: int) -> int:
    """How a balance is named here."""
    return asset << ACCOUNT_BITS | account
