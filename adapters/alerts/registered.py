"""Alerts of an embedded venue: rules in its registry, evaluated over its record in this process. Nothing is delivered but to the doors."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from adapters.alerts.fired import Fired, Told
from adapters.alerts.rules import Listed
from adapters.registry.aggregates import AlertRule
from adapters.registry.registry import Registry
from eventstore.ports import BlockLog
from projections.alert_rules import ALERT, MAX_RULES_PER_ACCOUNT, BadRule, Change, Rule, check, decode
from projections.alerts import Alerts
from projections.columns import Columns
from projections.embedded import Views
from projections.runner import Runner
from projections.view import MemoryView, Projection, Rows

VIEW: Final = "alerts"


class RegisteredRules:
    """Alert rules of *registry* over the record *log*, which this process alone writes. From any thread. See AlertRules.

    A change holds from the first block on that is not on record when it is made, and whoever evaluates waits for changes that are being
    made: so the same rules hold before the same block whenever the record is folded.
    """

    def __init__(self, registry: Registry, log: BlockLog) -> None:
        self._registry, self._log = registry, log
        self._turn = threading.Lock()
        self._changes: defaultdict[int, list[Change]] = defaultdict(list)
        self._rules: dict[tuple[int, int], Rule] = {}
        self._live: defaultdict[int, dict[tuple[int, int], Listed]] = defaultdict(dict)  # by account
        for _, event, made in registry.recorded():
            if isinstance(made, AlertRule):
                removed = type(event).__name__ == "AlertRuleRemoved"
                self._learn(made.partition, Change(event.number, event.seq, None if removed else decode(made.rule), made.number * removed))

    def __len__(self) -> int:
        """How many there ever were."""
        return len(self._rules)

    def add(self, partition: int, rule: Rule) -> Listed:
        """Put *rule* in force. Raises BadRule when it cannot be, or its account has too many."""
        check(rule)
        with self._turn:
            if len(self._live[rule.account]) >= MAX_RULES_PER_ACCOUNT:
                raise BadRule(f"account {rule.account} has {MAX_RULES_PER_ACCOUNT} alert rules, as many as it may have; remove some first")
            number, seq = self._next(partition)
            text = msgspec.json.encode(rule).decode()
            made = AlertRule(f"{partition}:{number}", partition, number, seq, text, f"account {rule.account}", "asked for it")
            self._registry.add(made)
            self._learn(partition, Change(number, seq, rule))
            return self._live[rule.account][partition, number]

    def remove(self, partition: int, account: int, number: int) -> int:
        """Take a rule out of force; the block from which on it is. Raises BadRule when the account has no such rule."""
        with self._turn:
            if (partition, number) not in self._live[account]:
                raise BadRule(f"account {account} has no alert rule {number} in partition {partition}; right would be one that is listed")
            change, seq = self._next(partition)
            act = change, seq, f"account {account}", "asked for it"
            self._registry.change(AlertRule, f"{partition}:{number}", lambda found: found.remove(*act))
            self._learn(partition, Change(change, seq, None, number))
            return seq

    def of(self, account: int) -> list[Listed]:
        """The rules of an account that are in force."""
        with self._turn:
            return list(self._live[account].values())

    def rule(self, partition: int, number: int) -> Rule | None:
        """A rule that was added once, in force or not; None: there never was one of that number."""
        return self._rules.get((partition, number))

    def changes(self, partition: int, after: int, seq: int) -> Sequence[Change]:
        """The changes after number *after* that hold from block *seq* on, which is on record."""
        with self._turn:
            known = self._changes[partition]
            first = bisect_right(known, after, key=lambda change: change.number)
            return [change for change in known[first:] if change.seq <= seq]

    def _next(self, partition: int) -> tuple[int, int]:
        """Number of the next change, and the block from which on it holds."""
        known = self._changes[partition]
        return known[-1].number + 1 if known else 1, self._log.head(partition).seq + 1

    def _learn(self, partition: int, change: Change) -> None:
        self._changes[partition].append(change)
        if change.rule is not None:
            name = partition, change.number
            self._rules[name] = change.rule
            self._live[change.rule.account][name] = Listed(partition, change.number, change.seq, change.rule)
        else:
            name = partition, change.removes
            del self._live[self._rules[name].account][name]


class Evaluation(Views):
    """Evaluates *rules* over *partition*, from its first block on, from when the first rule is there. Close it.

    fired  what did
    """

    def __init__(self, partition: int, log: BlockLog, rules: RegisteredRules, busy: Callable[[], bool] = lambda: False) -> None:
        super().__init__(partition, {})
        self.fired = Fired(partition)
        self._log, self._busy = log, busy
        self._runner: Runner | None = None
        self._beginning = threading.Lock()
        view = self.views[VIEW] = _Taking(self.fired, rules)
        self._projections[VIEW] = Projection(partition, _Ruled(rules), view)
        if len(rules):
            self.begin()

    def begin(self) -> None:
        """There is a rule."""
        with self._beginning:
            if self._runner is None:
                self._runner = Runner(self, self._log, busy=self._busy)

    def offer(self, run: Columns) -> None:
        """A block, or a run, that is on record. Returns at once."""
        if self._runner is not None:
            for block in run.blocks:
                self._runner.offer(block)

    def close(self) -> None:
        """Evaluate nothing more."""
        with self._beginning:
            if self._runner is not None:
                self._runner.close()


class _Ruled:
    """Alerts (a Fold) that learn of their rules before each block."""

    version: Final = Alerts.version

    def __init__(self, rules: RegisteredRules) -> None:
        self._rules, self._alerts = rules, Alerts()

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        self._alerts.change(self._rules.changes(block.partition, self._alerts.changed, block.seq))
        return self._alerts.fold(block)

    def state(self) -> bytes:
        """See Fold."""
        return self._alerts.state()

    def restore(self, state: bytes) -> None:
        """See Fold."""
        self._alerts.restore(state)


class _Taking(MemoryView):
    """A view that hands its rows on instead of keeping them."""

    def __init__(self, fired: Fired, rules: RegisteredRules) -> None:
        super().__init__()
        self._fired, self._rules = fired, rules

    def write(self, rows: Rows, partition: int, seq: int) -> None:
        """See View."""
        super().write({}, partition, seq)
        alerts = [(name, ALERT.one(row)) for name, row in rows.items()]
        told = [Told(partition, int(name.split(":")[1]), name, each, self._rules.rule(partition, each.rule)) for name, each in alerts]
        self._fired.take(told, seq)
