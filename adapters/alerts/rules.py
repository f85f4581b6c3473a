"""Alert rules in the record's database: added and removed by users, and read by who evaluates them.

A change holds from a block on, which the database decides when the change is made: the first after the head of that moment. So rules are
the same before the same block for whoever folds the record, whenever he does it (eventstore/migrations/0002_alerts.sql).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import psycopg

from eventstore import postgres_server
from eventstore.errors import StoreFailed
from eventstore.postgres_server import Connection
from projections.alert_rules import MAX_RULES_PER_ACCOUNT, BadRule, Change, Rule, check, decode

AT_ONCE = 100_000  # changes that the database gives at once


class Listed(NamedTuple):
    """A rule that is in force. number: of the rule; seq: the block from which on it holds."""

    partition: int
    number: int
    seq: int
    rule: Rule


@dataclass(slots=True)
class _Known:
    """What was read of a partition: every change that holds from block head on or before."""

    head: int
    given: int  # number of the last change that was handed out
    waiting: deque[Change]


class AlertRules:
    """Rules of the market whose record is at *conninfo*. From any thread. Every method raises StoreFailed."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo, self._store = conninfo, postgres_server.shown(conninfo)
        self._connection: Connection | None = None
        self._turn = threading.Lock()
        self._known: dict[int, _Known] = {}

    def close(self) -> None:
        """Leave the database."""
        with self._turn:
            self._drop()

    def add(self, partition: int, rule: Rule) -> Listed:
        """Put *rule* in force. Raises BadRule when it cannot be, or its account has too many."""
        check(rule)
        row = self._ask(
            "SELECT number, seq FROM outcry.add_alert(%s, %s, %s::jsonb, %s)",
            (partition, rule.account, msgspec.json.encode(rule).decode(), MAX_RULES_PER_ACCOUNT),
        )
        if not row:
            raise BadRule(f"account {rule.account} has {MAX_RULES_PER_ACCOUNT} alert rules, as many as it may have; remove some first")
        number, seq = row[0]
        return Listed(partition, number, seq, rule)

    def remove(self, partition: int, account: int, number: int) -> int:
        """Take a rule out of force; the block from which on it is. Raises BadRule when the account has no such rule."""
        row = self._ask("SELECT seq FROM outcry.remove_alert(%s, %s, %s)", (partition, account, number))
        if not row:
            raise BadRule(f"account {account} has no alert rule {number} in partition {partition}; `outcry alert list` shows those it has")
        return int(row[0][0])

    def of(self, account: int) -> list[Listed]:
        """The rules of an account that are in force."""
        rows = self._ask("SELECT part, number, seq, rule::text FROM outcry.live_alerts(%s)", (account,))
        return [Listed(part, number, seq, decode(rule)) for part, number, seq, rule in rows]

    def rule(self, partition: int, number: int) -> Rule | None:
        """A rule that was added once, in force or not; None: there never was one of that number."""
        rows = self._ask("SELECT rule::text FROM outcry.alert_changes WHERE part = %s AND number = %s", (partition, number))
        return decode(rows[0][0]) if rows and rows[0][0] else None

    def changes(self, partition: int, after: int, seq: int) -> Sequence[Change]:
        """The changes after number *after* that hold from block *seq* on, which is on record. Asks for blocks in order; then the database
        is asked only for what lies beyond the head that it had when it was asked last.
        """
        known = self._known.get(partition)
        if known is None or seq > known.head or after != known.given:
            known = self._known[partition] = self._read(partition, after)
        if known.head < seq:
            raise StoreFailed(self._store, f"partition {partition}: the record ends with block {known.head}, before block {seq}")
        holds: list[Change] = []
        while known.waiting and known.waiting[0].seq <= seq:
            holds.append(known.waiting.popleft())
            known.given = holds[-1].number
        return holds

    def _read(self, partition: int, after: int) -> _Known:
        waiting: deque[Change] = deque()
        while True:
            rows = self._ask(
                "SELECT head_seq, number, seq, rule, removes FROM outcry.alert_changes_after(%s, %s)",
                (partition, waiting[-1].number if waiting else after),
            )
            for _, number, seq, rule, removes in rows:
                if number is not None:
                    waiting.append(Change(number, seq, decode(rule) if rule else None, removes or 0))
            if len(rows) < AT_ONCE:
                return _Known(int(rows[0][0]), after, waiting)

    def delivered(self, partition: int) -> int:
        """The block up to which alerts are known to have been delivered."""
        rows = self._ask("SELECT seq FROM outcry.alert_delivered WHERE part = %s", (partition,))
        return int(rows[0][0]) if rows else 0

    def note_delivered(self, partition: int, seq: int) -> None:
        """Alerts up to block *seq* need not be delivered again, whatever becomes of Redis."""
        self._ask(
            "INSERT INTO outcry.alert_delivered AS a VALUES (%s, %s) ON CONFLICT (part) DO UPDATE SET seq = greatest(a.seq, excluded.seq)"
            " RETURNING seq",
            (partition, seq),
        )

    def _ask(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with self._turn, self._connected() as db, postgres_server.errors(self._store):
            return db.execute(statement.encode(), values).fetchall()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """The connection; after a failure the next call makes a new one."""
        if self._connection is None:
            self._connection = postgres_server.connect(self._conninfo)
        try:
            yield self._connection
        except BaseException:
            self._drop()
            raise

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None
